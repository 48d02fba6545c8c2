"""Frames -> faces with landmarks, pose and track ids; one file per backend."""
