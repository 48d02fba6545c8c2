"""Several tables of predictions in, their paired differences out, on the clips all of them have."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope import baselines, protocols
from traitscope.errors import DataError
from traitscope.intervals import Clustered, Difference, cluster, compare, correct
from traitscope.metrics import MACRO, Array
from traitscope.prediction_tables import Predictions, labelled, read_predictions
from traitscope.protocols import Protocol
from traitscope.scoring import Scoring
from traitscope.types import Clip, Corpus


def compare_predictions(
    tables: Mapping[str, Path | pd.DataFrame],
    corpus: Corpus,
    *,
    split: str = "test",
    protocol: Protocol | None = None,
    metrics: Sequence[str] = ("skill", "ccc"),
    scoring: Scoring | None = None,
) -> dict[str, Any]:
    """Compare every two systems on the clips that all of them scored.

    Args:
        tables: name of a system -> its predictions.
        corpus: the labels.
        split: which split was predicted.
        protocol: how the clips are split; official by default.
        metrics: what to compare.
        scoring: resamples and seed.

    Returns:
        ``systems``, ``clips``, ``sources``, ``targets``, ``differences`` (first minus second,
        95 % interval, p, and p corrected by Holm over all pairs and targets of one metric; macro
        over all pairs) and ``notes``.

    Raises:
        DataError: there are fewer than two systems, or no clips or targets in common.
    """
    if len(tables) < 2:
        raise DataError(f"{len(tables)} system given; a comparison takes two or more.")
    scoring = scoring or Scoring()
    splits = protocols.split(corpus, protocol or Protocol())
    asked = splits.part(split)
    read = {
        name: labelled(read_predictions(table, asked, targets=corpus.target_names))
        for name, table in tables.items()
    }
    names = [n for n in corpus.target_names if all(n in each.targets for each in read.values())]
    shared = set.intersection(*({clip.id for clip in each.clips} for each in read.values()))
    clips = [clip for clip in asked if clip.id in shared]
    if not names or not clips:
        raise DataError("The systems have no clips or no targets in common to compare them on.")
    means = baselines.fitted_means(splits.fitted, names)
    systems = {name: _cluster(each, clips, corpus, names, means) for name, each in read.items()}
    return {
        "systems": list(systems),
        "clips": len(clips),
        "sources": len({clip.source for clip in clips}),
        "targets": names,
        "differences": _differences(systems, names, metrics, scoring),
        "notes": _notes(read, len(asked)),
    }


def _cluster(
    read: Predictions, clips: Sequence[Clip], corpus: Corpus, names: Sequence[str], means: Array
) -> Clustered:
    """Reduce the predictions of the shared clips and targets to sums per source."""
    places = {clip.id: place for place, clip in enumerate(read.clips)}
    columns = [read.targets.index(name) for name in names]
    values = read.values.mean(axis=0)[[places[clip.id] for clip in clips]][:, columns]
    target = corpus.with_clips(clips).labels(names)
    spans = [_span(corpus, name) for name in names]
    return cluster(target, values, [clip.source for clip in clips], constant=means, span=spans)


def _notes(read: Mapping[str, Predictions], asked: int) -> list[str]:
    notes = [f"{name}: {note}" for name, each in read.items() for note in each.notes]
    return notes + [
        f"{name}: {len(each.failures)} of {asked} clips have no usable prediction."
        for name, each in read.items()
        if each.failures
    ]


def _differences(
    systems: Mapping[str, Clustered], names: Sequence[str], metrics: Sequence[str], scoring: Scoring
) -> list[dict[str, Any]]:
    found: list[tuple[str, str, Difference]] = []
    for first, second in combinations(systems, 2):
        pair = compare(
            systems[first],
            systems[second],
            names=names,
            metrics=metrics,
            resamples=scoring.resamples,
            seed=scoring.seed,
        )
        found += [(first, second, difference) for difference in pair]
    rows = []
    for metric in metrics:
        for is_macro in (True, False):
            family = [
                f for f in found if f[2].metric == metric and (f[2].target == MACRO) == is_macro
            ]
            corrected = correct([difference for _, _, difference in family])
            rows += [
                {"first": first, "second": second, **asdict(difference)}
                for (first, second, _), difference in zip(family, corrected, strict=True)
            ]
    return rows


def _span(corpus: Corpus, name: str) -> float:
    target = corpus.target(name)
    return np.nan if target.low is None or target.high is None else target.high - target.low
