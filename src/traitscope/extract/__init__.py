"""Tracks, frames, sound, text -> features; one file per extractor."""
