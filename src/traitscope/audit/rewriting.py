"""A clip in, the same clip in a file of its own out, with pictures and sound changed on the way.

What is written is lossless (RGB H.264 and 32-bit PCM), so that what a model sees of the new file
differs from the old one by the change alone, and by a level or two where colours are rounded on the
way to RGB: shifts are held against an unchanged copy, and the audit tells how far that is off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from traitscope.audit.distortions import Image, Samples
from traitscope.errors import ClipError
from traitscope.media import Tracks, probe, read_frames, read_sound
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.types import Clip, Frame, Waveform

_TICKS = 90_000  # per second: what common frame rates divide
_PIECE = 4096
_AAC_BITS = 48_000


@dataclass(frozen=True)
class Change:
    """What is different in the copy.

    Attributes:
        picture: changes each frame; every frame must keep the size of the first.
        sound: changes the samples.
        crf: re-encode with this x264 quality and AAC instead of losslessly.
    """

    picture: Callable[[Frame], Image] | None = None
    sound: Callable[[Samples], Samples] | None = None
    crf: int | None = None


def rewrite(clip: Clip, path: Path, change: Change, limits: Limits = DEFAULTS) -> Clip:
    """Write a clip's interval into a file of its own.

    Args:
        clip: with media; its interval becomes the whole of the new file.
        path: of the new file; ``.mov``.
        change: what is different in it.
        limits: of what the clip may take.

    Returns:
        The clip that stands for the new file.

    Raises:
        ClipError: the clip cannot be read.
    """
    if clip.path is None:
        raise ClipError(f"Clip {clip.id!r} has no media file.", status="missing")
    tracks = Tracks(video=clip.video_track, audio=clip.audio_track)
    info = probe(clip.path, fps=clip.fps, tracks=tracks, limits=limits)
    waveform = _sound(clip, info.sample_rate_hz, limits) if info.has_audio else None
    if waveform is not None and change.sound is not None:
        waveform = Waveform(change.sound(waveform.samples), waveform.sample_rate_hz)
    # MOV takes RGB pictures, float samples and AAC alike, so copies differ in what was asked alone.
    with av.open(str(path), "w", format="mov") as container:
        track = None
        if waveform is not None:
            # Before pictures: the first packet writes the header, which takes no track after.
            track = _sound_track(container, waveform, lossy=change.crf is not None)
        if info.has_video:
            _write_frames(container, clip, info.fps, change, limits)
        if waveform is not None:
            _write_sound(container, track, waveform)
    return Clip(clip.id, path=path, source=clip.source, subject=clip.subject)


def _sound(clip: Clip, rate: int | None, limits: Limits) -> Waveform | None:
    assert clip.path is not None
    try:
        return read_sound(
            clip.path,
            # At the file's own rate: a resampled copy would not be unchanged.
            sample_rate_hz=rate or 16_000,
            start=clip.start,
            end=clip.end,
            track=clip.audio_track,
            limits=limits,
        ).waveform
    except ClipError as error:
        if error.status == "no_audio":
            return None
        raise


def _write_frames(
    container: Any, clip: Clip, fps: float | None, change: Change, limits: Limits
) -> None:
    assert clip.path is not None
    # Only the last picture's duration rests on this. 1001 is the denominator of NTSC's rates.
    rate = Fraction(fps or 25).limit_denominator(1001)
    reader = read_frames(
        clip.path,
        rates=["native"],
        start=clip.start,
        end=clip.end,
        fps=clip.fps,
        track=clip.video_track,
        limits=limits,
    )
    stream, waiting = None, None
    for frame, _ in reader:
        image = frame.image if change.picture is None else change.picture(frame)
        if change.crf is not None:  # 4:2:0 needs even sides
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        if stream is None:
            stream = _picture_track(container, image, rate, change.crf)
        # One picture behind, since how long it is shown is known only when the next one comes.
        if waiting is not None:
            _mux(container, stream, *waiting, until=frame.time)
        waiting = (image, frame.time)
    if stream is not None and waiting is not None:
        _mux(container, stream, *waiting, until=waiting[1] + float(1 / rate))
        container.mux(stream.encode(None))


def _picture_track(container: Any, image: Image, rate: Fraction, crf: int | None) -> Any:
    stream = container.add_stream("libx264rgb" if crf is None else "libx264", rate=rate)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "rgb24" if crf is None else "yuv420p"
    # Times, not counts: phones and screen recorders keep no constant rate.
    stream.codec_context.time_base = Fraction(1, _TICKS)
    # no B-frames: they would shift the first time stamp of the track
    quality = {"preset": "ultrafast", "qp": "0"} if crf is None else {"crf": str(crf)}
    stream.options = {"preset": "veryfast", "bf": "0", **quality}
    return stream


def _mux(container: Any, stream: Any, image: Image, time: float, *, until: float) -> None:
    # Cut to even sides, a picture is a view with the rows of the old one.
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    picture.pts, picture.time_base = round(time * _TICKS), Fraction(1, _TICKS)
    picture.duration = round((until - time) * _TICKS)
    container.mux(stream.encode(picture))


def _sound_track(container: Any, waveform: Waveform, *, lossy: bool) -> Any:
    codec = "aac" if lossy else "pcm_f32le"
    track = container.add_stream(codec, rate=waveform.sample_rate_hz, layout="mono")
    if lossy:
        track.bit_rate = _AAC_BITS
    return track


def _write_sound(container: Any, track: Any, waveform: Waveform) -> None:
    rate = waveform.sample_rate_hz
    kind = track.codec_context.format.name
    for start in range(0, len(waveform.samples), _PIECE):
        piece = np.ascontiguousarray(waveform.samples[None, start : start + _PIECE])
        frame = av.AudioFrame.from_ndarray(piece, format=kind, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))
