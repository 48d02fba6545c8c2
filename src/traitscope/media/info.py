"""What is in an open media file: container -> `MediaInfo`, packets and frames."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av

from traitscope.errors import ClipError
from traitscope.media._showing import FIELDS, HDR, orientation, pixel_aspect, square_width
from traitscope.media.tracks import audio_stream, number_of, tell_choice, video_stream, video_tracks

_FASTEST = 120.0
"""Pictures per second that are believed without looking at times: some files declare the unit of
their times, such as 1000 or 90000, instead of a rate."""

_SLOWEST = 1.0

_SAME_RATE = 0.05

DEINTERLACED = "deinterlaced: the pictures are interlaced"

_LOOKED_AT = 500
"""Pictures whose times tell the rate where the declared one is not believed."""

_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class MediaInfo:
    """Facts of one media file, or rather of the tracks that are seen and heard.

    Attributes:
        duration_seconds: of the video track, else of the sound, as the file declares it.
        fps: average pictures per second, as their times say where the declared rate cannot be;
            None without video.
        width: pixels after rotation, made square; None without video.
        height: pixels after rotation; None without video.
        has_video: there is a video track (a cover picture is none).
        has_audio: there is an audio track, silent or not.
        sample_rate_hz: of the audio track; None without one.
        channels: of the audio track; None without one.
        rotation_degrees: clockwise turn that the file asks players to make: 0, 90, 180 or 270.
        codec: of the video track, else of the sound.
        channel_layout: of the audio track, such as ``5.1``; None without one.
        pixel_aspect: width of a stored pixel by its height.
        transfer: ``SDR``, ``PQ`` or ``HLG``; what is not SDR is tone-mapped.
        fields: ``progressive``, or which of the two halves of a picture comes first; such
            pictures are deinterlaced.
        video_tracks: how many there are to choose from.
        audio_tracks: how many there are to choose from.
        video_track: which of them this is about, from 1; None without video.
        audio_track: which of them this is about, from 1; None without sound.
        notes: what a reader should know of it, one short sentence each.
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
    channel_layout: str | None = None
    pixel_aspect: Fraction = Fraction(1)
    transfer: str = "SDR"
    fields: str = "progressive"
    video_tracks: int = 0
    audio_tracks: int = 0
    video_track: int | None = None
    audio_track: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracks:
    """Which tracks are looked at, counted from 1; None takes the default of the file."""

    video: int | None = None
    audio: int | None = None


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


def describe(container: Any, first_frame: Any | None, tracks: Tracks | None = None) -> MediaInfo:
    """Collect the facts of an open file.

    Args:
        container: an open container.
        first_frame: a decoded frame, which knows size and rotation; None if there is none.
        tracks: which of its tracks are looked at; the default ones if not said.

    Raises:
        ClipError: there is no track of that number.
    """
    tracks = tracks or Tracks()
    seen, heard = video_tracks(container), list(container.streams.audio)
    video = video_stream(container, tracks.video)
    sound = audio_stream(container, tracks.audio)
    main = video if video is not None else sound
    layout = getattr(_codec(sound), "layout", None)
    info = MediaInfo(
        duration_seconds=duration(container, main),
        fps=next(iter(_declared_rates(video)), None),
        width=None,
        height=None,
        has_video=video is not None,
        has_audio=sound is not None,
        sample_rate_hz=getattr(_codec(sound), "sample_rate", None),
        channels=getattr(_codec(sound), "channels", None),
        rotation_degrees=0,
        codec=getattr(_codec(main), "name", ""),
        channel_layout=layout.name if layout is not None else None,
        video_tracks=len(seen),
        audio_tracks=len(heard),
        video_track=number_of(seen, video),
        audio_track=number_of(heard, sound),
        notes=tell_choice(seen, video),
    )
    return info if first_frame is None else _with_picture(info, video, first_frame)


def _with_picture(info: MediaInfo, stream: Any, frame: Any) -> MediaInfo:
    """Add what the first frame and its track say about pictures."""
    turn, _ = orientation(frame)
    aspect = pixel_aspect(stream)
    width, height = square_width(frame.width, aspect), frame.height
    transfer = HDR.get(int(frame.color_trc), "SDR")
    notes = list(info.notes)
    fields = "progressive"
    if frame.interlaced_frame:
        fields = FIELDS.get(int(stream.codec_context.field_order), "interlaced")
        notes.append(DEINTERLACED)
    if aspect != 1:
        stored = f"{frame.width} x {frame.height} pixels of {aspect.numerator}:{aspect.denominator}"
        notes.append(f"squared: {stored} were made {width} x {height} square ones")
    if transfer != "SDR":
        notes.append(f"tone-mapped: the pictures are of high dynamic range ({transfer})")
    return replace(
        info,
        width=height if turn % 2 else width,
        height=width if turn % 2 else height,
        rotation_degrees=(-90 * turn) % 360,
        pixel_aspect=aspect,
        transfer=transfer,
        fields=fields,
        notes=tuple(notes),
    )


def _declared_rates(stream: Any | None) -> list[float]:
    """Pictures per second that a track declares, and those that FFmpeg makes of it."""
    both = (stream.average_rate, stream.guessed_rate) if stream is not None else ()
    return [float(rate) for rate in both if rate]


def believed(rate: float) -> bool:
    """Tell whether so many pictures per second are believed without looking at their times."""
    return _SLOWEST <= rate <= _FASTEST


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
            note(f"damaged: some {stream.type} was skipped ({error.strerror})")


def packets_of(container: Any, stream: Any, note: Callable[[str], None]) -> Iterator[Any]:
    """Read the packets of a track until the end, or until reading fails; see `decoded`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            note(f"damaged: reading the {stream.type} stopped ({error.strerror})")
            return
        except IndexError:  # a packet of a track that only begins here, which PyAV does not know
            packets = container.demux(stream)
            continue
        if packet is None:
            return
        yield packet


def _codec(stream: Any | None) -> Any | None:
    return stream.codec_context if stream is not None else None


def measured(info: MediaInfo, container: Any, stream: Any) -> MediaInfo:
    """Read on for what the file does not say, or not believably: length and rate of a track.

    Browsers and streams write such files, because they do not know the length when they begin.
    """
    doubtful = stream.type == "video" and not (info.fps and believed(info.fps))
    if info.duration_seconds > 0 and not doubtful:
        return info
    # Damage is not noted here: whoever decodes the track meets it again.
    packets = (p for p in packets_of(container, stream, lambda problem: None) if p.size)
    # Where the length is known, some packets tell the rate; where it is not, the last one counts.
    few = islice(packets, _LOOKED_AT if info.duration_seconds > 0 else None)
    times: list[Fraction] = []
    last, count, timed = Fraction(0), 0, True
    for packet in few:
        count += 1
        ticks = packet.dts if packet.pts is None else packet.pts
        timed = timed and packet.pts is not None
        if ticks is not None:
            ticks -= stream.start_time or 0
            times.append(ticks * stream.time_base)
            # The greatest, because packets come in order of decoding.
            last = max(last, (ticks + (packet.duration or 0)) * stream.time_base)
    if doubtful:
        info = _with_rate(info, times, _declared_rates(stream))
    if info.duration_seconds > 0:
        return info
    step = 1 / (info.fps or 25.0)
    # Without times of display the pictures are counted: it lasts as long as they do at least.
    seconds = float(last) if timed else max(float(last), count * step)
    return replace(info, duration_seconds=seconds)


def _with_rate(info: MediaInfo, times: list[Fraction], declared: list[float]) -> MediaInfo:
    """The rate that times tell, where the declared one is not believed."""
    span = max(times, default=Fraction(0)) - min(times, default=Fraction(0))
    # Nothing is told by times that are all the same.
    if not span:
        return replace(info, fps=next(filter(believed, declared), None))
    rate = float((len(times) - 1) / span)
    # A declared rate nearby is the exact one, such as 30000/1001: times are rounded to ticks.
    near = [other for other in declared if abs(rate / other - 1) < _SAME_RATE]
    if near:
        return replace(info, fps=near[0])
    claim = f"{declared[0]:.6g}" if declared else "no"
    note = f"rate: {claim} pictures per second are declared, and {rate:.4g} are there"
    return replace(info, fps=rate, notes=(*info.notes, note))


def duration(container: Any, stream: Any | None) -> float:
    """Seconds that a track lasts, as its file says; 0 where it does not."""
    own = own_duration(container, stream)
    if own is not None:
        return own
    seconds = float(container.duration or 0) / av.time_base
    if stream is None or "matroska" not in container.format.name:
        return seconds
    return max(0.0, seconds - _start(stream))  # there it is the time of the end of the longest


def own_duration(container: Any, stream: Any | None) -> float | None:
    """Seconds that a file declares for this track, and not only for the longest of all."""
    if stream is None:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if "matroska" not in container.format.name:
        return None
    # DURATION, or DURATION-eng where the writer adds the language.
    tag = _CLOCK.match(next((v for k, v in stream.metadata.items() if k[:8] == "DURATION"), ""))
    if tag is None:
        return None
    # The tag is the time at which the track ends.
    end = float(tag[1]) * 3600 + float(tag[2]) * 60 + float(tag[3])
    return max(0.0, end - _start(stream))


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)
