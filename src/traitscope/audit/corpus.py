"""What there is to know about a corpus before using it: Corpus -> Facts.

Counts, labels, what splits share, how alike clips of one source are, and what the constant and the
look-up by source score on the official test clips without any model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from traitscope.audit.corpus_facts import (
    Facts,
    LabelFacts,
    Missing,
    Planned,
    Planning,
    Reference,
    Sharing,
    SplitCounts,
    SplitLabels,
    Structure,
    Unseen,
)
from traitscope.data.protocols import cluster_numbers, leakage, source_disjoint
from traitscope.evaluation import baselines
from traitscope.evaluation.scoring import Row
from traitscope.evaluation.systems import beside_labels
from traitscope.statistics.metrics import MACRO, Array, ccc_pooled, score_table
from traitscope.statistics.power import plan
from traitscope.statistics.reliability import agreement
from traitscope.types import SPLITS, Clip, Corpus, Target, label_array

# Systems are fitted with or without the validation clips before they are scored on test: scores of
# one way are no yardstick for the other.
FITS = ("train", "train+validation")
_EXAMPLES = 10


def inspect_corpus(corpus: Corpus) -> Facts:
    """Collect the facts of a corpus; its media may be missing.

    Labels of people (``aggregate`` is ``subject``) are counted once per person and split.
    """
    # None stands for clips without a split, which many corpora have.
    splits = {
        name: clips
        for name in (*SPLITS, None)
        if (clips := [clip for clip in corpus.clips if clip.split == name])
    }
    units = {name: _units(clips, corpus) for name, clips in splits.items()}
    missing = [clip.id for clip in corpus.clips if clip.path is None or not clip.path.exists()]
    return Facts(
        name=corpus.name,
        kind=corpus.kind,
        aggregate=corpus.aggregate,
        notes=tuple(corpus.notes),
        clips=len(corpus.clips),
        sources=len({clip.source for clip in corpus.clips}),
        subjects=len({clip.subject for clip in corpus.clips} - {None}),
        missing_media=Missing(count=len(missing), first=tuple(missing[:_EXAMPLES])),
        splits={str(name or "no split"): _counts(clips) for name, clips in splits.items()},
        shared={
            f"{one} and {other}": _shared(splits[one], splits[other])
            for one, other in combinations([name for name in splits if name], 2)
        },
        targets=tuple(_target(corpus, t, units) for t in (*corpus.targets, *corpus.optional)),
        structure=_structure(corpus, [unit for part in units.values() for unit in part]),
        attributes=_attributes(corpus.clips),
        unseen=_unseen(splits),
        references=tuple(reference_scores(corpus)),
        planning=planning(corpus, units),
        warnings=tuple(_warnings(corpus, splits)),
    )


def reference_scores(corpus: Corpus) -> list[Reference]:
    """Score what needs no model on the official test clips.

    Rows are the middle of the range, the constant, and the look-up by source as it is
    (``shrinkage`` 0) and with one average clip added to each source (1); constant and look-up
    fitted on train, and on train and validation.

    Returns:
        No rows without labelled train and test clips.
    """
    names = [target.name for target in (*corpus.targets, *corpus.optional)]
    parts = {s: [c for c in corpus.clips if c.split == s and c.targets] for s in SPLITS}
    # An optional target without fitted labels is left out; a main one makes the whole table void.
    names = [n for n in names if all(any(n in c.targets for c in parts[s]) for s in FITS[:1])]
    test = parts["test"]
    if not parts["train"] or not test or not set(corpus.target_names) <= set(names):
        return []
    rows = []
    # what a guess without any data scores
    middle = [_middle(corpus.target(name)) for name in names]
    if None not in middle:
        values = np.tile(np.array(middle, dtype=np.float64), (len(test), 1))
        rows.append(_scored("middle of the range", corpus, test, names, values))
    # Without validation clips both ways of fitting are one, and its rows would stand there twice.
    for fit in FITS if parts["validation"] else FITS[:1]:
        fitted = [clip for split in fit.split("+") for clip in parts[split]]
        constant = baselines.constant(fitted, test, names)
        rows.append(_scored("constant", corpus, test, names, constant, fit=fit))
        table = baselines.look_up(fitted, names)
        # As it is, a source of one fitted clip is believed in full; one average clip halves that.
        for k in (0, 1):
            name = "look-up, k=1" if k else "look-up"
            values = table.predict(test, shrinkage=k)
            row = _scored(name, corpus, test, names, values, fit=fit)
            rows.append(row.model_copy(update={"shrinkage": k}))
    return rows


def planning(corpus: Corpus, units: Mapping[str | None, Sequence[Clip]]) -> dict[str, Planning]:
    """What an evaluation on each split could tell (see ``statistics.power``).

    Args:
        corpus: the meaning of the labels.
        units: clips, or one for each person, of each split.

    Returns:
        Split -> what could be told; splits with too few clusters have nothing.
    """
    names, targets = corpus.target_names, corpus.targets
    spans = [None if t.low is None or t.high is None else t.high - t.low for t in targets]
    train = label_array(units.get("train", ()), names)
    # One target without train labels is enough: `plan` then takes the labels' own means for all.
    constant = None if np.isnan(train).all(axis=0).any() else np.nanmean(train, axis=0)
    plans = {}
    for split, clips in units.items():
        # A person is a cluster here, as in an evaluation that averages over the clips of each.
        people = corpus.aggregate == "subject"
        clusters = np.arange(len(clips)) if people else cluster_numbers(clips)
        planned = plan(label_array(clips, names), clusters, constant=constant, spans=spans)
        if planned:
            plans[str(split or "no split")] = Planning(
                clusters=len(set(clusters.tolist())),
                metrics={
                    each.metric: Planned(half_width=each.half_width, difference=each.difference)
                    for each in planned
                },
            )
    return plans


def _scored(
    name: str,
    corpus: Corpus,
    test: Sequence[Clip],
    names: Sequence[str],
    values: Array,
    *,
    fit: str | None = None,
) -> Reference:
    truth, [row] = beside_labels(
        [Row(name, "constant", values)],
        test,
        corpus,
        names,
        # For skill only, and these rows are themselves what skill is measured against.
        constants=np.full(len(names), np.nan),
        aggregate=corpus.aggregate,
    )
    target, values = truth.target, row.values
    table = score_table(target, values, names=names, spans=truth.spans)
    main = [place for place, name in enumerate(names) if name in corpus.target_names]
    # Macro scores are over traits: an optional target, such as an interview score, is none.
    over = score_table(
        target[:, main],
        values[:, main],
        names=[names[place] for place in main],
        spans=[truth.spans[place] for place in main],
    )
    accuracy, mse = (
        {MACRO: over[metric][MACRO].value} | {n: table[metric][n].value for n in names}
        for metric in ("accuracy", "mse")
    )
    return Reference(
        name=name,
        fit=fit,
        shrinkage=None,
        scored=len(truth.ids),
        accuracy=accuracy,
        mse=mse,
        ccc_macro=over["ccc"][MACRO].value,
        ccc_pooled=ccc_pooled(target[:, main], values[:, main]).value,
    )


def _middle(target: Target) -> float | None:
    return None if target.low is None or target.high is None else (target.low + target.high) / 2


def _counts(clips: Sequence[Clip]) -> SplitCounts:
    return SplitCounts(
        clips=len(clips),
        sources=len({clip.source for clip in clips}),
        subjects=len({clip.subject for clip in clips} - {None}),
        transcripts=sum(bool(clip.transcript) for clip in clips),
        empty_transcripts=sum(clip.transcript == "" for clip in clips),
    )


def _shared(one: Sequence[Clip], other: Sequence[Clip]) -> Sharing:
    subjects = {clip.subject for clip in one} & {clip.subject for clip in other}
    sources = {clip.source for clip in one} & {clip.source for clip in other}
    return Sharing(sources=len(sources), subjects=len(subjects - {None}))


def _target(corpus: Corpus, target: Target, splits: dict[str | None, list[Clip]]) -> LabelFacts:
    everything = [clip for clips in splits.values() for clip in clips]
    return LabelFacts(
        name=target.name,
        label=target.label,
        low=target.low,
        high=target.high,
        direction=target.direction,
        optional=target in corpus.optional,
        icc_within_source=within_source(everything, target.name),
        splits={
            str(name or "no split"): _statistics(clips, target) for name, clips in splits.items()
        },
    )


def within_source(clips: Sequence[Clip], target: str) -> float | None:
    """ICC(1): how far one clip's label stands for the others of its source; None if undefined."""
    groups: dict[str, list[float]] = {}
    for clip in clips:
        if target in clip.targets:
            groups.setdefault(clip.source, []).append(clip.targets[target])
    return agreement(groups.values()).single


def _statistics(clips: Sequence[Clip], target: Target) -> SplitLabels:
    """Count, mean, sd (of the population) and ICC within a source; null without labels."""
    labels = [clip.targets[target.name] for clip in clips if target.name in clip.targets]
    return SplitLabels(
        labels=len(labels),
        mean=float(np.mean(labels)) if labels else None,
        sd=float(np.std(labels)) if labels else None,
        icc_within_source=within_source(clips, target.name),
    )


def _units(clips: Sequence[Clip], corpus: Corpus) -> list[Clip]:
    """What has labels: the clips, or one clip with mean labels for each person."""
    if corpus.aggregate == "clip":
        return list(clips)
    people: dict[str, list[Clip]] = {}
    for clip in clips:
        # A clip of an unknown person stands for itself: nothing says with which others it goes.
        people.setdefault(clip.subject or clip.id, []).append(clip)
    units = []
    for mine in people.values():
        names = dict.fromkeys(name for clip in mine for name in clip.targets)
        means = {n: float(np.mean([c.targets[n] for c in mine if n in c.targets])) for n in names}
        units.append(replace(mine[0], targets=means))
    return units


def _structure(corpus: Corpus, clips: Sequence[Clip]) -> Structure:
    """How targets correlate, and how much of the traits' variance one component explains."""
    names = [target.name for target in (*corpus.targets, *corpus.optional)]
    labels = corpus.with_clips(clips).labels(names)
    # Pairs with clips of their own would give a matrix that no set of people can have.
    whole = labels[~np.isnan(labels).any(axis=1)]
    main = len(corpus.targets)
    if len(whole) < 3 or main < 2 or not (np.ptp(whole, axis=0) > 0).all():
        return Structure(clips=len(whole), correlations=None, first_component=None)
    matrix = np.atleast_2d(np.corrcoef(whole.T))
    # Eigenvalues come in rising order, and those of a correlation matrix add up to its size.
    share = float(np.linalg.eigvalsh(matrix[:main, :main])[-1] / main)
    return Structure(
        clips=len(whole),
        correlations={
            name: {other: float(matrix[i, j]) for j, other in enumerate(names)}
            for i, name in enumerate(names)
        },
        first_component=share,
    )


def _attributes(clips: Sequence[Clip]) -> dict[str, int]:
    """How many clips have each attribute."""
    names = sorted({name for clip in clips for name in clip.attributes})
    return {name: sum(name in clip.attributes for clip in clips) for name in names}


def _unseen(splits: dict[str | None, list[Clip]]) -> dict[str, Unseen]:
    """How many test clips come from sources that were not fitted, by what was fitted."""
    test, counts = splits.get("test", []), {}
    for fit in FITS if "validation" in splits else FITS[:1]:
        fitted = [clip for split in fit.split("+") for clip in splits.get(split, [])]
        if test and fitted:
            unseen = len(source_disjoint(test, fitted))
            counts[fit] = Unseen(seen=len(test) - unseen, unseen=unseen)
    return counts


def _warnings(corpus: Corpus, splits: dict[str | None, list[Clip]]) -> list[str]:
    """What a user should know about labels, splits and leaks."""
    undeclared = [target.name for target in corpus.targets if target.direction is None]
    warnings = []
    if undeclared:
        warnings.append(
            f"No direction is declared for {', '.join(undeclared)}: such targets cannot be "
            f"compared with another corpus."
        )
    for target in (*corpus.targets, *corpus.optional):
        without = sum(target.name not in clip.targets for clip in corpus.clips)
        if without:
            warnings.append(f"{target.name}: {without} of {len(corpus.clips)} clips have no label.")
    for other in ("validation", "test"):
        if "train" in splits and other in splits:
            shared = leakage(splits["train"], splits[other]).sentences
            warnings += [f"train and {other}: {sentence}" for sentence in shared]
    return warnings
