"""What signals have to do with traits: prepared features and labels in, tables and pictures out.

``correlations`` holds every signal's mean and sd per clip against every target, ``heat_maps`` draws
that, ``ablations`` trains one model on subsets of the signals.
"""
