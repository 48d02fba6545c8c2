"""Labels, predictions and errors by attribute value: predictions and attributes in, gaps out.

For every value of every attribute, and for every pair of attributes, against all other clips with
a known value (`gaps`): means and gaps of labels, predictions, residuals (predicted minus label)
and absolute errors, residuals given label and given prediction, the error gap of the constant, and
r and CCC within the group, with clustered 95 % intervals. A group below the minimum is listed
without numbers. A gap is *clear* where predictions leave the range from no gap, which the constant
predicts, to the labels' own gap, after Holm's correction over all groups and targets of the audit;
it *follows* the group where predictions leave the narrower range of a system that judges persons
(`gaps`).
There is no verdict: an interval that covers 0 says what could not be seen, not that nothing is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from traitscope.audit.findings import Cell, Fairness, Gaps, Outside, PeopleGroup
from traitscope.audit.gaps import MEASURES, compare_groups, correct, group_terms, outside
from traitscope.audit.scored import Scored
from traitscope.errors import DataError
from traitscope.sheets import open_sheet, same_name
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import FEWEST_CLUSTERS, RESAMPLES, Estimate
from traitscope.types import Clip

MINIMUM = 20
"""Clips below which a group gets no numbers."""
MOST_VALUES = 8
"""A number with more distinct values than these is cut into thirds."""
LEVEL = 0.05
"""Chance, over the whole audit, of a clear gap where predictions stay within the labels' gaps."""
TESTS = ("beyond", "follows")
"""Ranges that predicted gaps may leave, each corrected as a family of its own."""

Attributes = Mapping[str, Mapping[str, str]]
"""Attribute -> clip id -> value."""


def audit_fairness(
    scored: Scored,
    *,
    attributes: Attributes | None = None,
    minimum: int = MINIMUM,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Fairness:
    """Hold errors and residuals of groups of people against those of all others.

    Args:
        scored: predictions and labels.
        attributes: of the clips; those that the corpus declares by default.
        minimum: clips below which a group gets no numbers.
        resamples: of the intervals.
        seed: of the intervals.

    Returns:
        The groups with their numbers, corrected over all tests, or why they have none.

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
    families = [
        _family(scored, names, values, minimum, Draw(resamples, seed))
        for names in [*((name,) for name in values), *combinations(values, 2)]
    ]
    tests = [_correct([f for f in families if test in f.p], test) for test in TESTS]
    audit = Fairness(
        **scored.head(),
        minimum=minimum,
        attributes={name: len(column) for name, column in values.items()},
        # Of "beyond" alone: "follows" is a family of its own, and counted in its own sentence.
        tests=tests[0],
        groups=tuple(group for family in families for group in _groups(family, scored.names)),
    )
    return audit.model_copy(update={"notes": tuple(_notes(audit, scored))})


def attributes_of(clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Attributes that the corpus declares, as text."""
    attributes: dict[str, dict[str, str]] = {}
    for clip in clips:
        for name, value in clip.attributes.items():
            # One table says 34 where another says 34.0: one age must be one group.
            text = f"{value:g}" if isinstance(value, float) else str(value)
            attributes.setdefault(name, {})[clip.id] = text
    return attributes


def read_attributes(path: Path, clips: Sequence[Clip]) -> dict[str, dict[str, str]]:
    """Read attributes from a table; ids match with or without a file suffix.

    The clip is in the column ``clip``, or in the first column that holds ids of these clips.

    Raises:
        DataError: the file cannot be read, or none of its rows belongs to a clip.
    """
    # Exact ids stand last and so win: a corpus may have both "a" and "a.mp4".
    ids = {_plain(clip.id): clip.id for clip in clips} | {clip.id: clip.id for clip in clips}
    named: list[str] = []
    for unnamed in (False, True):  # an index without a name may hold the ids, or just count
        frame = open_sheet(path, fold=("clip",), unnamed=unnamed).read()
        columns = [column for column in ("clip", *frame.columns) if column in frame]
        # Columns of the first look only: an index is there to be matched, it is no attribute.
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
    # One word among the numbers, such as "unknown": thirds would lose these clips without a word.
    if parsed.isna().any():
        return mine
    # thirds of these people, not of the range: each group gets as many as the others
    inner = np.unique(parsed.quantile([1 / 3, 2 / 3]).to_numpy(dtype=float))
    parts = np.searchsorted(inner, parsed.to_numpy(dtype=float), side="left")
    # Called by the values inside, not by the edges, which may be ages that nobody has.
    spans = {
        part: f"{parsed[parts == part].min():g} to {parsed[parts == part].max():g}"
        for part in set(parts.tolist())
    }
    return {clip: spans[part] for clip, part in zip(mine, parts.tolist(), strict=True)}


@dataclass(frozen=True)
class Draw:
    """How intervals are drawn."""

    resamples: int
    seed: int


@dataclass
class Family:
    """The values of one attribute, or of two together, with their numbers.

    Attributes:
        groups: without numbers; those too small have a reason.
        estimates: of MEASURES (groups x targets x measures,).
        outside: name in TESTS -> how far gaps lie outside (groups, targets).
        p: name in TESTS -> of that (groups, targets).
        p_holm: name in TESTS -> corrected, NaN for groups that are too small (groups, targets).
    """

    groups: list[PeopleGroup]
    estimates: Estimate
    outside: dict[str, Array]
    p: dict[str, Array]
    p_holm: dict[str, Array] = field(default_factory=dict)

    @property
    def large(self) -> Array:
        """Which groups are large enough for numbers (groups,)."""
        return np.array([group.reason is None for group in self.groups])


def _family(
    scored: Scored,
    names: Sequence[str],
    values: Mapping[str, Mapping[str, str]],
    minimum: int,
    draw: Draw,
) -> Family:
    """Measure the values of one attribute, or of two together, side by side."""
    labels = [_value(clip.id, names, values) for clip in scored.clips]
    kinds = sorted({label for label in labels if label is not None}, key=_order)
    # Whose value is unknown belongs to no group, and so is not among the others of any either.
    member = np.array([[label == kind for kind in kinds] for label in labels], dtype=float)
    groups = []
    for place, kind in enumerate(kinds):
        mine = member[:, place] > 0
        clips, clusters = int(mine.sum()), len(np.unique(scored.clusters[mine]))
        # a mean of few people is those people: numbers would point at them
        reason = None
        if clips < minimum:
            reason = f"fewer than {minimum} clips"
        elif clusters < FEWEST_CLUSTERS:
            reason = f"fewer than {FEWEST_CLUSTERS} sources or people"
        groups.append(
            PeopleGroup(
                attribute=" × ".join(names),
                value=" × ".join(kind),
                clips=clips,
                clusters=clusters,
                reason=reason,
            )
        )
    return _measured(scored, member, groups, draw)


def _groups(family: Family, names: Sequence[str]) -> Iterator[PeopleGroup]:
    """Groups with their numbers, where they are large enough."""
    for place, group in enumerate(family.groups):
        if group.reason is not None:
            yield group
            continue
        cells = {
            # Estimates are flat:  group 0 [target 0 [measures], target 1 [...] ...], group 1 [...
            name: _cells(family, (place * len(names) + target) * len(MEASURES), (place, target))
            for target, name in enumerate(names)
        }
        yield group.model_copy(update={"cells": cells})


def _cells(family: Family, start: int, place: tuple[int, int]) -> Gaps:
    """Numbers of one group and target; ``start`` is where its measures begin."""
    measures = {m: Cell(**family.estimates.cell(start + i)) for i, m in enumerate(MEASURES)}
    tested = {
        test: Outside(
            value=family.outside[test][place], p=family.p[test][place], p_holm=corrected[place]
        )
        for test, corrected in family.p_holm.items()
    }
    return Gaps.model_validate(measures | tested)


def _value(
    clip: str, names: Sequence[str], values: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...] | None:
    kind = tuple(values[name].get(clip, "") for name in names)
    # Half a pair would be a group of leftovers.
    return kind if all(kind) else None


def _order(kind: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
    """Numbers by size, then words by the alphabet."""
    # The alphabet would put "10 to 14" before "9 to 12".
    starts = (text.split(" to ")[0] for text in kind)
    return tuple(
        (float(start) if start.replace(".", "", 1).lstrip("-").isdigit() else np.inf, text)
        for start, text in zip(starts, kind, strict=True)
    )


def _measured(scored: Scored, member: Array, groups: list[PeopleGroup], draw: Draw) -> Family:
    """Estimates and tests of groups; ``member`` (clips, groups) is 1 where a clip belongs."""
    # sums of squares around the mean keep digits that those around 0 would lose
    known = scored.labels[np.isfinite(scored.labels)]
    shift = float(known.mean()) if known.size else 0.0
    sums = group_terms(
        member, scored.labels, scored.predicted, constant=_constant(scored), shift=shift
    )
    estimates = compare_groups(
        sums, scored.clusters, shift=shift, resamples=draw.resamples, seed=draw.seed
    )
    tested = zip(TESTS, outside(sums, scored.clusters, shift=shift), strict=True)
    left = {name: one for name, one in tested if one is not None}
    return Family(
        groups,
        estimates,
        outside={name: one.value for name, one in left.items()},
        p={name: one.p for name, one in left.items()},
    )


def _constant(scored: Scored) -> Array:
    """Mean label of the fitted clips (targets,), NaN where there is none."""
    # The constant of a system that was fitted there: the scored labels' own mean sees the answers.
    fitted = scored.corpus.with_clips(scored.fitted).labels(scored.names)
    known = np.isfinite(fitted)
    count = known.sum(axis=0)
    return np.where(
        count > 0, np.where(known, fitted, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan
    )


def _correct(families: Sequence[Family], test: str) -> int:
    """Holm's correction of one kind of test over all groups; gives the number of tests."""
    shown = [family for family in families if family.large.any()]
    # two halves of all people say the same of each other
    tested = [
        (family.p[test][family.large], len(family.groups) == family.large.sum() == 2)
        for family in shown
    ]
    corrected, tests = correct(tested)
    # Groups without numbers were never tested, which is another thing than p = 1.
    for family in families:
        family.p_holm[test] = np.full(family.p[test].shape, np.nan)
    for family, p in zip(shown, corrected, strict=True):
        family.p_holm[test][family.large] = p
    return tests


def _notes(audit: Fairness, scored: Scored) -> list[str]:
    cells = [gaps for _, own in audit.measured for gaps in own.values()]
    # Few clusters give a number without an interval: it is neither apart nor not apart.
    whole = [gaps for gaps in cells if gaps.residual_gap.low is not None]
    apart = sum(gaps.residual_gap.leaves_out(0) for gaps in whole)
    constant = sum(gaps.label_gap.leaves_out(0) for gaps in whole)
    clear = sum(gaps.beyond.holds(LEVEL) for gaps in whole)
    notes = [
        f"{apart} of {len(whole)} residual gaps have an interval without 0. The constant predicts "
        f"no gap, so its residual gaps are minus the labels' gaps: {constant} of its {len(whole)} "
        f"have an interval without 0. A residual gap alone is therefore no bias.",
        f"A gap is clear where the predicted gap is of the other sign than the labels' gap, or "
        f"larger: neither the constant nor scores that are merely drawn to the mean show that. "
        f"{clear} of {len(whole)} are clear after Holm's correction over all {audit.tests} "
        f"tests of this audit (groups and pairs of attributes times targets, two halves counted "
        f"once).",
        _followed(whole),
        "Residuals given label lean to the side of a group's labels, and residuals given "
        "prediction to the other, wherever labels or scores are noisy; a bias moves both to one "
        "side.",
        "An interval that covers 0 does not show that there is no bias: a bias smaller than half "
        "its width could not have been seen.",
        "Labels are held to be right here. Raters' own bias towards a group is in the labels, and "
        "this audit cannot see it.",
    ]
    notes += scored.cautions()
    few = len(audit.groups) - len(audit.measured)
    if few:
        notes.append(f"{few} groups are too small for numbers and are listed with their n.")
    for name, count in audit.attributes.items():
        if count < len(scored.clips):
            notes.append(f"{name} is known for {count} of {len(scored.clips)} clips.")
    return notes


def _followed(whole: Sequence[Gaps]) -> str:
    """What is known of scores that follow the group rather than the person."""
    tested = [gaps.follows for gaps in whole if gaps.follows is not None]
    if not tested:
        return (
            "Whether scores follow the group rather than the person is not known here: it takes "
            "several clips of one person or recording, with labels of their own."
        )
    follows = sum(test.holds(LEVEL) for test in tested)
    return (
        f"Scores follow the group where its gap in predictions is larger than other differences "
        f"between people show in predictions, though not larger than the labels' own: people of "
        f"the group are not scored by themselves alone. Least squares does that where it sees the "
        f"group and little else, so it is no error on average. {follows} of {len(tested)} hold "
        f"after Holm's correction over all tests of this kind."
    )
