"""Files -> arrays with times; knows nothing of faces."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from traitscope.media._threads import cores, own_cores, threads_of_children, told_to_children

if TYPE_CHECKING:
    from traitscope.media.audio import Sound, is_silent, read_sound, read_waveform
    from traitscope.media.info import MediaInfo, Tracks
    from traitscope.media.limits import Limits, parse_limits
    from traitscope.media.sampling import Rate, Spread
    from traitscope.media.video import FrameReader, probe, read_frames

_HOMES = {
    "audio": ("Sound", "is_silent", "read_sound", "read_waveform"),
    "info": ("MediaInfo", "Tracks"),
    "limits": ("Limits", "parse_limits"),
    "sampling": ("Rate", "Spread"),
    "video": ("FrameReader", "probe", "read_frames"),
}

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
    "own_cores",
    "parse_limits",
    "probe",
    "read_frames",
    "read_sound",
    "read_waveform",
    "threads_of_children",
    "told_to_children",
]


def __getattr__(name: str) -> Any:
    """Import a decoder when it is first used: whoever reads stored pictures does without FFmpeg."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"traitscope.media.{home}"), name)
    raise AttributeError(f"module 'traitscope.media' has no attribute {name!r}")
