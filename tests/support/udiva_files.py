"""UDIVA in its real layout: sessions of two people, z-scores, perhaps recordings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

SCORES = {"12": [0.5, -1.25, 0.0, 2.0, -0.5], "7": [1.0, 1.0, 1.0, 1.0, 1.0]}


def write_udiva(
    folder: Path,
    sessions: Mapping[str, Mapping[str, Sequence[str | int]]],
    scores: Mapping[str, Sequence[float]],
    *,
    tasks: Sequence[str] = ("talk",),
    metadata: str | None = None,
) -> Path:
    """Write annotations: split word -> session -> the two participants; participant -> z-scores."""
    for task in tasks:
        place = folder / "annotation" / task
        place.mkdir(parents=True, exist_ok=True)
        for split, entries in sessions.items():
            people = {s: {"FC1_T": pair[0], "FC2_T": pair[1]} for s, pair in entries.items()}
            (place / f"sessions_{split}_id.json").write_text(json.dumps(people))
            there = {str(p) for pair in entries.values() for p in pair}
            known = {p: list(values) for p, values in scores.items() if p in there}
            (place / f"parts_{split}_personality.json").write_text(json.dumps(known))
    if metadata is not None:
        (folder / "metadata").mkdir(exist_ok=True)
        (folder / "metadata/metadata_train.csv").write_text(metadata)
    return folder
