"""Error and mean residual by attribute value: predictions and attributes in, gaps with n out.

For every value of every attribute, and for every pair of attributes: the mean residual (predicted
minus label), the mean absolute error, and how far both are from those of all other clips with a
known value, with clustered 95 % intervals. A group below the minimum is listed without numbers.
There is no verdict: an interval that covers 0 says what could not be seen, not that nothing is.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.audit.scored import Scored, numbers
from traitscope.errors import DataError
from traitscope.sheets import open_sheet, same_name
from traitscope.statistics.intervals import holm
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import (
    FEWEST_CLUSTERS,
    RESAMPLES,
    Estimate,
    by_cluster,
    estimate,
)
from traitscope.types import Clip

MINIMUM = 20
"""Clips below which a group gets no numbers."""
MOST_VALUES = 8
"""A number with more distinct values than these is cut into thirds."""
MEASURES = ("residual", "error", "residual_gap", "error_gap")

Attributes = Mapping[str, Mapping[str, str]]
"""Attribute -> clip id -> value."""


def audit_fairness(
    scored: Scored,
    *,
    attributes: Attributes | None = None,
    minimum: int = MINIMUM,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Hold errors and residuals of groups of people against those of all others.

    Args:
        scored: predictions and labels.
        attributes: of the clips; those that the corpus declares by default.
        minimum: clips below which a group gets no numbers.
        resamples: of the intervals.
        seed: of the intervals.

    Returns:
        ``groups``: attribute, value, clips, clusters, and either ``reason`` or ``cells``: target
        -> measure -> value, low, high; ``residual_gap`` also has ``p`` and ``p_holm``, corrected
        over all groups and targets.

    Raises:
        DataError: no clip has an attribute.
    """
    known = attributes if attributes is not None else attributes_of(scored.clips)
    values = {name: column for name, given in known.items() if (column := _column(given, scored))}
    if not values:
        raise DataError(
            f"No clip of {scored.name} has an attribute such as age or gender. Name columns of "
            f"the labels as attributes (clips.yaml), or give a table with --attributes file.csv"
        )
    groups: list[dict[str, Any]] = []
    for names in [*((name,) for name in values), *combinations(values, 2)]:
        groups += _groups(scored, names, values, minimum, resamples, seed)
    _correct(groups)
    counted = {name: len(column) for name, column in values.items()}
    result = scored.head("fairness") | {
        "minimum": minimum,
        "attributes": counted,
        "groups": groups,
    }
    return dict(numbers(result | {"notes": _notes(groups, counted, scored)}))


def attributes_of(clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Attributes that the corpus declares, as text."""
    attributes: dict[str, dict[str, str]] = {}
    for clip in clips:
        for name, value in clip.attributes.items():
            text = f"{value:g}" if isinstance(value, float) else str(value)
            attributes.setdefault(name, {})[clip.id] = text
    return attributes


def read_attributes(path: Path, clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Read attributes from a table; ids match with or without a file suffix.

    The clip is in the column ``clip``, or in the first column that holds ids of these clips.

    Raises:
        DataError: the file cannot be read, or none of its rows belongs to a clip.
    """
    ids = {_plain(clip.id): clip.id for clip in clips} | {clip.id: clip.id for clip in clips}
    named: list[str] = []
    for unnamed in (False, True):  # an index without a name may hold the ids, or just count
        frame = open_sheet(path, fold=("clip",), unnamed=unnamed).read()
        columns = [column for column in ("clip", *frame.columns) if column in frame]
        named = named or columns
        key = next((c for c in columns if any(_plain(v) in ids for v in frame[c])), None)
        if key is not None:
            break
    if key is None:
        example = clips[0].id if clips else "none"
        raise DataError(f"No row of {path} belongs to a clip (such as {example}). Check the ids.")
    matched = [ids.get(_plain(value)) for value in frame[key]]
    return {
        str(name): {
            clip: value.strip()
            for clip, value in zip(matched, frame[name], strict=True)
            if clip is not None and value.strip()
        }
        for name in frame.columns
        if name != key and name in named
    }


def _plain(name: str) -> str:
    stem, dot, suffix = str(name).strip().rpartition(".")
    named = dot and suffix.lower() in {"mp4", "avi", "mkv", "mov", "webm"}
    return same_name(stem if named else str(name))


def _column(given: Mapping[str, str], scored: Scored) -> dict[str, str]:
    """Values of the scored clips; a number with many values is cut into thirds."""
    mine = {clip.id: given[clip.id] for clip in scored.clips if given.get(clip.id)}
    if len(set(mine.values())) <= MOST_VALUES:
        return mine
    parsed = pd.to_numeric(pd.Series(mine), errors="coerce")
    if parsed.isna().any():
        return mine
    # thirds of these people, not of the range: each group gets as many as the others
    inner = np.unique(parsed.quantile([1 / 3, 2 / 3]).to_numpy(dtype=float))
    parts = np.searchsorted(inner, parsed.to_numpy(dtype=float), side="left")
    spans = {
        part: f"{parsed[parts == part].min():g} to {parsed[parts == part].max():g}"
        for part in set(parts.tolist())
    }
    return {clip: spans[part] for clip, part in zip(mine, parts.tolist(), strict=True)}


def _groups(
    scored: Scored,
    names: Sequence[str],
    values: Mapping[str, Mapping[str, str]],
    minimum: int,
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The values of one attribute, or of two together, side by side."""
    labels = [_value(clip.id, names, values) for clip in scored.clips]
    kinds = sorted({label for label in labels if label is not None}, key=_order)
    member = np.array([[label == kind for kind in kinds] for label in labels], dtype=float)
    estimates = _measure(scored, member, resamples, seed)
    groups = []
    for place, kind in enumerate(kinds):
        mine = member[:, place] > 0
        clusters = len(np.unique(scored.clusters[mine]))
        group: dict[str, Any] = {
            "attribute": " × ".join(names),
            "value": " × ".join(kind),
            "clips": int(mine.sum()),
            "clusters": clusters,
        }
        if mine.sum() < minimum:
            group["reason"] = f"fewer than {minimum} clips"
        elif clusters < FEWEST_CLUSTERS:
            group["reason"] = f"fewer than {FEWEST_CLUSTERS} sources or people"
        else:
            group["cells"] = {
                name: _cells(estimates, place, target, len(kinds), len(scored.names))
                for target, name in enumerate(scored.names)
            }
        groups.append(group)
    return groups


def _value(
    clip: str, names: Sequence[str], values: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...] | None:
    kind = tuple(values[name].get(clip, "") for name in names)
    return kind if all(kind) else None


def _order(kind: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
    """Numbers by size, then words by the alphabet."""
    starts = (text.split(" to ")[0] for text in kind)
    return tuple(
        (float(start) if start.replace(".", "", 1).lstrip("-").isdigit() else np.inf, text)
        for start, text in zip(starts, kind, strict=True)
    )


def _measure(scored: Scored, member: Array, resamples: int, seed: int) -> Estimate:
    """All measures of all groups and targets; ``member`` is (clips, groups), 1 for those inside."""
    residual = scored.predicted - scored.labels
    known = np.isfinite(residual)
    filled = np.where(known, residual, 0.0)
    terms = np.stack([known.astype(float), filled, np.abs(filled)], axis=-1)
    spread = member[:, :, None, None] * terms[:, None]
    shape = spread.shape[1:]

    def statistic(sums: Array) -> Array:
        # a group is held against all others, not against all: it must not dilute its own gap
        own = sums.reshape(*sums.shape[:-1], *shape)
        rest = own.sum(axis=-3, keepdims=True) - own
        mean, others = own[..., 1:] / own[..., :1], rest[..., 1:] / rest[..., :1]
        measures = np.concatenate([mean, mean - others], axis=-1)
        return measures.reshape(*sums.shape[:-1], -1)

    flat = spread.reshape(len(member), -1)
    return estimate(by_cluster(flat, scored.clusters), statistic, resamples=resamples, seed=seed)


def _cells(
    estimates: Estimate, place: int, target: int, groups: int, targets: int
) -> dict[str, Any]:
    start = (place * targets + target) * len(MEASURES)
    cells = {measure: estimates.cell(start + i) for i, measure in enumerate(MEASURES)}
    cells["residual_gap"]["p"] = estimates.p[start + MEASURES.index("residual_gap")]
    return cells


def _correct(groups: Sequence[Mapping[str, Any]]) -> None:
    """Holm's correction of all residual gaps together."""
    gaps = [c["residual_gap"] for g in groups if "cells" in g for c in g["cells"].values()]
    for gap, p in zip(gaps, holm([gap["p"] for gap in gaps]), strict=True):
        gap["p_holm"] = p


def _notes(
    groups: Sequence[Mapping[str, Any]], counted: Mapping[str, int], scored: Scored
) -> list[str]:
    gaps = [c["residual_gap"] for g in groups if "cells" in g for c in g["cells"].values()]
    whole = [gap for gap in gaps if np.isfinite(gap["low"])]
    apart = sum(gap["low"] > 0 or gap["high"] < 0 for gap in whole)
    clear = sum(gap["p_holm"] < 0.05 for gap in whole if np.isfinite(gap["p_holm"]))
    notes = [
        f"{apart} of {len(whole)} residual gaps have an interval without 0; about "
        f"{0.05 * len(whole):.1f} would by chance alone. {clear} hold after Holm's correction "
        f"over all of them.",
        "An interval that covers 0 does not show that there is no bias: a bias smaller than half "
        "its width could not have been seen.",
        "Labels are held to be right here. Raters' own bias towards a group is in the labels, and "
        "this audit cannot see it.",
    ]
    notes += scored.cautions()
    few = [group for group in groups if "cells" not in group]
    if few:
        notes.append(f"{len(few)} groups are too small for numbers and are listed with their n.")
    for name, count in counted.items():
        if count < len(scored.clips):
            notes.append(f"{name} is known for {count} of {len(scored.clips)} clips.")
    return notes
