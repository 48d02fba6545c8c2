"""Examples in, a run folder out.

In: settings of a run, a corpus and a store. Out: a folder that `evaluation` and `prediction` load
(`fitting` is the way in, `loop` the one loop of all networks).
"""
