"""Pure functions of arrays: metrics, clustered intervals, correlation, agreement.

In: labels, predictions and clusters as arrays. Out: numbers; nothing here knows a file or a clip.
"""
