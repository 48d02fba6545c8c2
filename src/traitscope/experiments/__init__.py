"""Whole jobs of several trainings.

In: a corpus, a store, settings. Out: runs, their evaluations and a table: `demonstration`,
`ablations`, or the `suites` that `suite_runs` trains and ranks.
"""
