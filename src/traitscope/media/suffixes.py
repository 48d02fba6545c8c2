"""Suffixes of files that hold a recording, best first: where several stand, the first is taken."""

VIDEO = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"),
    *(".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
)
SOUND = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus")
MEDIA = (*VIDEO, *SOUND)
