"""Building blocks of networks, for the zoo and for models of your own.

In: batches of streams as tensors with masks. Out: features or predictions; nothing here trains.
"""
