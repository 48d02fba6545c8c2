"""A store of pictures made without a detector, and a transform that ends the process it runs in."""

import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traitscope.augment import Augmentation, Changed, settle
from traitscope.config import Config
from traitscope.data.examples import Examples
from traitscope.features.store import StatusRow, Store
from traitscope.types import Clip, Draw, Rows, Stream

KEY = "faces-0"


def make_pictures(folder: Path, *, clips: int = 6, rows: int = 10, size: int = 32) -> Store:
    """Write pictures of noise; every third row of every clip is missing."""
    store, rng = Store(folder), np.random.default_rng(0)
    store.add(KEY, {"extractor": "faces"})
    for number in range(clips):
        images = []
        for row in range(rows):
            pixels = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (size, size))
            images.append(b"" if row % 3 == 2 else cv2.imencode(".jpg", pixels)[1].tobytes())
        valid = np.array([bool(image) for image in images])
        stream = Stream(np.arange(rows) / 5, images=tuple(images), valid=valid)
        store.write(KEY, f"clip_{number}", stream)
        store.record(KEY, StatusRow(f"clip_{number}", rows=rows, coverage=stream.coverage))
    return store


def pictures(
    store: Store, *, clips: int = 6, rows: Rows | None = None, size: int = 24, augment: Any = ()
) -> Examples:
    """Examples of them as in training; ``augment`` holds settings or transforms."""
    chosen = settle(augment, ["faces"]) if isinstance(augment, dict) else tuple(augment)
    draws = {"faces": Draw(train=rows or Rows("random", 3), evaluate=Rows("even", 3), size=size)}
    all_clips = [Clip(f"clip_{n}", targets={"openness": n / clips}) for n in range(clips)]
    plain = Examples(all_clips, store, {"faces": KEY}, draws, targets=["openness"])
    return plain.for_training(3, chosen)


def kill(streams: Any, masks: Any, config: Any, rng: np.random.Generator) -> Changed:
    """End this process as the system does when memory is short, every fourth time."""
    if rng.integers(4) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return dict(streams), dict(masks)


KILLING = Augmentation("killing", Config(), augment=kill)
