"""A made-up corpus with an impression in common, and systems that deserve one verdict each."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.evaluation.report import Report, ScoredRow, Scoring
from traitscope.types import TRAITS, Clip, Corpus, Target

FAST = Scoring(resamples=300, rank_resamples=20)
TARGETS = tuple(Target(name, 0, 1, -1 if name == "neuroticism" else 1) for name in TRAITS)
Values = NDArray[np.float64]


def made_corpus(clips: int = 900, sources: int = 300, *, name: str = "first_impressions") -> Corpus:
    """Labels follow their source and a halo; a quarter of the sources is never in train."""
    rng = np.random.default_rng(0)
    level = 0.52 + rng.normal(0, 0.1, (sources, 1)) + rng.normal(0, 0.06, (sources, len(TRAITS)))
    made = []
    for i in range(clips):
        split = ("train", "train", "train", "validation", "test")[i % 5]
        source = int(rng.integers(0, sources * 3 // 4 if split == "train" else sources))
        labels = np.clip(level[source] + rng.normal(0, 0.08, len(TRAITS)), 0, 1)
        targets = dict(zip(TRAITS, map(float, labels), strict=True))
        made.append(Clip(f"c{i:04}", source=f"s{source}", split=split, targets=targets))
    return Corpus(name, "apparent", TARGETS, tuple(made))


def rated_corpus(noise: float = 0.1, *, raters: int = 3) -> Corpus:
    """Labels that are means of crossed raters, with the true score as an attribute."""
    rng = np.random.default_rng(5)
    corpus = made_corpus(name="table:rated")
    clips, ratings = [], {}
    for clip in corpus.clips:
        said = {
            f"r{k}": {n: float(v + 0.1 * k + rng.normal(0, noise)) for n, v in clip.targets.items()}
            for k in range(raters)
        }
        ratings[clip.id] = said
        means = {n: float(np.mean([each[n] for each in said.values()])) for n in TRAITS}
        clips.append(replace(clip, targets=means))
    wide = tuple(replace(target, low=-1, high=2) for target in corpus.targets)
    return replace(corpus, clips=tuple(clips), ratings=ratings, targets=wide)


def part_of(corpus: Corpus, split: str = "test") -> list[Clip]:
    """The clips of a split."""
    return [clip for clip in corpus.clips if clip.split == split]


def labels_of(clips: Sequence[Clip]) -> Values:
    """Labels (clips, traits)."""
    return np.array([[clip.targets[name] for name in TRAITS] for clip in clips])


def made_people(people: int = 40, tasks: int = 4) -> Corpus:
    """Z-scores, several clips per person, no person in two splits."""
    rng = np.random.default_rng(1)
    clips = []
    for number in range(people):
        labels = dict(zip(TRAITS, map(float, rng.normal(0, 1, len(TRAITS))), strict=True))
        split, name = "test" if number % 2 else "train", f"p{number}"
        for task in (f"{name}-{place}" for place in range(tasks)):
            clips.append(Clip(task, source=task, subject=name, split=split, targets=labels))
    targets = tuple(Target(name, direction=1) for name in TRAITS)
    return Corpus("udiva:made", "self_reported", targets, tuple(clips))


def table_of(clips: Sequence[Clip], values: Values) -> pd.DataFrame:
    """Predictions as anyone's table."""
    columns = {f"predicted_{name}": values[:, i] for i, name in enumerate(TRAITS)}
    return pd.DataFrame({"clip": [clip.id for clip in clips], **columns})


def seeing(clips: Sequence[Clip], *, noise: float = 0.04, seed: int = 0) -> Values:
    """A good model: shrunken labels with noise."""
    labels = labels_of(clips)
    return 0.52 + 0.5 * (labels - 0.52) + np.random.default_rng(seed).normal(0, noise, labels.shape)


def knowing(clips: Sequence[Clip], noise: float, seed: int = 0) -> pd.DataFrame:
    """Anyone's table of a system that knows the labels up to noise."""
    labels = labels_of(clips)
    return table_of(clips, labels + np.random.default_rng(seed).normal(0, noise, labels.shape))


def row(report: Report, role: str, part: str = "all") -> ScoredRow:
    """What a part of a report says of the model, or of one of its baselines."""
    return next(each for each in report.parts[part].rows if each.role == role)


def judge(corpus: Corpus, values: Values, clips: Sequence[Clip] | None = None) -> Report:
    """Evaluate predictions of the test clips."""
    table = table_of(part_of(corpus) if clips is None else clips, values)
    return evaluate_predictions(table, corpus, name="m", scoring=FAST)
