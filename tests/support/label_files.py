"""Label files of First Impressions as ChaLearn ships them: pickles of Python 2, protocol 2.

A small writer makes them, because Python 3 writes other instructions: text as SHORT_BINSTRING,
repeated objects from memory, ``interview`` as NumPy scalars.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.types import TRAITS

KEYS = (
    "extraversion",
    "neuroticism",
    "agreeableness",
    "conscientiousness",
    "interview",
    "openness",
)
SPLIT_FILES = {"train": "training", "validation": "validation", "test": "test"}


class Writer:
    """Python 2's cPickle for dicts of text, floats and NumPy scalars."""

    def __init__(self) -> None:
        self.memory: dict[Any, int] = {}

    def dump(self, tree: Mapping[str, Any]) -> bytes:
        return b"\x80\x02" + self.dict(tree) + b"."

    def dict(self, tree: Mapping[str, Any]) -> bytes:
        start = b"}" + self.put(object())
        if not tree:
            return start
        return start + b"(" + b"".join(self.text(k) + self.value(v) for k, v in tree.items()) + b"u"

    def value(self, value: Any) -> bytes:
        if isinstance(value, Mapping):
            return self.dict(value)
        if isinstance(value, np.float64):
            return self.scalar(value)
        if isinstance(value, str):
            return self.text(value)
        return b"G" + struct.pack(">d", value)

    def text(self, text: str) -> bytes:
        if ("text", text) in self.memory:
            return self.get(("text", text))
        raw = text.encode("utf-8")
        head = b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))
        return head + raw + self.put(("text", text))

    def scalar(self, value: np.float64) -> bytes:
        raw = struct.pack("<d", value)
        return self.name("scalar") + self.dtype() + b"U\x08" + raw + b"\x86R" + self.put(object())

    def name(self, name: str) -> bytes:
        if ("name", name) in self.memory:
            return self.get(("name", name))
        module = {"scalar": b"numpy.core.multiarray", "dtype": b"numpy"}[name]
        return b"c" + module + b"\n" + name.encode() + b"\n" + self.put(("name", name))

    def dtype(self) -> bytes:
        if "f8" in self.memory:
            return self.get("f8")
        made = self.name("dtype") + b"U\x02f8K\x00K\x01\x87R" + self.put("f8")
        return made + b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"

    def put(self, key: Any) -> bytes:
        place = self.memory[key] = len(self.memory)
        return b"q" + bytes([place]) if place < 256 else b"r" + struct.pack("<I", place)

    def get(self, key: Any) -> bytes:
        place = self.memory[key]
        return b"h" + bytes([place]) if place < 256 else b"j" + struct.pack("<I", place)


def name_of(source: int, number: int) -> str:
    """The name of a clip: an id of 11 characters that may begin with - or _, then a number."""
    return f"{'-_aZ'[source % 4]}src{source:05d}_x"[:11] + f".{number:03d}.mp4"


def write_labels(folder: Path, split: str, labels: Mapping[str, Mapping[str, float]]) -> Path:
    """Write ``annotation_SPLIT.pkl`` from clip -> target -> value."""
    folder.mkdir(parents=True, exist_ok=True)
    tree: dict[str, dict[str, Any]] = {key: {} for key in KEYS}
    for clip, values in labels.items():
        for key in KEYS:
            if key in values:
                value = values[key]
                tree[key][clip] = np.float64(value) if key == "interview" else value
    path = folder / f"annotation_{SPLIT_FILES[split]}.pkl"
    path.write_bytes(Writer().dump(tree))
    return path


def write_transcripts(folder: Path, split: str, texts: Mapping[str, str]) -> Path:
    """Write ``transcription_SPLIT.pkl``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"transcription_{SPLIT_FILES[split]}.pkl"
    path.write_bytes(Writer().dump(texts))
    return path


def make_first_impressions(
    folder: Path, *, train: int = 60, validation: int = 20, test: int = 20, sources: int = 40
) -> dict[str, dict[str, dict[str, float]]]:
    """Write labels and transcripts of three splits that share sources.

    Returns:
        split -> clip -> target -> value.
    """
    rng = np.random.default_rng(0)
    level = rng.normal(0.5, 0.11, sources)
    made: dict[str, dict[str, dict[str, float]]] = {}
    counts = [0] * sources
    for split, clips in {"train": train, "validation": validation, "test": test}.items():
        made[split] = {}
        for _ in range(clips):
            source = int(rng.integers(0, sources * 3 // 4 if split == "train" else sources))
            values = np.clip(level[source] + rng.normal(0, 0.09, 6), 0, 1)
            keys = (*TRAITS, "interview")
            clip = name_of(source, counts[source])
            made[split][clip] = dict(zip(keys, map(float, values), strict=True))
            counts[source] += 1
        write_labels(folder, split, made[split])
        texts = {clip: f"I would like to tell you about clip {clip} ..." for clip in made[split]}
        write_transcripts(folder, split, texts)
    return made
