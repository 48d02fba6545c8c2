"""Labels, predictions and errors by attribute value: predictions and attributes in, gaps out.

For every value of every attribute, and for every pair of attributes, against all other clips with
a known value (`gaps`): means and gaps of labels, predictions, residuals (predicted minus label)
and absolute errors, residuals given label and given prediction, the error gap of the constant, and
r and CCC within the group, with clustered 95 % intervals. A group below the minimum is listed
without numbers. A gap is *clear* where predictions leave the range from no gap, which the constant
predicts, to the labels' own gap, after Holm's correction over all groups and targets of the audit.
There is no verdict: an interval that covers 0 says what could not be seen, not that nothing is.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.audit.gaps import MEASURES, beyond, compare_groups, correct, group_terms
from traitscope.audit.scored import Scored, numbers
from traitscope.errors import DataError
from traitscope.sheets import open_sheet, same_name
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import FEWEST_CLUSTERS, RESAMPLES
from traitscope.types import Clip

MINIMUM = 20
"""Clips below which a group gets no numbers."""
MOST_VALUES = 8
"""A number with more distinct values than these is cut into thirds."""
LEVEL = 0.05
"""Chance, over the whole audit, of a clear gap where predictions stay within the labels' gaps."""

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
        -> one of MEASURES -> value, low, high; ``beyond`` has how far the predicted gap lies
        outside 0 to the labels' gap, with ``p`` and ``p_holm``, corrected over all ``tests``.

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
    families: list[list[dict[str, Any]]] = []
    for names in [*((name,) for name in values), *combinations(values, 2)]:
        found = _groups(scored, names, values, minimum, resamples, seed)
        groups += found
        families.append(found)
    counted = {name: len(column) for name, column in values.items()}
    result = scored.head("fairness") | {
        "minimum": minimum,
        "attributes": counted,
        "tests": _correct(families, scored.names),
        "groups": groups,
    }
    return dict(numbers(result | {"notes": _notes(result, scored)}))


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
    cells = _measure(scored, member, resamples, seed)
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
            group["cells"] = cells[place]
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


def _measure(
    scored: Scored, member: Array, resamples: int, seed: int
) -> list[dict[str, dict[str, dict[str, Any]]]]:
    """Cells of each group: target -> measure -> value and interval; ``member`` (clips, groups)."""
    known = scored.labels[np.isfinite(scored.labels)]
    shift = float(known.mean()) if known.size else 0.0
    sums = group_terms(
        member, scored.labels, scored.predicted, constant=_constant(scored), shift=shift
    )
    estimates = compare_groups(sums, scored.clusters, shift=shift, resamples=resamples, seed=seed)
    excess, p = beyond(sums, scored.clusters, shift=shift)
    groups, targets = excess.shape
    cells: list[dict[str, dict[str, dict[str, Any]]]] = []
    for group in range(groups):
        cells.append({})
        for place, name in enumerate(scored.names):
            start = (group * targets + place) * len(MEASURES)
            cells[-1][name] = {m: estimates.cell(start + i) for i, m in enumerate(MEASURES)} | {
                "beyond": {"value": excess[group, place], "low": None, "high": None}
                | {"p": p[group, place]}
            }
    return cells


def _constant(scored: Scored) -> Array:
    """Mean label of the fitted clips (targets,), NaN where there is none."""
    fitted = scored.corpus.with_clips(scored.fitted).labels(scored.names)
    known = np.isfinite(fitted)
    count = known.sum(axis=0)
    return np.where(
        count > 0, np.where(known, fitted, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan
    )


def _correct(families: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str]) -> int:
    """Holm's correction of all tests of the audit together; gives their number."""
    measured = [[g["cells"] for g in family if "cells" in g] for family in families]
    shown = [
        (cells, len(f) == len(cells) == 2) for f, cells in zip(families, measured, strict=True)
    ]
    shown = [(cells, halves) for cells, halves in shown if cells]
    tested = [
        (np.array([[c[name]["beyond"]["p"] for name in names] for c in cells]), halves)
        for cells, halves in shown
    ]
    corrected, tests = correct(tested)
    for (cells, _), whole in zip(shown, corrected, strict=True):
        for cell, row in zip(cells, whole, strict=True):
            for name, p in zip(names, row, strict=True):
                cell[name]["beyond"]["p_holm"] = p
    return tests


def _notes(result: Mapping[str, Any], scored: Scored) -> list[str]:
    groups, counted = result["groups"], result["attributes"]
    cells = [c for g in groups if "cells" in g for c in g["cells"].values()]
    whole = [c for c in cells if np.isfinite(c["residual_gap"]["low"])]
    apart, constant = (
        sum(c[measure]["low"] > 0 or c[measure]["high"] < 0 for c in whole)
        for measure in ("residual_gap", "label_gap")
    )
    clear = sum(c["beyond"]["p_holm"] < LEVEL for c in whole)
    notes = [
        f"{apart} of {len(whole)} residual gaps have an interval without 0. The constant predicts "
        f"no gap, so its residual gaps are minus the labels' gaps: {constant} of its {len(whole)} "
        f"have an interval without 0. A residual gap alone is therefore no bias.",
        f"A gap is clear where the predicted gap is of the other sign than the labels' gap, or "
        f"larger: neither the constant nor scores that are merely drawn to the mean show that. "
        f"{clear} of {len(whole)} are clear after Holm's correction over all {result['tests']} "
        f"tests of this audit (groups and pairs of attributes times targets, two halves counted "
        f"once).",
        "Residuals given label lean to the side of a group's labels, and residuals given "
        "prediction to the other, wherever labels or scores are noisy; a bias moves both to one "
        "side. Given label also shows what stays within the labels' gap, such as scores that "
        "follow the group rather than the person.",
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
