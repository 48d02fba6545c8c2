"""Annotations on disk -> Corpus of Clips; one file per corpus."""
