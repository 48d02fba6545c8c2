"""Opening a media file and saying what is in it: path -> container and `MediaInfo`."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from traitscope.errors import ClipError

_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class MediaInfo:
    """Facts of one media file.

    Attributes:
        duration_seconds: of the video track, else of the sound.
        fps: average frames per second; None without video.
        width: pixels after rotation; None without video.
        height: pixels after rotation; None without video.
        has_video: there is a video track (a cover picture is none).
        has_audio: there is an audio track, silent or not.
        sample_rate_hz: of the audio track; None without one.
        channels: of the audio track; None without one.
        rotation_degrees: clockwise turn that the file asks players to make: 0, 90, 180 or 270.
        codec: of the video track, else of the sound.
    """

    duration_seconds: float
    fps: float | None
    width: int | None
    height: int | None
    has_video: bool
    has_audio: bool
    sample_rate_hz: int | None
    channels: int | None
    rotation_degrees: int
    codec: str


def open_container(path: Path) -> Any:
    """Open a media file for reading.

    Raises:
        ClipError: it is missing, empty, or not a media file.
    """
    try:
        size = path.stat().st_size
        if size:
            # "file:" keeps names such as "a:b.mp4" from being read as addresses, and the
            # whitelist keeps playlists from opening the network.
            return av.open(
                f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ClipError(
            f"There is no file {path}. Check the folder of the media.", status="missing"
        ) from error
    except PermissionError as error:
        raise unreadable(error, path) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError(
            f"{path} cannot be opened as media ({_reason(error)}). Re-encode it or leave it out.",
            status="undecodable",
        ) from error
    raise ClipError(f"{path} has 0 bytes. Copy or download it again.", status="empty")


def unreadable(error: PermissionError, path: Path | None) -> ClipError:
    """Make the failure of a clip that this user may not read."""
    return ClipError(
        f"{path} cannot be read: {error.strerror}. Give this user the right to.",
        status="unreadable",
    )


def video_stream(container: Any) -> Any | None:
    """Find the first video track that is not a cover picture, or None."""
    cover = av.stream.Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & cover), None)


def check_codec(stream: Any, path: Path) -> None:
    """Refuse a track that no decoder of this machine reads.

    Raises:
        ClipError: its codec is unknown, because the file is damaged or the codec rare.
    """
    if stream.codec_context is None:
        raise ClipError(
            f"The {stream.type} of {path} has a codec that is not known here. Re-encode it, to "
            f"H.264 and AAC for example, or leave it out.",
            status="undecodable",
        )


def describe(container: Any, first_frame: Any | None) -> MediaInfo:
    """Collect the facts of an open file.

    Args:
        container: an open container.
        first_frame: a decoded frame, which knows size and rotation; None if there is none.
    """
    video = video_stream(container)
    sound = next(iter(container.streams.audio), None)
    size, degrees = (None, None), 0
    if first_frame is not None:
        turn, _ = orientation(first_frame)
        size = (first_frame.width, first_frame.height)
        size = (size[1], size[0]) if turn % 2 else size
        degrees = (-90 * turn) % 360
    main = video if video is not None else sound
    rate = video and (video.average_rate or video.guessed_rate)
    return MediaInfo(
        duration_seconds=duration(container, main),
        fps=float(rate) if rate else None,
        width=size[0],
        height=size[1],
        has_video=video is not None,
        has_audio=sound is not None,
        sample_rate_hz=getattr(_codec(sound), "sample_rate", None),
        channels=getattr(_codec(sound), "channels", None),
        rotation_degrees=degrees,
        codec=getattr(_codec(main), "name", ""),
    )


def decoded(container: Any, stream: Any, note: Callable[[str], None]) -> Iterator[Any]:
    """Decode packet by packet, so that one damaged packet does not end the clip.

    Args:
        container: an open container.
        stream: which of its tracks.
        note: is told, in a few words, what went wrong.
    """
    for packet in packets_of(container, stream, note):
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            note(f"damaged {stream.type} was skipped: {error.strerror}")


def packets_of(container: Any, stream: Any, note: Callable[[str], None]) -> Iterator[Any]:
    """Read the packets of a track until the end, or until reading fails; see `decoded`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            note(f"reading the {stream.type} stopped: {error.strerror}")
            return
        if packet is None:
            return
        yield packet


def orientation(frame: Any) -> tuple[int, bool]:
    """Read how a decoded frame wants to be shown.

    Returns:
        Counter-clockwise quarter turns for ``np.rot90``, and whether to mirror left-right first.
    """
    data = next((d for d in frame.side_data if d.type.name == "DISPLAYMATRIX"), None)
    if data is None:
        return 0, False
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).astype(np.float64)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return int(np.rint(-np.arctan2(b, a) / (np.pi / 2))) % 4, bool(mirrored)


def _codec(stream: Any | None) -> Any | None:
    return stream.codec_context if stream is not None else None


def measured(info: MediaInfo, container: Any, stream: Any) -> MediaInfo:
    """Read on to the end for the length of a track whose file does not say it.

    Browsers and streams write such files, because they do not know it when they begin.
    """
    if info.duration_seconds > 0:
        return info
    step = 1 / (info.fps or 25.0)
    last, count, timed = 0.0, 0, True
    for packet in packets_of(container, stream, lambda problem: None):
        count += packet.size > 0
        if packet.pts is not None:
            ticks = packet.pts - (stream.start_time or 0) + (packet.duration or 0)
            last = max(last, float(ticks * stream.time_base))
        elif packet.size:
            timed = False
    return replace(info, duration_seconds=last if timed else max(last, count * step))


def duration(container: Any, stream: Any | None) -> float:
    """Seconds that a track lasts, as its file says; 0 where it does not."""
    if stream is not None and stream.duration:
        return float(stream.duration * stream.time_base)
    seconds = float(container.duration or 0) / av.time_base
    if stream is None or "matroska" not in container.format.name:
        return seconds
    # there it is the time of the end, and of the longest track unless a tag says this one's
    tag = _CLOCK.match(next((v for k, v in stream.metadata.items() if k[:8] == "DURATION"), ""))
    if tag:
        seconds = float(tag[1]) * 3600 + float(tag[2]) * 60 + float(tag[3])
    return max(0.0, seconds - float((stream.start_time or 0) * stream.time_base))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
