"""The zoo; one file per model.

In: a batch of the streams that its ``inputs(config)`` names. Out: predictions (clips, targets).
"""
