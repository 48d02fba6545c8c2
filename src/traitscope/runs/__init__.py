"""What one training is: its settings, its plan, its saved folder.

In: a name and ``key=value`` settings. Out: a RunConfig (`settings`), what it takes (`plan`), and
the folder that it leaves (`checkpoint`, `card`).
"""
