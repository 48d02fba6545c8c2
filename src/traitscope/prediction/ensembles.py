"""Predictions of several runs of the same targets -> their mean, and how far they disagree.

Seeds or folds of one recipe say what another training would have said. The variance is that of the
members around their mean; intervals come from the residuals of the mean itself, see
`runs.reference.ensemble`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from traitscope.errors import ConfigError
from traitscope.prediction.judging import judge_of
from traitscope.runs.checkpoint import Checkpoint, load, read_run
from traitscope.runs.ensemble import mixture
from traitscope.runs.members import seed_folders
from traitscope.types import Prediction, Timeline


def open_members(
    runs: Checkpoint | Path | str | Sequence[Checkpoint | Path | str],
    *,
    model: str | None = None,
    streams: Iterable[str] = (),
    apart: bool = True,
) -> list[Checkpoint]:
    """Load one or several runs of the same targets; a folder of folds stands for all of them.

    Args:
        runs: folders, or loaded runs.
        model: the dotted path of an outside model they were trained with.
        streams: dotted paths of outside extractors that they read.
        apart: give each training of a system with several seeds for itself, so that it is known
            how far they are apart; else they are one run, whose scores are their mean.

    Raises:
        ConfigError: their scores have no mean, or no run is named.
        DataError: a run is damaged or unfinished.
    """
    named = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    if not named:
        raise ConfigError("No run is named. Give the folder of a trained run.")
    members, typed = [], list(streams)
    for one in named:
        if isinstance(one, Checkpoint):
            members.append(one)
            continue
        each: list[Path] = sorted(path.parent for path in Path(one).glob("fold-*/run.yaml"))
        if not each and apart and (Path(one) / "run.yaml").is_file():
            each = seed_folders(Path(one), read_run(Path(one)))
        # A name on a hub is no path, and is taken as it was typed.
        members += [load(place, model=model, streams=typed) for place in (*each,) or (one,)]
    _check_alike(members)
    return members


def _check_alike(members: Sequence[Checkpoint]) -> None:
    """Refuse runs whose scores have no mean."""
    first = members[0]
    for other in members[1:]:
        if other.facts.targets != first.facts.targets or other.facts.kind != first.facts.kind:
            raise ConfigError(
                f"{other.folder} estimates {other.facts.kind} "
                f"{', '.join(t.name for t in other.facts.targets)}, and {first.folder} "
                f"{first.facts.kind} {', '.join(t.name for t in first.facts.targets)}, or in other "
                f"ranges: their scores have no mean. Predict with one after the other."
            )


def joint(
    members: Sequence[Checkpoint], predictions: Sequence[Sequence[Prediction]], level: float
) -> list[Prediction]:
    """The mean of what several runs say of the same clips.

    Args:
        members: the runs.
        predictions: of each run, of the same clips in the same order.
        level: of the intervals.
    """
    judge = judge_of(members, level)
    return [judge.judged(_mean(of_one)) for of_one in zip(*predictions, strict=True)]


def _mean(predictions: Sequence[Prediction]) -> Prediction:
    first = predictions[0]
    coverage = {name: share for one in predictions for name, share in one.coverage.items()}
    notes = dict.fromkeys(note for one in predictions for note in one.notes)
    warnings = {one.kind: one for each in predictions for one in each.warnings}
    known = replace(first, coverage=coverage, notes=tuple(notes), warnings=tuple(warnings.values()))
    # Members may read other streams: where one of them has no score, there is no mean.
    failed = next((one for one in predictions if not one.scores), None)
    if failed is not None:
        return replace(known, scores={}, status=failed.status, reason=failed.reason, timeline=None)
    scores = {name: [one.scores[name] for one in predictions] for name in first.scores}
    return replace(
        known,
        scores={name: float(np.mean(values)) for name, values in scores.items()},
        variance={name: _variance(predictions, name, scores[name]) for name in scores},
        timeline=_mean_timeline([one.timeline for one in predictions]),
    )


def _variance(predictions: Sequence[Prediction], name: str, scores: Sequence[float]) -> float:
    own = [np.asarray(one.variance[name]) for one in predictions if name in one.variance]
    return float(mixture(np.array(scores), own))


def _mean_timeline(timelines: Sequence[Timeline | None]) -> Timeline | None:
    known = [one for one in timelines if one is not None]
    # Runs that were trained on clips of other lengths have other windows.
    if len(known) < len(timelines) or any(len(one) != len(known[0]) for one in known):
        return None
    first = known[0]
    means = {n: np.mean([one.scores[n] for one in known], axis=0) for n in first.scores}
    return Timeline(first.starts, first.ends, means)
