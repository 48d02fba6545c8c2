"""Files -> arrays with times; knows nothing of faces."""

from traitscope.media.audio import is_silent, read_sound, read_waveform
from traitscope.media.info import MediaInfo
from traitscope.media.sampling import Rate, Spread
from traitscope.media.video import FrameReader, cores, probe, read_frames

__all__ = [
    "FrameReader",
    "MediaInfo",
    "Rate",
    "Spread",
    "cores",
    "is_silent",
    "probe",
    "read_frames",
    "read_sound",
    "read_waveform",
]
