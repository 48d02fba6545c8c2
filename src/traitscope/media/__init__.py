"""Files -> arrays with times; knows nothing of faces."""

from traitscope.media.audio import Sound, is_silent, read_sound, read_waveform
from traitscope.media.info import MediaInfo, Tracks
from traitscope.media.sampling import Rate, Spread
from traitscope.media.video import FrameReader, cores, probe, read_frames

__all__ = [
    "FrameReader",
    "MediaInfo",
    "Rate",
    "Sound",
    "Spread",
    "Tracks",
    "cores",
    "is_silent",
    "probe",
    "read_frames",
    "read_sound",
    "read_waveform",
]
