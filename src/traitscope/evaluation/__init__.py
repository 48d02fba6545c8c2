"""Predictions in, numbers with baselines and intervals out.

In: a run, or anyone's ``predictions.csv``, with labels. Out: ``report.json`` (`report`), compared
(`comparison`) or fused (`fusion`).
"""
