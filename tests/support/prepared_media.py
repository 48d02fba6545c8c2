"""Small media to prepare, and what a store holds afterwards."""

import wave
from pathlib import Path

import av
import numpy as np
from skimage.data import astronaut

from traitscope.features.preparation import Summary
from traitscope.features.store import Store
from traitscope.types import Clip, Corpus, Target

SOUND = {"short_term": {}}
FACES = {"rate": 2, "backend": "haar", "size": 32}
NAMES = [
    "plain.wav",
    "with 'quotes' and \"more\".wav",
    "Grüße aus Köln.wav",
    "-x.wav",
    "A.wav",
    "a",
]


def write_sound(path: Path, *, seconds: float = 0.5, pitch: float = 220.0) -> Path:
    samples = np.sin(2 * np.pi * pitch * np.arange(int(16000 * seconds)) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 12000).astype("<i2").tobytes())
    return path


def write_video(path: Path, *, frames: int = 10) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for shift in range(frames):
            picture = np.roll(astronaut()[:256, 96:352], shift, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.copy())))
        container.mux(stream.encode())
    return path


def corpus_of(*clips: Clip) -> Corpus:
    return Corpus("test", "apparent", (Target("openness", 0, 1, 1),), clips)


def sounds(folder: Path, names: list[str] = NAMES) -> Corpus:
    folder.mkdir(exist_ok=True)
    paths = [
        write_sound(folder / f"{place}.wav", pitch=200 + 50 * place) for place in range(len(names))
    ]
    return corpus_of(*[Clip(name, path) for name, path in zip(names, paths, strict=True)])


def spoken(number: int) -> Corpus:
    return corpus_of(*[Clip(f"c{n:02d}", transcript=f"so we say {n}") for n in range(number)])


def content(store: Path) -> dict[str, bytes]:
    files = sorted(path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def times(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.rglob("*.npz")}


def key_of(summary: Summary) -> str:
    (feature,) = summary.features
    return feature.key


def statuses(store: Path, summary: Summary) -> dict[str, str]:
    return {clip: row.status for clip, row in Store(store).statuses(key_of(summary)).items()}
