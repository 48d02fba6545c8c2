"""Predictions in, numbers with baselines and intervals out.

In: a run, or anyone's ``predictions.csv``, with labels. Out: a `report`, which `assessment` makes
and only `report` reads and writes; `comparison` and `fusion` go on from there.
"""
