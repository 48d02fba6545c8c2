"""Several evaluated systems in, one out: predictions joined by clip id, as a mean or weighted.

Fitted weights come from the validation clips, which no member may have been fitted on: for each
target the non-negative weights w of least squared error of ``constant + sum w (prediction -
constant)``, so that members which say little shrink the fusion towards the constant. ``seeds``
fuses nothing: runs of one recipe become one system, whose scores are means over seeds. With
``mean`` over runs that differ in their seed the report has mean, sd and ensemble.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from traitscope.config import read_yaml
from traitscope.data import protocols
from traitscope.data.protocols import Splits
from traitscope.data.record import Record, join_records, save_records
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.assessment import assess
from traitscope.evaluation.baselines import fitted_means, fold_constants
from traitscope.evaluation.recorded import system_folds
from traitscope.evaluation.report import Failure, Members, Report, Scoring, Spread, save_report
from traitscope.evaluation.scales import scale_notes
from traitscope.evaluation.scoring import Row, spread
from traitscope.evaluation.systems import (
    System,
    beside_labels,
    corpus_of,
    in_common,
    read_system,
    same_corpus,
)
from traitscope.evaluation.tables import Predictions, read_predictions, write_predictions
from traitscope.files import refuse_used, write_json
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Target

Method = Literal["mean", "fitted", "seeds"]


def fuse(
    systems: Sequence[Path | str],
    *,
    to: Path | str,
    method: Method = "mean",
    split: str = "test",
    labels: str | None = None,
    scoring: Scoring | None = None,
) -> Report:
    """Fuse evaluated systems and evaluate what comes out; ``members`` of the report says of what.

    Args:
        systems: run folders, or folders with ``predictions.csv`` and ``report.json``.
        to: folder of the fusion; ``report`` and ``compare`` take it like a run.
        method: mean, or weights fitted on the validation clips (evaluate each run there first);
            seeds: keep runs of one recipe apart, as replicates of one system.
        split: which split to fuse.
        labels: address of the corpus, needed where a module from outside reads it.
        scoring: aggregation, resamples and seed.

    Raises:
        DataError: members differ in corpus, split, protocol or targets, or share no clip.
        ConfigError: ``to`` is there already, or weights would be fitted on fitted clips.
    """
    corpus = corpus_of(members := _members(systems, split), labels)
    splits = protocols.split(corpus, members[0].protocol)
    names = [target.name for target in members[0].targets or ()]
    _check(members[0], corpus, splits, method=method, split=split)
    refuse_used(folder := Path(to))
    read = _read(members, asked := splits.part(split), names)
    _refuse_scales(read, corpus, method)
    clips, values = _join(read, asked, names)
    weights, around = np.full((len(members), len(names)), 1 / len(members)), None
    if method == "fitted":
        around = fitted_means(splits.fitted, names)
        weights = _fit_weights(systems, splits, names, corpus, around)
    fused = combine(values, weights, around)
    seeds = _seeds(read, systems) if method == "seeds" else 0
    # Only now, so that a refusal above leaves no folder behind.
    (place := folder / "evaluation" / split).mkdir(parents=True)
    table, kept = place / "predictions.csv", values if method == "seeds" else fused
    write_predictions(table, clips, kept, targets=names, split=split, seed=seeds)
    who = [member.name for member in members]
    facts = {"members": who, "method": method, "weights": _named(weights, who, names)}
    system = replace(
        members[0],
        name=str(to),
        table=table,
        targets=None,  # they mean what the labels mean: anything else was refused above
        failures=_failures(members, read, asked),
        run={"model": f"fusion ({method})", **facts},
        records=_records(members),
    )
    report = assess(system, corpus, scoring=scoring)
    scores = _spread(values, clips, corpus, names, members[0], scoring or Scoring())
    made_of = Members.model_validate({**facts, "scores": scores})
    report = _made_of(report, made_of, members, read)
    _save(report, system.records, place)
    write_json(folder / "fusion.json", {**facts, "split": split, "corpus": members[0].address})
    return report


def _noted(members: Sequence[System]) -> dict[str, tuple[str, ...]]:
    """What was noticed of each clip by any member, once each."""
    noted: dict[str, dict[str, None]] = {}
    for member in members:
        for clip, notes in member.noted.items():
            noted.setdefault(clip, {}).update(dict.fromkeys(notes))
    return {clip: tuple(notes) for clip, notes in noted.items()}


def combine(values: Array, weights: Array, constant: Array | None = None) -> Array:
    """Weigh the predictions of members.

    Args:
        values: (members, clips, targets).
        weights: (members, targets).
        constant: what weights are taken around (targets,); None for a plain weighted sum.

    Returns:
        (clips, targets).
    """
    # Around 0 the formula below is the plain weighted sum.
    around = np.zeros(values.shape[-1]) if constant is None else constant
    fused: Array = around + np.einsum("mct,mt->ct", values - around, weights)
    return fused


def fit_weights(values: Array, target: Array, constant: Array) -> Array:
    """Fit the non-negative weights of least squared error, for each target apart.

    Args:
        values: predictions (members, clips, targets).
        target: labels (clips, targets), NaN where one is missing.
        constant: what predictions and labels are taken around (targets,).

    Returns:
        (members, targets).
    """
    from scipy.optimize import nnls

    weights = np.zeros((len(values), len(constant)))
    for column, middle in enumerate(constant):
        known = ~np.isnan(target[:, column])
        away = values[:, known, column].T - middle
        # Weights below 0 would take a member for reliably wrong, which few clips show by chance.
        weights[:, column] = nnls(away, target[known, column] - middle)[0]
    return weights


def _members(systems: Sequence[Path | str], split: str) -> list[System]:
    """Read the members and refuse what does not fit together."""
    if len(systems) < 2 or len({str(system) for system in systems}) < len(systems):
        raise DataError(f"A fusion takes two or more different systems, not {len(systems)}.")
    members = [read_system(system, split=split) for system in systems]
    same_corpus(members)
    first = members[0]
    for other in members[1:]:
        for what, one, two in (
            ("protocols", first.protocol, other.protocol),
            ("targets", *(", ".join(map(_words, m.targets or ())) for m in (first, other))),
        ):
            if one != two:
                raise DataError(
                    f"{first.name} and {other.name} have different {what}, so they cannot be "
                    f"fused:\n  {one}\n  {two}"
                )
    return members


def _words(target: Target) -> str:
    # Two lists of the same names would explain nothing: what differs is range or direction.
    ends = "no range" if target.low is None else f"{target.low:g} to {target.high:g}"
    meaning = {1: "", -1: ", high means less", None: ", direction undeclared"}[target.direction]
    return f"{target.name} ({ends}{meaning})"


def _check(member: System, corpus: Corpus, splits: Splits, *, method: Method, split: str) -> None:
    """Refuse predictions of another meaning, and weights fitted on what must stay unseen."""
    if any(target != corpus.target(target.name) for target in member.targets or ()):
        raise DataError(
            f"{member.name} was trained on labels of another meaning or range than those of "
            f"{corpus.name}. Fuse runs on the corpus they were trained on."
        )
    if method == "fitted" and (split == "validation" or "validation" in splits.fit):
        raise ConfigError(
            "Weights are fitted on the validation clips, which were fitted or are to be scored "
            "here. Use --method mean."
        )


def _save(report: Report, records: Sequence[Record], place: Path) -> None:
    save_records(place, records)
    save_report(report, place / "report.json")


def _records(members: Sequence[System]) -> tuple[Record, ...]:
    """What any member learnt, the fusion learnt; nothing where a member did not record it."""
    # A record that lacks a member would call clips unseen that this member learnt from.
    known = [member.records for member in members]
    return tuple(join_records(known)) if all(known) else ()


def _read(
    members: Sequence[System], asked: Sequence[Clip], names: Sequence[str]
) -> dict[str, Predictions]:
    return {m.name: read_predictions(m.table, asked, targets=names) for m in members}


def _refuse_scales(read: Mapping[str, Predictions], corpus: Corpus, method: Method) -> None:
    """Refuse members on another scale: per cent beside shares make a mean without a meaning."""
    if method == "fitted":  # its weights leave a member out that says nothing on this scale
        return
    for name, each in read.items():
        if notes := scale_notes(each, corpus):
            raise DataError(f"{name} cannot be fused. {' '.join(notes)} Bring it to that range.")


def _made_of(
    report: Report, made_of: Members, members: Sequence[System], read: Mapping[str, Predictions]
) -> Report:
    """Add what a fusion was made of, and what was noticed of that."""
    warnings = (*report.warnings, *_averaged(read))
    more = {"members": made_of, "noted": _noted(members), "warnings": warnings}
    return report.model_copy(update=more)


def _averaged(read: Mapping[str, Predictions]) -> list[str]:
    """Say where a member is an ensemble already: it scores more than each of its trainings."""
    return [
        f"{name} has {len(each.seeds)} seeds: the mean of their predictions was fused, and its "
        f"scores among the members are those of this ensemble."
        for name, each in read.items()
        if len(each.seeds) > 1
    ]


def _join(
    read: Mapping[str, Predictions], asked: Sequence[Clip], names: Sequence[str]
) -> tuple[list[Clip], Array]:
    """The clips that all members have, and their predictions (members, clips, targets)."""
    clips, values = in_common(read, asked, names)
    if not clips:
        raise DataError(f"{' and '.join(read)} have no clip in common.")
    # A member of several seeds is one vote, not as many as it was trained.
    return clips, np.stack([each.mean(axis=0) for each in values])


def _fit_weights(
    systems: Sequence[Path | str],
    splits: Splits,
    names: Sequence[str],
    corpus: Corpus,
    constant: Array,
) -> Array:
    """Weights from the validation clips that all members predicted."""
    # the folders are read anew: their validation predictions stand in another place than the test's
    members = _members(systems, "validation")
    labelled = [clip for clip in splits.validation if clip.targets]
    clips, values = _join(_read(members, labelled, names), labelled, names)
    target = corpus.with_clips(clips).labels(names)
    short = [n for n, column in zip(names, target.T, strict=True) if np.isnan(column).all()]
    # With fewer clips than weights any labels at all could be fitted exactly.
    if short or len(clips) < len(members):
        raise DataError(
            f"{len(clips)} validation clips (without labels of: {', '.join(short) or 'none'}) are "
            f"too few to fit {len(members)} weights on. Use --method mean."
        )
    return fit_weights(values, target, constant)


def _seeds(read: Mapping[str, Predictions], systems: Sequence[Path | str]) -> list[int]:
    """The seed of each run, which must be all that the runs differ in.

    Raises:
        DataError: two runs have one seed, a system has several, or recipes differ.
    """
    given = {name: each.seeds for name, each in read.items()}
    seeds = [seed for mine in given.values() for seed in mine]
    if len(set(seeds)) < len(seeds) or len(seeds) > len(given):
        seeds_of_each = "; ".join(
            f"{name}: {', '.join(map(str, mine))}" for name, mine in given.items()
        )
        raise DataError(
            f"Replicates are runs of one seed each, all different. Here are {seeds_of_each}."
        )
    # Fusions and scored tables have no recipe, so nothing can be held against them.
    files = [path for system in systems if (path := Path(system) / "run.yaml").is_file()]
    recipes = [{k: v for k, v in read_yaml(path).items() if k != "seed"} for path in files]
    for path, recipe in zip(files[1:], recipes[1:], strict=True):
        # Over the keys of both: a setting that only one of them names is a difference, too.
        apart = [key for key in {**recipes[0], **recipe} if recipe.get(key) != recipes[0].get(key)]
        if apart:
            raise DataError(
                f"{files[0]} and {path} differ in more than their seed: {', '.join(apart)}. Fuse "
                f"runs of one recipe, or use --method mean."
            )
    return seeds


def _failures(
    members: Sequence[System], read: Mapping[str, Predictions], asked: Sequence[Clip]
) -> tuple[Failure, ...]:
    """Why a clip was not fused: the first member without it, with that member's reason."""
    failures: dict[str, Failure] = {}
    for member in members:
        known = {failure.clip: failure for failure in member.failures}
        predicted = {clip.id for clip in read[member.name].clips}
        for clip in asked:
            if clip.id not in predicted and clip.id not in failures:
                unknown = Failure(clip=clip.id, status="missing", reason="no prediction")
                failure = known.get(clip.id, unknown)
                reason = f"{member.name}: {failure.reason}"
                failures[clip.id] = failure.model_copy(update={"reason": reason})
    return tuple(failures.values())


def _named(
    weights: Array, members: Sequence[str], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    return {
        member: {name: round(float(w), 6) for name, w in zip(names, row, strict=True)}
        for member, row in zip(members, weights, strict=True)
    }


def _spread(
    values: Array,
    clips: Sequence[Clip],
    corpus: Corpus,
    names: Sequence[str],
    member: System,
    scoring: Scoring,
) -> Spread:
    """Macro scores of each member, with mean and sd, on the labelled clips they share."""
    # Clips without a label are fused for whoever reads the table, but nothing scores them.
    has_label = np.array([any(name in clip.targets for name in names) for clip in clips])
    kept = [clip for clip, labelled in zip(clips, has_label, strict=True) if labelled]
    repeats = values[:, has_label]
    # Members in the place of seeds: mean and sd over them are the same arithmetic.
    row = Row("members", "model", repeats.mean(axis=0), repeats, tuple(range(len(values))))
    aggregate = scoring.for_corpus(corpus).aggregate
    folds = system_folds(member, corpus, media_hash=False)
    constants, numbers = fold_constants(folds, kept, names)
    truth, [row] = beside_labels(
        [row], kept, corpus, names, constants=constants, folds=numbers, aggregate=aggregate
    )
    return spread(truth, row)
