"""A trained run and new media in, predictions out.

In: a run and files, folders, words or tables (`inputs`). Out: a Prediction per clip (`clips`), made
by one loaded run and one tracker per process (`scoring`), kept in a table from which a stopped call
goes on (`score_table`), or an OpenFace table with the scores in every row (`openface`). Of a run
that learns from scores of frames, those are made first (`series`; of a whole corpus: `frames`).
"""
