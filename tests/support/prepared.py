"""A small corpus with features in a store, made without media: for tests of what comes after."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from traitscope.features.request import Request, make_request
from traitscope.features.store import StatusRow, Store
from traitscope.types import TRAITS, Stream

SPLITS = ("train",) * 6 + ("validation",) * 2 + ("test",) * 2


def requests() -> dict[str, Request]:
    """The streams that are there, by name."""
    return {
        "mid_term": make_request("mid_term", {}),
        "short_term": make_request("short_term", {}),
        "signals": make_request("signals", {"backend": "dlib"}),
    }


def make_corpus(folder: Path, *, clips: int = 40, kind: str = "apparent") -> str:
    """Write a table corpus without media; two clips per source; returns its address."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "source", "split", *TRAITS])
        for number in range(clips):
            scores = rng.uniform(0.2, 0.8, len(TRAITS)).round(4)
            source = number // 2
            writer.writerow(
                [f"c{number:03d}", f"s{source:03d}", SPLITS[source % len(SPLITS)], *scores]
            )
    targets = {
        name: {"low": 0, "high": 1, "direction": -1 if name == "neuroticism" else 1}
        for name in TRAITS
    }
    facts = {"name": "small", "kind": kind, "targets": targets}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    return f"table:{folder / 'clips.csv'}"


def make_store(
    folder: Path,
    address: str,
    *,
    failed: Sequence[str] = (),
    streams: Sequence[str] = ("mid_term", "short_term", "signals"),
) -> Store:
    """Fill a store with features that carry the labels, with noise."""
    from traitscope.corpora import load_corpus

    corpus, store = load_corpus(address), Store(folder)
    widths = {"mid_term": (6, 8), "short_term": (20, 8), "signals": (20, 8)}
    for name in streams:
        request = requests()[name]
        store.add(request.key, request.fingerprint)
        rng = np.random.default_rng(1)
        for clip in corpus.clips:
            if clip.id in failed:
                reason = f"no face in {clip.id}"
                store.record(request.key, StatusRow(clip.id, status="no_face", reason=reason))
                continue
            rows, columns = widths[name]
            values = rng.normal(size=(rows, columns)).astype(np.float32)
            values[:, : len(TRAITS)] += 20 * np.array(list(clip.targets.values()))
            named = (*(f"AU{i}" for i in range(columns - 3)), "gaze_x", "pose_y", "frame")
            stream = Stream(time=np.arange(rows) / 5, values=values, columns=named)
            store.record(request.key, store.write(request.key, clip.id, stream))
        store.settle(request.key)
    return store


def data(place: Path) -> list[str]:
    """Settings of a run on the corpus and the store in a folder."""
    return [f"data.corpus=table:{place / 'clips.csv'}", f"data.store={place / 'store'}"]


def history(run: Path) -> list[dict[str, str]]:
    """What a run recorded of each epoch."""
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))
