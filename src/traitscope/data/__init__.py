"""Which clips are fitted and scored, and what of each a model sees.

In: a Corpus, a Protocol, a store. Out: the clips of a split (`protocols`), and examples and batches
of their streams with masks (`examples`).
"""
