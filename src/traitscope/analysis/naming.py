"""Names of streams and columns, as programs write them -> as people read them.

``AU12_r`` becomes ``AU12 lip corner puller``, ``delta_mfcc_3`` ``change of timbre 3``; a name that
is not known stays what it is.
"""

import re
from collections.abc import Iterable

STREAMS = {
    "signals": "face and head",
    "landmarks": "face and head",
    "faces": "pictures of the face",
    "frames": "pictures",
    "embedding": "pictures",
    "face_embedding": "the face",
    "voice_embedding": "the voice",
    "transcript": "words",
    "text_counts": "way of talking",
    "text_embedding": "words",
    "metadata": "facts about the person",
    **dict.fromkeys(
        (
            *("short_term", "mid_term", "logmel", "filterbank", "spectrum", "waveform"),
            *("egemaps", "emobase", "compare", "audio_embedding", "voice_pitch"),
        ),
        "sound",
    ),
}
"""Extractor -> what of a recording it is about."""

# Units as the Facial Action Coding System names them, under the columns of OpenFace.
_NAMES = {
    "AU01_r": "inner brow raiser",
    "AU02_r": "outer brow raiser",
    "AU04_r": "brow lowerer",
    "AU05_r": "upper lid raiser",
    "AU06_r": "cheek raiser",
    "AU07_r": "lid tightener",
    "AU09_r": "nose wrinkler",
    "AU10_r": "upper lip raiser",
    "AU12_r": "lip corner puller",
    "AU14_r": "dimpler",
    "AU15_r": "lip corner depressor",
    "AU17_r": "chin raiser",
    "AU20_r": "lip stretcher",
    "AU23_r": "lip tightener",
    "AU25_r": "lips part",
    "AU26_r": "jaw drop",
    "AU45_r": "blink",
    "gaze_angle_x": "gaze left-right",
    "gaze_angle_y": "gaze up-down",
    "pose_Rx": "head pitch",
    "pose_Ry": "head yaw",
    "pose_Rz": "head roll",
    "energy": "loudness",
    "energy_entropy": "bursts of loudness",
    "zcr": "hiss (zero crossings)",
    "spectral_centroid": "brightness of the sound",
    "spectral_spread": "width of the spectrum",
    "spectral_entropy": "noisiness",
    "spectral_flux": "movement of the spectrum",
    "spectral_rolloff": "highest frequencies",
}
_NUMBERED = {"mfcc": "timbre", "chroma": "pitch class"}
"""Series of columns: cepstral coefficients, of which a single one has no meaning of its own, and
the twelve notes of an octave."""


def readable(column: str) -> str:
    """A column as people read it: ``AU12 lip corner puller``."""
    if column.startswith("delta_"):
        return f"change of {readable(column.removeprefix('delta_'))}"
    series = re.fullmatch(r"([a-z]+)_(\d+|std)", column)
    if series and series[1] in _NUMBERED:
        return f"{_NUMBERED[series[1]]} {series[2]}"
    about = _NAMES.get(column)
    if about is None:
        return column
    return f"{column.removesuffix('_r')} {about}" if column.startswith("AU") else about


def brief(stream: str, among: Iterable[str]) -> str:
    """A stream in few words, with its own name only where others are about the same."""
    known = STREAMS.get(stream, stream)
    alone = sum(STREAMS.get(other, other) == known for other in among) == 1
    return known if alone else about(stream)


def about(stream: str) -> str:
    """A stream as people read it, with its own name behind: ``sound (short_term)``."""
    known = STREAMS.get(stream)
    return stream if known is None else f"{known} ({stream})"
