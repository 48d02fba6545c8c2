"""Small media made with PyAV for the tests: numbered pictures, tones, a portrait."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, BITS = 96, 64, 8


def numbered(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture that shows its number as eight bright or dark columns, with a red upper left."""
    image = np.full((height, width, 3), 60, np.uint8)
    for bit in range(BITS):
        columns = slice(bit * width // BITS, (bit + 1) * width // BITS)
        image[height // 2 :, columns] = 220 if number >> bit & 1 else 20
    image[: height // 4, : width // 4] = (230, 20, 20)
    return image


def number_of(image: np.ndarray) -> int:
    """Read the number back from a decoded picture."""
    height, width = image.shape[:2]
    row = image[3 * height // 4].mean(axis=1)
    return sum((row[int((bit + 0.5) * width / BITS)] > 120) << bit for bit in range(BITS))


def write_video(
    path: Path,
    *,
    times: Sequence[float] | None = None,
    frames: int = 30,
    fps: int = 25,
    picture: Callable[[int], np.ndarray] = numbered,
    sound: np.ndarray | None = None,
    sound_start: float = 0.0,
    rate: int = 16000,
    layout: str = "mono",
    rotation: int = 0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """Encode pictures, at given times or a fixed rate, and sound of (channels, samples)."""
    times = [n / fps for n in range(frames)] if times is None else list(times)
    first = picture(0)
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        video = container.add_stream(codec, rate=fps)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 12000)
        video.codec_context.gop_size = 12
        if rotation:
            video.set_display_rotation(-rotation)
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=rate)
            audio.layout = layout
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = round(time * 12000), Fraction(1, 12000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            _encode_sound(container, audio, sound, rate, layout, first=round(sound_start * rate))
    return path


def write_sound(
    path: Path,
    sound: np.ndarray,
    *,
    rate: int = 16000,
    layout: str = "mono",
    codec: str = "pcm_s16le",
) -> Path:
    """Encode sound of (channels, samples)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        _encode_sound(container, stream, sound, rate, layout)
    return path


def _encode_sound(
    container, stream, sound: np.ndarray, rate: int, layout: str, *, first: int = 0
) -> None:
    samples = np.ascontiguousarray(sound, dtype=np.float32)
    resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
    for start in range(0, samples.shape[1], 1024):
        piece = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first + start, Fraction(1, rate)
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode())


def tone(
    seconds: float, *, rate: int = 16000, hertz: float = 440.0, level: float = 0.5
) -> np.ndarray:
    """A sine of (1, samples)."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time))[None, :].astype(np.float32)


def portrait(size: int = 256) -> np.ndarray:
    """NASA's public-domain portrait of Eileen Collins, the face in the middle."""
    import cv2
    from skimage.data import astronaut

    return cv2.resize(astronaut()[0:320, 64:384], (size, size), interpolation=cv2.INTER_AREA)
