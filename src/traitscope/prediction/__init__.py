"""A trained run and new media in, predictions out.

In: a run and files, folders, words or tables. Out: a Prediction per clip (`clips`), or an OpenFace
table with the scores in every row (`openface`).
"""
