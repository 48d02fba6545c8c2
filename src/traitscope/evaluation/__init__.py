"""Predictions in, numbers with baselines and intervals out.

In: a run, or anyone's ``predictions.csv``, with labels. Out: a `report` (made by `assessment`), compared
(`comparison`) or fused (`fusion`).
"""
