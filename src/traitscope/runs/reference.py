"""What a run keeps of its training, against which a new clip is held: ``reference.safetensors``.

In: labels and predictions of the validation clips, labels and features of fitted ones. Out: how far
a label lies from a score, what share of people score lower, and whether a clip is one of a kind the
run knows. No clip can be recognised in it: ids are hashes, features are sums over many clips.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from traitscope.answers import Interval
from traitscope.errors import DataError, counted, shown
from traitscope.files import check_regular, replacing
from traitscope.statistics.conformal import LEVEL, coverage, fewest_groups, half_widths
from traitscope.statistics.familiarity import Familiar
from traitscope.types import Target

FILE = "reference.safetensors"
_FORMAT = 1
_LARGEST_BYTES = 2**30
_REFUSED = 0.5
"""Of the least coverage that was usual in training: a clip below it is refused."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Residuals:
    """Labels and predictions of clips that were not fitted on.

    Attributes:
        truth, predicted: (clips, targets), NaN without a label.
        group: (clips,) clips of one person or recording have the same number.
        clip: (clips,) hashes of the ids, by which members of an ensemble are joined.
        sd: (clips, targets) how far the model itself held a label to lie from its score, as a
            standard deviation; None of a model that does not say.
    """

    truth: Array
    predicted: Array
    group: NDArray[np.int64]
    clip: NDArray[np.int64]
    sd: Array | None = None

    @property
    def groups(self) -> int:
        """How many people or recordings there are."""
        return len(np.unique(self.group))

    def half_widths(self, level: float = LEVEL) -> Array:
        """(targets,) half width of the interval around a score, infinite where it is unknown."""
        return half_widths(self.truth - self.predicted, self.group, level)

    def multiples(self, level: float = LEVEL) -> Array | None:
        """(targets,) half widths in standard deviations that the model states; None without."""
        if self.sd is None:
            return None
        return half_widths(self.truth - self.predicted, self.group, level, scale=self.sd)

    def coverage(self, level: float = LEVEL) -> Array:
        """(targets,) share of labels inside intervals that were made without their group."""
        return coverage(self.truth - self.predicted, self.group, level, scale=self.sd)


@dataclass(frozen=True)
class Reference:
    """What new clips are held against.

    Attributes:
        residuals: of the validation clips; None without any.
        quantiles: (101, targets) of the fitted labels; None where they are not known.
        least_coverage: stream -> coverage that only one in a hundred fitted clips was below.
        window_seconds: how long a fitted clip usually was; None where nothing has times.
        familiar: where the features of fitted clips lie; None where there are too few.
        words: the most frequent words of the fitted clips, where the run reads words.
        least_known: share of them among the words of a clip that is unusually low.
        language: code of the language of those words, where it was declared.
    """

    residuals: Residuals | None = None
    quantiles: Array | None = None
    least_coverage: Mapping[str, float] = field(default_factory=dict)
    window_seconds: float | None = None
    familiar: Familiar | None = None
    words: frozenset[str] = frozenset()
    least_known: float = 0.0
    language: str = ""

    @property
    def refused_coverage(self) -> dict[str, float]:
        """Stream -> coverage below which a clip gets no score."""
        return {name: _REFUSED * share for name, share in self.least_coverage.items()}

    def widths(self, level: float = LEVEL) -> Array:
        """(targets,) half widths of intervals; empty where no label was held out."""
        return np.zeros(0) if self.residuals is None else self.residuals.half_widths(level)

    def multiples(self, level: float = LEVEL) -> Array | None:
        """(targets,) half widths in stated standard deviations; None where none are stated."""
        return None if self.residuals is None else self.residuals.multiples(level)

    def percentiles(
        self, scores: Mapping[str, float], targets: Sequence[Target]
    ) -> dict[str, float]:
        """Which percentage of the fitted labels lies below each score."""
        if self.quantiles is None:
            return {}
        grid = np.arange(101.0)
        return {
            target.name: round(float(np.interp(scores[target.name], column, grid)), 1)
            for target, column in zip(targets, self.quantiles.T, strict=True)
            if target.name in scores and np.isfinite(column).all()
        }

    def explain(self, level: float = LEVEL) -> str:
        """What the intervals cover, in words; empty where there are none."""
        if self.residuals is None:
            return ""
        groups = self.residuals.groups
        if groups < fewest_groups(level):
            few = counted(groups, "person or recording", "people or recordings")
            return (
                f"No intervals: labels of {few} were held out, and {level:.0%} intervals need "
                f"{fewest_groups(level)}."
            )
        own = (
            " They are wider where the model says that it is less sure: its own standard "
            "deviation, stretched so that they hold."
            if self.residuals.sd is not None
            else ""
        )
        return (
            f"Intervals hold the label that raters or a questionnaire would give a new person in "
            f"{level:.0%} of cases, if clips are like those of the corpus (split-conformal, from "
            f"{len(self.residuals.truth)} validation clips of {groups} people or recordings).{own} "
            f"They are about labels, not about what a person is."
        )


NOTHING = Reference()
"""Of runs of before, and of those that another program trained."""


def stated_intervals(
    reference: Reference, targets: Sequence[Target], level: float = LEVEL
) -> dict[str, dict[str, float]]:
    """Target -> ``half_width`` and the ``coverage`` of people it was made without, where known.

    Where the model states how sure it is, the half width is that of the middle one of the
    validation clips.
    """
    if (residuals := reference.residuals) is None:
        return {}
    covered, widths = residuals.coverage(level).tolist(), reference.widths(level)
    if (multiples := residuals.multiples(level)) is not None and residuals.sd is not None:
        widths = multiples * np.median(residuals.sd, axis=0)
    return {
        target.name: {"half_width": width, "coverage": share}
        for target, width, share in zip(targets, widths.tolist(), covered, strict=True)
        if math.isfinite(width) and math.isfinite(share)
    }


def clip_hash(clip_id: str) -> int:
    """A number of 63 bits for a clip, from which its id does not follow."""
    return (
        int.from_bytes(hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()[:8]) >> 1
    )


def ensemble(references: Sequence[Reference]) -> Reference:
    """What holds of the mean of several runs' scores.

    Seeds of one protocol have the same validation clips: the residual is that of their mean. Folds
    have different ones: each clip counts with the member that did not see it, as in
    cross-validation (Barber et al., 2021, https://arxiv.org/abs/1905.02928, CV+).
    """
    first, *others = references
    parts = [one.residuals for one in references]
    if not others or any(part is None for part in parts):
        return first if not others else replace(first, residuals=None)
    every = [part for part in parts if part is not None]
    known = sorted(set.intersection(*(set(part.clip.tolist()) for part in every)))
    if known:
        aligned = [_chosen(part, known) for part in every]
        predictions = np.stack([part.predicted for part in aligned])
        stated = [part.sd for part in aligned if part.sd is not None]
        # Of a mixture: what the members expect, and how far they are apart.
        sd = np.sqrt(np.square(stated).mean(axis=0) + predictions.var(axis=0)) if stated else None
        joined = replace(
            aligned[0],
            predicted=predictions.mean(axis=0),
            sd=sd if len(stated) == len(aligned) else None,
        )
        return replace(first, residuals=joined)
    apart = [
        np.unique(part.group, return_inverse=True)[1] + 10**6 * n for n, part in enumerate(every)
    ]
    joined = Residuals(
        np.concatenate([part.truth for part in every]),
        np.concatenate([part.predicted for part in every]),
        np.concatenate(apart),
        np.concatenate([part.clip for part in every]),
    )
    return replace(first, residuals=joined)


def _chosen(part: Residuals, clips: Iterable[int]) -> Residuals:
    place = {clip: number for number, clip in enumerate(part.clip.tolist())}
    rows = [place[clip] for clip in clips]
    sd = None if part.sd is None else part.sd[rows]
    return Residuals(part.truth[rows], part.predicted[rows], part.group[rows], part.clip[rows], sd)


def intervals(
    scores: Mapping[str, float], targets: Sequence[Target], widths: Iterable[float], level: float
) -> dict[str, Interval]:
    """Intervals around scores, within the ranges of the targets.

    Args:
        scores: by target.
        targets: of the run.
        widths: half widths in the order of the targets; empty, or infinite where unknown.
        level: for which they were made.
    """
    # Whoever has no half widths has no intervals: zip ends with the shorter one.
    return {
        target.name: Interval(*_within(scores[target.name], width, target), level)
        for target, width in zip(targets, widths, strict=False)
        if target.name in scores and math.isfinite(width)
    }


def _within(score: float, width: float, target: Target) -> tuple[float, float]:
    low, high = score - width, score + width
    # A label cannot lie outside of its range, so cutting there costs no coverage.
    low = low if target.low is None else min(max(low, target.low), score)
    high = high if target.high is None else max(min(high, target.high), score)
    return low, high


def save_reference(folder: Path, reference: Reference) -> None:
    """Write ``reference.safetensors`` into a run."""
    arrays: dict[str, Any] = {}
    if (residuals := reference.residuals) is not None:
        arrays |= {
            "validation/truth": residuals.truth,
            "validation/predicted": residuals.predicted,
            "validation/group": residuals.group,
            "validation/clip": residuals.clip,
        }
        if residuals.sd is not None:
            arrays["validation/sd"] = residuals.sd
    if reference.quantiles is not None:
        arrays["labels/quantiles"] = reference.quantiles
    facts: dict[str, Any] = {
        "format": _FORMAT,
        "least_coverage": dict(reference.least_coverage),
        "window_seconds": reference.window_seconds,
        "words": sorted(reference.words),
        "least_known": reference.least_known,
        "language": reference.language,
    }
    if (known := reference.familiar) is not None:
        arrays |= {f"features/{name}": getattr(known, name) for name in _FAMILIAR}
        facts |= {"rest": known.rest, "threshold": known.threshold}
    with replacing(folder / FILE) as draft:
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(whole, draft, metadata={"facts": json.dumps(facts, allow_nan=False)})


_RESIDUALS = ("truth", "predicted", "group", "clip")
_FAMILIAR = ("mean", "sd", "components", "spread")


def read_reference(folder: Path) -> Reference:
    """Read what a run keeps of its training; `NOTHING` of a run of before.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return NOTHING
    try:
        check_regular(path, largest=_LARGEST_BYTES)
        with safe_open(path, "np") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if facts["format"] != _FORMAT:
            raise ValueError(f"it has the format {shown(facts['format'])}")
        return _built(arrays, facts)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is damaged ({shown(str(error))}). Bring it back from a copy, or delete it: "
            f"scores then come without intervals."
        ) from error


def _built(arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> Reference:
    residuals = None
    if "validation/truth" in arrays:
        known_of = {name: arrays[f"validation/{name}"] for name in _RESIDUALS}
        residuals = Residuals(**known_of, sd=arrays.get("validation/sd"))
        if residuals.truth.ndim != 2 or residuals.truth.shape != residuals.predicted.shape:
            raise ValueError("labels and predictions differ in shape")
        if not len(residuals.group) == len(residuals.clip) == len(residuals.truth):
            raise ValueError("clips and groups differ in number")
        if residuals.sd is not None and residuals.sd.shape != residuals.truth.shape:
            raise ValueError("labels and deviations differ in shape")
    known = None
    if "features/mean" in arrays:
        parts = {name: arrays[f"features/{name}"] for name in _FAMILIAR}
        known = Familiar(**parts, rest=float(facts["rest"]), threshold=float(facts["threshold"]))
        if known.components.shape != (len(known.spread), len(known.mean)):
            raise ValueError("directions and features differ in number")
    window = facts["window_seconds"]
    return Reference(
        residuals=residuals,
        quantiles=arrays.get("labels/quantiles"),
        least_coverage={str(k): float(v) for k, v in facts["least_coverage"].items()},
        window_seconds=None if window is None else float(window),
        familiar=known,
        words=frozenset(map(str, facts["words"])),
        least_known=float(facts["least_known"]),
        language=str(facts["language"]),
    )
