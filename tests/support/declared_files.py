"""Files that declare something unusual, made with PyAV: pixels, fields, light, tracks, times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.support.media_files import numbered

LIGHT = {"smpte2084": 16, "arib-std-b67": 18}
"""x264's names of the transfer characteristics, and FFmpeg's numbers."""


def write_pixels(
    path: Path,
    codec: str,
    size: tuple[int, int],
    aspect: Fraction,
    *,
    frames: int = 5,
    options: dict[str, str] | None = None,
    b_frames: int = 0,
) -> Path:
    """Numbered pictures of (width, height) whose pixels have an aspect."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if b_frames:
            stream.codec_context.max_b_frames = b_frames
        for number in range(frames):
            image = numbered(number, width=size[0], height=size[1])
            _encode(container, stream, av.VideoFrame.from_ndarray(image, format="rgb24"), number)
        container.mux(stream.encode())
    return path


def write_light(path: Path, transfer: str, level: float, *, frames: int = 3) -> Path:
    """Grey pictures of high dynamic range, with a code value from 0 to 1."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        names = f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
        stream.options = {"x264-params": names}
        grey = np.full((64, 96, 3), round(level * 65535), np.uint16)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(grey, format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_color_range="MPEG")
            frame.color_trc, frame.color_primaries, frame.colorspace = LIGHT[transfer], 9, 9
            _encode(container, stream, frame, number)
        container.mux(stream.encode())
    return path


def write_interlaced(
    path: Path, codec: str, options: dict[str, str], *, bottom_first: bool, frames: int = 12
) -> Path:
    """A white bar that moves between the two fields of each picture, as cameras record it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(frames):
            early, late = moving_bar(2 * number), moving_bar(2 * number + 1)
            image = early.copy()
            rows = slice(0, None, 2) if bottom_first else slice(1, None, 2)
            image[rows] = late[rows]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = _flagged(frame.reformat(format="yuv420p"), bottom_first=bottom_first)
            _encode(container, stream, frame, number)
        container.mux(stream.encode())
    return path


def moving_bar(moment: int) -> np.ndarray:
    """A dark picture with a bright upright bar, 6 pixels further at each moment."""
    image = np.full((240, 320, 3), 40, np.uint8)
    image[:, 20 + 6 * moment : 60 + 6 * moment] = 220
    return image


def combing(image: np.ndarray) -> float:
    """How much rows differ from the rows above and below."""
    rows = image.astype(float).mean(axis=2)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


def _flagged(frame: Any, *, bottom_first: bool) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    field = graph.add("setfield", f"mode={'bff' if bottom_first else 'tff'}")
    graph.link_nodes(source, field, graph.add("buffersink")).configure()
    frame.pts = 0
    graph.push(frame)
    return graph.pull()


def write_tracks(
    path: Path,
    sounds: Sequence[np.ndarray],
    *,
    default: int | None = None,
    aside: int | None = None,
) -> Path:
    """Numbered pictures with several mono tracks of sound at 16 kHz, one flagged."""
    flags = av.stream.Disposition
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = numbered(0).shape[:2]
        video.pix_fmt = "yuv420p"
        tracks = []
        for number, _ in enumerate(sounds, 1):
            track = container.add_stream("aac", rate=16000, layout="mono")
            if default is not None:
                track.disposition = flags.default if number == default else flags(0)
            if number == aside:
                track.disposition = flags.comment
            tracks.append(track)
        seconds = sounds[0].shape[1] / 16000
        for number in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            _encode(container, video, frame, number)
        container.mux(video.encode())
        for track, sound in zip(tracks, sounds, strict=True):
            _sound(container, track, sound)
    return path


def write_cover(path: Path, sound: np.ndarray, *, frames: int, flagged: bool = False) -> Path:
    """One JPEG in a track of its own, before the sound and perhaps video."""
    _, data = cv2.imencode(".jpg", np.full((200, 200, 3), 90, np.uint8))
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width = cover.height = 200
        cover.pix_fmt = "yuvj420p"
        if flagged:
            cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25) if frames else None
        if video is not None:
            video.height, video.width = numbered(0).shape[:2]
            video.pix_fmt = "yuv420p"
        mp3 = path.suffix == ".mp3"
        track = container.add_stream("libmp3lame" if mp3 else "aac", rate=16000, layout="mono")
        container.start_encoding()
        _mux(container, cover, bytes(data), 0)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            _encode(container, video, frame, number)
        if video is not None:
            container.mux(video.encode())
        _sound(container, track, sound)
    return path


def write_exif(path: Path, *, turn: int, frames: int = 5) -> Path:
    """Numbered JPEGs with an EXIF block, as some cameras write them."""
    tag = b"\x12\x01\x03\x00\x01\x00\x00\x00" + turn.to_bytes(4, "little")
    block = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + bytes(4)
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width = numbered(0).shape[:2]
        stream.pix_fmt = "yuvj420p"
        container.start_encoding()
        for number in range(frames):
            _, data = cv2.imencode(".jpg", numbered(number)[..., ::-1])
            _mux(container, stream, data[:2].tobytes() + segment + data[2:].tobytes(), number)
    return path


def _mux(container: Any, stream: Any, data: bytes, number: int) -> None:
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, Fraction(1, 25)
    packet.pts = packet.dts = number
    packet.duration, packet.is_keyframe = 1, True
    container.mux(packet)


def _encode(container: Any, stream: Any, frame: Any, number: int) -> None:
    frame.pts, frame.time_base = number, Fraction(1, 25)
    container.mux(stream.encode(frame))


def _sound(container: Any, track: Any, sound: np.ndarray) -> None:
    for start in range(0, sound.shape[1], 1024):
        piece = np.ascontiguousarray(sound[:, start : start + 1024], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(track.encode(frame))
    container.mux(track.encode())
