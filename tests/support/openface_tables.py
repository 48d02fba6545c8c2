"""OpenFace tables with traits, made for tests: rows of signals whose means carry the labels."""

import csv
from pathlib import Path

import numpy as np

from traitscope.extract.signals import SIGNALS
from traitscope.types import TRAITS

SPLITS = ("train",) * 5 + ("validation",) + ("test",) * 2
HEADER = ("ID", "File", "split", "frame", "timestamp", "confidence", "success", *SIGNALS)


def clip_name(number: int) -> str:
    """A name as in First Impressions; two clips per source."""
    return f"Source{number // 2:05d}.{number % 2:03d}.mp4"


def write_table(path: Path, *, clips: int = 32, rows: int = 45, first: int = 0) -> Path:
    """A long table; traits lie between .2 and .8; row 12 of each clip is without success."""
    rng = np.random.default_rng(first)
    names = list(TRAITS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [*HEADER, "Happy", *("extroversion" if n == "extraversion" else n for n in names)]
        )
        for number in range(first, first + clips):
            labels = rng.uniform(0.2, 0.8, len(names)).round(4)
            split = SPLITS[number // 2 % len(SPLITS)]
            for row in range(rows):
                signals = rng.normal(1, 0.05, len(SIGNALS))
                signals[: len(names)] += 3 * labels
                success = int(row != 12)
                writer.writerow(
                    [number, clip_name(number), split, row + 1, round(row / 30, 3), 0.98, success,
                     *signals.round(3), 0.5, *labels]
                )  # fmt: skip
    return path
