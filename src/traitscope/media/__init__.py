"""Files -> arrays with times; knows nothing of faces."""

from traitscope.media._threads import cores, threads_of_children
from traitscope.media.audio import Sound, is_silent, read_sound, read_waveform
from traitscope.media.info import MediaInfo, Tracks
from traitscope.media.limits import Limits, parse_limits
from traitscope.media.sampling import Rate, Spread
from traitscope.media.video import FrameReader, probe, read_frames

__all__ = [
    "FrameReader",
    "Limits",
    "MediaInfo",
    "Rate",
    "Sound",
    "Spread",
    "Tracks",
    "cores",
    "is_silent",
    "parse_limits",
    "probe",
    "read_frames",
    "read_sound",
    "read_waveform",
    "threads_of_children",
]
