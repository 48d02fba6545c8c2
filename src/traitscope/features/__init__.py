"""Extractors at work: one decode per clip, a store of streams, tables in and out.

In: clips and requests. Out: a store of streams (`preparation`, `store`), its tables (`exports`,
`imports`) and pictures (`sheet`).
"""
