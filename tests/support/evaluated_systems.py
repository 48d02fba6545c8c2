"""Folders of evaluated systems, made quickly: predictions and reports without a run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from traitscope.corpora import load_corpus
from traitscope.data.protocols import Protocol
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.evaluation.report import Scoring, save_report
from traitscope.types import TRAITS

FAST = Scoring(resamples=300, rank_resamples=50)


def frame(address: str, split: str, *, noise: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Predictions of one split that know the labels up to noise."""
    corpus = load_corpus(address)
    clips = [clip for clip in corpus.clips if clip.split == split]
    labels = corpus.with_clips(clips).labels(TRAITS)
    values = labels + np.random.default_rng(seed).normal(0, noise, labels.shape)
    columns = {f"predicted_{name}": values[:, i] for i, name in enumerate(TRAITS)}
    return pd.DataFrame({"clip": [clip.id for clip in clips], **columns})


def write_evaluated(
    to: Path,
    address: str,
    frames: Mapping[str, pd.DataFrame],
    *,
    protocol: Protocol | None = None,
) -> Path:
    """Write ``evaluation/SPLIT`` of each split, as ``evaluate`` does; returns the folder."""
    for split, frame in frames.items():
        place = to / "evaluation" / split
        place.mkdir(parents=True)
        frame.to_csv(place / "predictions.csv", index=False)
        settings = {"split": split, "protocol": protocol, "scoring": FAST, "address": address}
        report = evaluate_predictions(
            place / "predictions.csv",
            load_corpus(address),
            name=str(to),
            **settings,  # type: ignore[arg-type]
        )
        save_report(report, place / "report.json")
    return to
