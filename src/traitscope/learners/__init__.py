"""Building blocks of estimators: ridge, trees, folds, stacks, words.

In: arrays (clips, features) and labels. Out: predictions, and state as plain arrays.
"""
