"""Which tracks of a media file are seen and heard: an open container -> its tracks, one chosen.

The file says which track is its default; without a word the first that is not for a few (comment,
description for the blind ...) is taken. A cover picture is no video, flagged as one or not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from traitscope.errors import ClipError
from traitscope.media.opening import open_container

_STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "webp", "tiff", "jpeg2000", "jpegls"})
"""Of images: a track with a single one of them, beside others, is a cover."""

_ASIDE = ("comment", "hearing_impaired", "visual_impaired", "clean_effects", "karaoke", "dub")
"""What a file says of tracks that are not for everybody."""


def video_tracks(container: Any) -> list[Any]:
    """The tracks of moving pictures, in the order of the file."""
    return [stream for stream in container.streams.video if not _is_cover(container, stream)]


def video_stream(container: Any, number: int | None = None) -> Any | None:
    """The video track that is seen, or None if there is none.

    Args:
        container: an open container.
        number: of the track, from 1; None takes the default.

    Raises:
        ClipError: there is video, but no such track.
    """
    return _chosen(container, video_tracks(container), number, "video")


def audio_stream(container: Any, number: int | None = None) -> Any | None:
    """The sound track that is heard, or None if there is none; see `video_stream`."""
    return _chosen(container, list(container.streams.audio), number, "audio")


def number_of(tracks: Sequence[Any], chosen: Any | None) -> int | None:
    """Which of the tracks one is, from 1; None if there is none."""
    return None if chosen is None else 1 + [t.index for t in tracks].index(chosen.index)


def tell_choice(tracks: Sequence[Any], chosen: Any | None) -> tuple[str, ...]:
    """Say which of several tracks was taken."""
    if chosen is None or len(tracks) < 2:
        return ()
    default = ", the default" if _flagged(chosen, "default") else ""
    return (f"track: {chosen.type} {number_of(tracks, chosen)} of {len(tracks)}{default}",)


def _chosen(container: Any, tracks: Sequence[Any], number: int | None, kind: str) -> Any | None:
    if not tracks:
        return None
    if number is None:
        return min(tracks, key=_rank)
    if not 1 <= number <= len(tracks):
        name = Path(container.name.removeprefix("file:"))
        raise ClipError(
            f"{name} has {len(tracks)} {kind} track{'s' * (len(tracks) > 1)}, and no track "
            f"{number}. Choose one from 1 to {len(tracks)}.",
            status=f"no_{kind}",
        )
    return tracks[number - 1]


def _rank(stream: Any) -> tuple[bool, bool, int]:
    """Smallest for the track that is taken."""
    aside = any(_flagged(stream, name) for name in _ASIDE)
    # False comes first: the default, then what is for everybody, then the order of the file.
    return not _flagged(stream, "default"), aside, stream.index


def _flagged(stream: Any, name: str) -> bool:
    return bool(stream.disposition & getattr(av.stream.Disposition, name))


def _is_cover(container: Any, stream: Any) -> bool:
    """Tell whether a video track is one picture that stands beside something else."""
    if _flagged(stream, "attached_pic"):
        return True
    if stream.codec_context is None or stream.codec_context.name not in _STILL_CODECS:
        return False
    if len(container.streams.video) + len(container.streams.audio) == 1:
        return False  # one picture is all there is
    return stream.frames == 1 if stream.frames else _has_one_picture(container.name, stream.index)


def _has_one_picture(name: str, index: int) -> bool:
    """Look for a second picture, to the end if there is none; the open container stays put."""
    with open_container(Path(name.removeprefix("file:"))) as again:
        if index >= len(again.streams):  # it began later in the file
            return False
        pictures = (packet for packet in again.demux(again.streams[index]) if packet.size)
        try:
            next(pictures, None)
            return next(pictures, None) is None
        except IndexError:  # another track begins, which PyAV does not know
            return False


def first_frame(container: Any, stream: Any) -> Any | None:
    """Decode the first picture of a track; None where there is none to decode."""
    try:
        return next(container.decode(stream), None)
    except (av.error.FFmpegError, IndexError):  # of a track that begins later in the file
        return None
