"""Runs to serve: one that sees faces and says all five traits, trained without any video."""

import csv
from pathlib import Path

import yaml

from tests.support.planted_signals import make
from traitscope.training.fitting import train
from traitscope.types import TRAITS


def train_watcher(folder: Path) -> Path:
    """Train a run in ``folder/watcher`` on planted signals of faces, as dlib would give them."""
    corpus, _ = make(folder / "signals", seed=0, subjects=8)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "source", "subject", "split", *TRAITS])
        for clip in corpus.clips:
            scores = [clip.targets[name] for name in TRAITS]
            writer.writerow([clip.id, clip.source, clip.subject, clip.split, *scores])
    targets = {
        target.name: {"low": target.low, "high": target.high, "direction": target.direction}
        for target in corpus.targets
    }
    facts = {"name": "planted", "kind": "apparent", "targets": targets}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    data = [f"data.corpus=table:{folder / 'clips.csv'}", f"data.store={folder / 'signals'}"]
    model = ["model.streams=[signals]", "features.signals.backend=dlib"]
    return train("functionals", [*data, *model], to=folder / "watcher")
