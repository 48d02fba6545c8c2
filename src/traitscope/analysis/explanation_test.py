"""Whether a run's explanations mean anything: the deletion test over the clips of a split.

Every model reacts to something, an untrained one as well, and an explanation finds it. So here the
labels decide. A model agrees with them by the slope of its scores over the labels, and evidence
that means something carries this agreement: with the strongest evidence deleted, more of it must be
lost than with as much deleted at random. What lies between both losses, as a mean over the steps,
is the one number; its 95 % interval is over sources and people. Where it does not leave out 0 the
explanations are no better than random, whatever a single clip looks like.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.attribution import attribute
from traitscope.analysis.deletion import BETTER, NO_BETTER, SHARES, Deletion, delete
from traitscope.analysis.explanations import standardised, subject_of
from traitscope.analysis.parts import parts_of
from traitscope.analysis.references import Reference, reference_of
from traitscope.data import protocols
from traitscope.data.examples import Examples
from traitscope.files import read_json, write_csv
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.clips import some_examples
from traitscope.statistics.resampling import FEWEST_CLUSTERS, Estimate, by_cluster, estimate
from traitscope.types import Clip, Hook, label_array

Array = NDArray[np.float64]

CLIPS = 100
"""Clips of a split that are tested, if not told otherwise."""
ORDERS = 3
"""Random orders of a clip: clips, not orders, are what an interval is over."""
MACRO = "macro"


def measure_explanations(
    run: Checkpoint | Path | str,
    *,
    split: str = "validation",
    clips: int = CLIPS,
    store: Path | str | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    labels: str | None = None,
    seed: int = 0,
    hook: Hook | None = None,
) -> dict[str, Any]:
    """Test a run's explanations by deletion over clips of a split.

    Args:
        run: a run folder, or a loaded checkpoint.
        split: whose clips; not those it was fitted on.
        clips: how many at most, spread over the split.
        store: where the features are; the run's own by default.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        labels: address of its corpus, needed where a module from outside reads it.
        seed: of the choice of clips and of random orders.
        hook: called as hook(done, total, clip).

    Returns:
        Per target and over all: agreement lost to evidence beyond that lost at random, with its
        interval, a verdict, and both curves. JSON values.

    Raises:
        DataError: fewer than three clips have features and labels.
    """
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model, streams=streams)
    examples = some_examples(checkpoint, split, clips, store=store, labels=labels, seed=seed)
    chosen = examples.clips
    reference = reference_of(checkpoint, store)
    found = []
    for done, clip in enumerate(chosen):
        if hook:
            hook(done, len(chosen), clip.id)
        found.append(_deleted(checkpoint, clip, examples, reference, seed + done))
    if hook:
        hook(len(chosen), len(chosen), "")
    names = [target.name for target in checkpoint.facts.targets]
    truth = label_array(chosen, names)
    clusters = protocols.cluster_numbers(chosen)
    result = summarise(found, truth, clusters, names, seed=seed)
    return {
        "run": str(checkpoint.folder),
        "model": str(checkpoint.config.model["name"]),
        "kind": checkpoint.facts.kind,
        "split": split,
        "clips": len(chosen),
        "clusters": int(clusters.max()) + 1,
        "against": reference.words,
        "shares": [0.0, *SHARES, 1.0],
        "labels": {target.name: target.label for target in checkpoint.facts.targets},
        **result,
    }


def summarise(
    found: Sequence[Deletion],
    truth: Array,
    clusters: NDArray[np.intp],
    names: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Turn the deletions of clips into losses of agreement with clustered intervals.

    Args:
        found: of each clip.
        truth: labels (clips, targets), NaN where one is missing.
        clusters: (clips,) whose clips belong together.
        names: of the targets.
        seed: of the resamples.
    """
    evidence = np.stack([one.evidence for one in found])  # (clips, steps, targets)
    random = np.stack([one.random.mean(axis=0) for one in found])
    whole = np.stack([one.whole for one in found])[:, None]
    empty = np.stack([one.empty for one in found])[:, None]
    curves = {
        "evidence": np.concatenate([whole, evidence, empty], axis=1),
        "random": np.concatenate([whole, random, empty], axis=1),
    }
    gap = estimated(random.mean(axis=1) - evidence.mean(axis=1), truth, clusters, seed=seed)
    agreement = estimated(whole[:, 0], truth, clusters, seed=seed)
    drawn = {
        name: np.stack(
            [_slopes(_sums(curve[:, step], truth).sum(axis=0)) for step in range(curve.shape[1])]
        )
        for name, curve in curves.items()
    }
    rows = []
    for place, name in enumerate([*names, MACRO]):
        cell = _cell(gap, place)
        rows.append(
            {
                "target": name,
                "agreement": _cell(agreement, place),
                "lost": cell,
                "verdict": BETTER if cell["low"] is not None and cell["low"] > 0 else NO_BETTER,
                "curves": {key: _plain(curve[:, place]) for key, curve in drawn.items()},
            }
        )
    enough = int(clusters.max(initial=-1)) + 1 >= FEWEST_CLUSTERS
    return {"verdict": rows[-1]["verdict"] if enough else "too few sources to say", "rows": rows}


def estimated(
    values: Array, truth: Array, clusters: NDArray[np.intp], *, seed: int = 0
) -> Estimate:
    """Slopes of values over labels per target, macro last, with clustered intervals.

    Args:
        values: (clips, targets).
        truth: labels (clips, targets), NaN where one is missing.
        clusters: (clips,).
        seed: of the resamples.
    """
    return estimate(by_cluster(_sums(values, truth), clusters), _slopes, seed=seed)


def write_table(result: Mapping[str, Any], path: Path) -> Path:
    """Write one row per target as CSV."""
    kinds = ("value", "low", "high")
    header = ["target", *(f"{what}_{k}" for what in ("agreement", "lost") for k in kinds)]
    rows = [
        [
            row["target"],
            *(row[what][kind] for what in ("agreement", "lost") for kind in kinds),
            row["verdict"],
        ]
        for row in result["rows"]
    ]
    return write_csv(path, [*header, "verdict"], rows)


def tested_path(run: Path, split: str) -> Path:
    """Where the test of a run over a split is kept."""
    return Path(run) / "explanations" / f"{split}.json"


def read_tested(run: Path | str) -> dict[str, Any] | None:
    """What the test found for a run, over test clips if there is such a one; None without one."""
    for split in ("test", "validation"):
        path = tested_path(Path(run), split)
        if path.is_file():
            cure = f"Make it again: traitscope analyse explanations {run} --split {split}"
            tree = read_json(path, root=dict, missing=cure, damaged=cure)
            return dict(tree) if {"rows", "clips", "split", "verdict"} <= set(tree) else None
    return None


def _deleted(
    checkpoint: Checkpoint, clip: Clip, examples: Examples, reference: Reference, seed: int
) -> Deletion:
    streams = {
        name: examples.stream(name, clip.id)
        for name in checkpoint.keys
        if not examples.lacks(clip, name)
    }
    subject = subject_of(checkpoint, clip, streams)
    parts = parts_of(subject.example, checkpoint.facts.columns, subject.seconds)
    empty = reference.of(subject.example, standardised(checkpoint))
    values = attribute(checkpoint, subject.example, parts, empty).values
    return delete(checkpoint, subject.example, parts, values, empty, orders=ORDERS, seed=seed)


def _sums(values: Array, truth: Array) -> Array:
    """What a slope is made of: (clips, 5, targets), zeros where a label is missing."""
    known = np.isfinite(truth)
    y, x = np.where(known, truth, 0.0), np.where(known, values, 0.0)
    return np.stack([known.astype(float), y, x, y * y, y * x], axis=1)


def _slopes(sums: Array) -> Array:
    """Sums (..., 5, targets) -> slopes (..., targets + 1) of values over labels, macro last."""
    n, y, x, yy, yx = np.moveaxis(sums, -2, 0)
    slope = (yx - x * y / n) / (yy - y * y / n)
    return np.concatenate([slope, slope.mean(axis=-1, keepdims=True)], axis=-1)


def _cell(found: Estimate, place: int) -> dict[str, float | None]:
    return {
        key: float(value) if np.isfinite(value) else None
        for key, value in found.cell(place).items()
    }


def _plain(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
