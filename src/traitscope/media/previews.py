"""A media file -> a small video for a page: re-encoded, without what made the file large.

In: a file that FrameReader and av can read. Out: the bytes of an MP4 (H.264, AAC), at most as large
as asked for, whose time runs as that of the clip.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media.audio import read_sound
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.media.video import read_frames
from traitscope.types import Clip, Waveform

SIDE, FPS, SOUND_HZ = 360, 12, 16_000
"""Pixels of the longer side, pictures and samples per second: enough to see a smile by."""
LARGEST_BYTES = 4_000_000
"""What a page of evidence may carry; longer clips get fewer bits, down to what can be looked at."""
_LEAST_BITS, _MOST_BITS = 60_000, 400_000
_SOUND_BITS = 32_000


@dataclass(frozen=True)
class Preview:
    """A small video.

    Attributes:
        data: an MP4.
        seconds: how much of the clip it shows.
    """

    data: bytes
    seconds: float


def preview(
    clip: Clip, seconds: float, *, largest: int = LARGEST_BYTES, limits: Limits = DEFAULTS
) -> Preview | None:
    """Encode a clip small enough for a page; of one that is too long, its beginning.

    Args:
        clip: with the path of a video.
        seconds: its length.
        largest: bytes at most.
        limits: of what the clip may take.

    Returns:
        None where there are no pictures that could be shown.
    """
    if clip.path is None:
        return None
    shown = min(seconds, 8 * largest / (_LEAST_BITS + _SOUND_BITS))
    bits = int(min(_MOST_BITS, 0.8 * 8 * largest / max(shown, 1.0) - _SOUND_BITS))
    for _ in range(3):  # an encoder only aims at a size
        data = _encoded(clip, shown, max(bits, _LEAST_BITS // 2), limits)
        if data is None or len(data) <= largest:
            return None if data is None else Preview(data, shown)
        bits = int(0.6 * bits * largest / len(data))
    return None


def _encoded(clip: Clip, seconds: float, bits: int, limits: Limits) -> bytes | None:
    import av

    frames = _pictures(clip, seconds, limits)
    try:
        first = next(frames, None)
    except ClipError:  # sound alone, or nothing that can be decoded
        return None
    if first is None:
        return None
    sound = _sound(clip, seconds, limits)
    held = io.BytesIO()
    with av.open(held, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.height, video.width = first[1].shape[:2]
        video.pix_fmt, video.bit_rate = "yuv420p", bits
        video.options = {"preset": "veryfast", "maxrate": str(bits), "bufsize": str(2 * bits)}
        heard = None
        if sound is not None:
            heard = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
            heard.bit_rate = _SOUND_BITS
        last = -1
        for time, picture in chain([first], frames):
            place = max(last + 1, round(time * FPS))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base, last = place, Fraction(1, FPS), place
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if heard is not None and sound is not None:
            _mux_sound(container, heard, sound)
    return held.getvalue()


def _mux_sound(container: Any, stream: Any, sound: Waveform) -> None:
    import av

    step = SOUND_HZ // 10
    for start in range(0, len(sound.samples), step):
        piece = np.ascontiguousarray(sound.samples[None, start : start + step])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_HZ, start
        frame.time_base = Fraction(1, SOUND_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _pictures(
    clip: Clip, seconds: float, limits: Limits
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Small pictures with their seconds, in order, even sides as the encoder wants them."""
    import cv2

    assert clip.path is not None
    reader = read_frames(
        clip.path,
        rates=[float(FPS)],
        start=clip.start,
        end=clip.end,
        fps=clip.fps,
        track=clip.video_track,
        limits=limits,
    )
    for frame, _ in reader:
        if frame.time > seconds:
            return
        width, height = frame.size
        scale = min(1.0, SIDE / max(width, height))
        size = max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)
        image = frame.part((0, 0, width, height))
        yield (
            frame.time,
            np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8),
        )


def _sound(clip: Clip, seconds: float, limits: Limits) -> Waveform | None:
    """The sound of a clip, None where it has none: a page without it still shows the person."""
    assert clip.path is not None
    last = (clip.start or 0.0) + seconds
    try:
        sound = read_sound(
            clip.path,
            sample_rate_hz=SOUND_HZ,
            start=clip.start,
            end=last if clip.end is None else min(last, clip.end),
            track=clip.audio_track,
            limits=limits,
        )
    except ClipError:
        return None
    return sound.waveform
