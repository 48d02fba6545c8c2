"""A store with the streams that a model asks for, made without media: pictures and numbers."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.features.store import Store
from traitscope.runs.plan import load_run, plan
from traitscope.types import Stream

SAMPLES = 3000
"""Of the sound of a clip."""
KEY = "faces-1f3a9c20d4e7"
FINGERPRINT = {"extractor": "faces", "version": 2, "config": {"rate": 5.0, "size": 224}}


def numbers(rows: int = 3, dtype: str = "float32") -> Stream:
    """A stream of two columns with a row missing and facts of every kind."""
    return Stream(
        np.arange(rows) / 5,
        np.arange(rows * 2, dtype=dtype).reshape(rows, 2),
        valid=np.arange(rows) != 1,
        columns=("gaze_x", "gaze_y"),
        info={"coverage": 0.5, "unit": "°", "nested": {"a": [1, None]}},
    )


def store_of_faces(folder: Path) -> Store:
    """A store that knows one feature and holds no clip of it."""
    store = Store(folder)
    store.add(KEY, FINGERPRINT)
    return store


def tiny_settings(name: str, **changes: Any) -> list[str]:
    """The TINY config of a model's file as key=value settings."""
    options = {**registry.load("models", name).TINY.model_dump(mode="json"), **changes}
    return [f"model.{key}={json.dumps(value)}" for key, value in options.items()]


def fill_store(folder: Path, address: str, name: str, settings: list[str], rows: int = 8) -> Store:
    """Write random rows for every stream that a run of these settings draws; row 1 is missing."""
    corpus, store = load_corpus(address), Store(folder)
    for request in plan(load_run(name, settings)).requests.values():
        config: Any = request.config
        sound = request.name == "waveform"
        store.add(request.key, request.fingerprint)
        rng = np.random.default_rng(3)
        for clip in corpus.clips:
            count = getattr(config, "segments", None) or (SAMPLES if sound else rows)
            valid = np.ones(count, bool)
            valid[1] = sound or bool(getattr(config, "segments", None))
            time = np.arange(count) / (config.sample_rate_hz if sound else 5)
            if sound:
                stream = Stream(time=time, values=rng.normal(size=count).astype(np.float32))
            elif request.name in {"faces", "frames", "drawings"}:
                side = config.size
                noise = rng.integers(0, 255, (count, side, side, 3)).astype(np.uint8)
                jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in noise]
                images = tuple(jpeg if ok else b"" for jpeg, ok in zip(jpegs, valid, strict=True))
                stream = Stream(time=time, images=images, valid=valid)
            else:
                columns = registry.load("extract", request.name).COLUMNS
                points = [config.points] if hasattr(config, "points") else []
                values = rng.normal(size=(count, *points, len(columns)))
                values[~valid] = np.nan
                stream = Stream(time=time, values=values, valid=valid, columns=columns)
            store.record(request.key, store.write(request.key, clip.id, stream))
        store.settle(request.key)
    return store
