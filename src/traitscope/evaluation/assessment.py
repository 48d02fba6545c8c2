"""A run or anybody's predictions in, a report out: every number from the table alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.config import build, read_yaml
from traitscope.corpora import load_corpus
from traitscope.data import protocols
from traitscope.data.examples import gather
from traitscope.data.protocols import Fit, Protocol
from traitscope.data.record import read_records, save_records
from traitscope.errors import ConfigError, DataError, some
from traitscope.evaluation.baselines import baseline_rows, fitted_means
from traitscope.evaluation.folds import asked_and_fitted, grave, leaks, unseen
from traitscope.evaluation.recorded import foreign_protocol, system_folds, unrecorded
from traitscope.evaluation.report import (
    Columns,
    CorpusFacts,
    Counts,
    Failure,
    Part,
    Points,
    Repeated,
    Report,
    Scoring,
    TargetFacts,
    save_report,
)
from traitscope.evaluation.scoring import (
    COLUMNS,
    Row,
    Truth,
    by_subject,
    repeated,
    score_part,
    truth_of,
    undefined,
    verdicts,
)
from traitscope.evaluation.systems import System, given_folds, join, table_system
from traitscope.evaluation.tables import Predictions, comparable, write_predictions
from traitscope.features.store import Store
from traitscope.files import replacing
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.scorings import count_scoring
from traitscope.runs.settings import RunConfig
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Hook, Target

_FEW_SOURCES = 30
_DIGITS = 5


def evaluate(
    run: Path | str,
    *,
    split: str = "test",
    corpus: str | None = None,
    store: Path | str | None = None,
    to: Path | str | None = None,
    model: str | None = None,
    scoring: Scoring | None = None,
    hook: Hook | None = None,
) -> Report:
    """Score a run on a split and write ``predictions.csv`` and ``report.json``.

    Args:
        run: folder of a trained run, or of one per fold: then all their predictions together.
        split: which clips.
        corpus: address of another corpus than the run's own; directions are aligned.
        store: where that corpus' features are; the run's own store by default.
        to: folder of the results; ``RUN/evaluation/SPLIT`` by default.
        model: the dotted path of an outside model the run was trained with.
        scoring: aggregation, resamples, seed.
        hook: called as hook(done, total, name).

    Raises:
        DataError: features are missing; the message is the command that makes them.

    Example:
        ``evaluate("runs/a").everything.model.macro("accuracy").value``
    """
    if (Path(run) / "fold-0").is_dir() and not (corpus or store):
        how: dict[str, Any] = {"split": split, "model": model, "scoring": scoring, "hook": hook}
        return _evaluate_folds(Path(run), to, how)
    checkpoint = load(run, model=model)
    config = checkpoint.config
    address = corpus or config.data.corpus
    labels = load_corpus(address)
    protocol = foreign_protocol(labels) if corpus else config.protocol
    asked = protocols.split(labels, protocol).part(split)
    features = Store(Path(store or config.data.store))
    ready, failures = _prepared(checkpoint, asked, features, address)
    values = checkpoint.predict_examples(checkpoint.examples(ready, features), hook=hook)
    folder = Path(to) if to else Path(run, "evaluation", _folder_name(split, corpus))
    folder.mkdir(parents=True, exist_ok=True)
    table, targets = folder / "predictions.csv", checkpoint.facts.targets
    names = [target.name for target in targets]
    write_predictions(table, ready, values, targets=names, split=split, seed=config.seed)
    system = System(
        name=str(run),
        table=table,
        split=split,
        protocol=protocol,
        address=address,
        targets=targets if corpus else None,
        failures=tuple(failures),
        run=_run_facts(checkpoint, features, ready)
        | {"scored": count_scoring(Path(run), split, address)},
        records=tuple(read_records(Path(run))),
    )
    return _assess_and_save(system, labels, folder, scoring)


def evaluate_predictions(
    predictions: Path | pd.DataFrame,
    corpus: Corpus,
    *,
    split: str = "test",
    fit_on: Fit | None = None,
    protocol: Protocol | None = None,
    name: str | None = None,
    address: str | None = None,
    scoring: Scoring | None = None,
) -> Report:
    """Score a table of predictions beside the baselines, on all clips and on unseen sources.

    Args:
        predictions: predictions.csv or its content (see ``evaluation.tables``).
        corpus: the labels.
        split: which split was predicted.
        fit_on: what was fitted, for baselines and leakage; overrides ``protocol.fit``.
        protocol: how the clips are split; by default official, or for labels without a split by
            the column ``fold`` of the predictions.
        name: of the model in the tables; the file's by default.
        address: of the corpus, kept in the report so that its labels are found again.
        scoring: aggregation, resamples, seed.
    """
    protocol = protocol or given_folds(predictions, corpus)
    system = table_system(
        predictions, split=split, fit_on=fit_on, protocol=protocol, name=name, address=address
    )
    return assess(system, corpus, scoring=scoring)


def assess(system: System, corpus: Corpus, *, scoring: Scoring | None = None) -> Report:
    """Score what a system predicted, beside the baselines.

    Where the system was trained on another corpus (``system.targets``), directions are flipped and
    ranges stretched to those of the labels, and the report says so.
    """
    scoring = (scoring or Scoring()).for_corpus(corpus)
    folds = system_folds(system, corpus, media_hash=scoring.media_hash)
    asked, fitted = asked_and_fitted(folds)
    read = join(system, asked, corpus)
    truth = _truth(read, corpus, fitted, system.targets)
    rows = [
        _model(system.name, read),
        *baseline_rows(folds, read, system.protocol, seed=scoring.seed),
    ]
    # "unseen" is decided by clip, before people are averaged: one fitted source spoils a person
    new = unseen(folds, read.clips)
    if scoring.aggregate == "subject":
        truth, rows, new = by_subject(read.clips, truth, rows, new)
    parts, sentences = _parts(system.split, truth, rows, new, scoring)
    cautions = _cautions(read, truth, corpus, asked)
    return Report(
        name=system.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        corpus=_corpus_facts(corpus, read.targets, system.address),
        predicted=system.targets,
        protocol=system.protocol,
        scoring=scoring,
        split=system.split,
        fit=tuple(system.protocol.fit.split("+")),
        counts=_counts(asked, read, fitted),
        failures=read.failures,
        parts=parts,
        warnings=(
            *grave(folds),
            *sentences,
            *leaks(folds),
            *unrecorded(system),
            *read.notes,
            *cautions,
        ),
        points=_points(truth, rows),
        run=dict(system.run),
    )


def _assess_and_save(
    system: System, labels: Corpus, folder: Path, scoring: Scoring | None
) -> Report:
    """Score a system; its folder gets the record of what was fitted, for compare and fuse."""
    report = assess(system, labels, scoring=scoring)
    save_records(folder, system.records)
    save_report(report, folder / "report.json")
    return report


def _evaluate_folds(run: Path, to: Path | str | None, how: Mapping[str, Any]) -> Report:
    """Evaluate the run of every fold, then their predictions together: each clip once."""
    config = build(RunConfig, read_yaml(run / "run.yaml"), where=str(run / "run.yaml"))
    split, scoring = how["split"], how["scoring"]
    if split == "train":
        raise ConfigError(f"Folds share their training clips: evaluate {run} on test.")
    places = [run / f"fold-{number}" for number in range(config.protocol.folds)]
    reports = [evaluate(place, **how) for place in places]
    texts = {"clip": str, "source": str, "subject": str}  # an id such as 007 stays what it is
    tables = [p / "evaluation" / split / "predictions.csv" for p in places]
    folder = Path(to) if to else run / "evaluation" / split
    everything = pd.concat([pd.read_csv(table, dtype=texts) for table in tables])
    with replacing(folder / "predictions.csv") as draft:
        everything.to_csv(draft, index=False)
    records = tuple(record for place in places for record in read_records(place))
    times = count_scoring(run, split, config.data.corpus)
    system = System(
        name=str(run),
        table=folder / "predictions.csv",
        split=split,
        protocol=config.protocol,
        address=config.data.corpus,
        failures=tuple(failure for each in reports for failure in each.failures),
        run={**reports[0].run, "scored": times},
        records=records,
    )
    report = assess(system, load_corpus(config.data.corpus), scoring=scoring)
    report = report.model_copy(update={"folds": _apart(reports)})
    save_records(folder, records)
    save_report(report, folder / "report.json")
    return report


def _apart(reports: Sequence[Report]) -> dict[str, Repeated]:
    """Macro scores of the model in each fold, with mean and standard deviation over them."""
    models = [report.everything.model for report in reports]
    return {metric: repeated([row.macro(metric).value for row in models]) for metric in COLUMNS}


def _folder_name(split: str, corpus: str | None) -> str:
    if corpus is None:
        return split
    return f"{split}-{''.join(c if c.isalnum() else '_' for c in corpus)}"


def _prepared(
    checkpoint: Checkpoint, asked: Sequence[Clip], store: Store, address: str
) -> tuple[list[Clip], list[Failure]]:
    try:
        ready, failures = gather(asked, store, checkpoint.keys)
    except DataError as error:
        command = f"traitscope prepare {address} --store {store.folder} --for {checkpoint.folder}"
        raise DataError(f"{error} Make them with: {command}") from error
    return ready, [Failure.model_validate(failure) for failure in failures]


def _run_facts(checkpoint: Checkpoint, store: Store, clips: Sequence[Clip]) -> dict[str, Any]:
    """What the report says of the run behind the numbers."""
    coverage = {}
    for stream, key in checkpoint.keys.items():
        rows = store.statuses(key)
        shares = [rows[clip.id].coverage for clip in clips]
        coverage[stream] = round(float(np.mean(shares)), 4) if shares else None
    return {
        "model": checkpoint.config.model["name"],
        "seed": checkpoint.config.seed,
        "streams": checkpoint.keys,
        "backend": checkpoint.backend,
        "coverage": coverage,
        "fitted_clips": checkpoint.facts.fitted_clips,
        "allow_attributes": checkpoint.config.data.allow_attributes,
        **protocols.manifest_facts(checkpoint.config.protocol),
    }


def _truth(
    read: Predictions, corpus: Corpus, fitted: Sequence[Clip], targets: Sequence[Target] | None
) -> Truth:
    labels = [corpus.target(name) for name in read.targets]
    predicted = {target.name: target for target in (*labels, *(targets or ()))}
    return truth_of(
        read.clips,
        corpus,
        read.targets,
        constants=fitted_means(fitted, read.targets),
        mismatch=[t.name for t in labels if not comparable(predicted[t.name], t)],
    )


def _model(name: str, read: Predictions) -> Row:
    """The model's row; several seeds are averaged, and kept beside it."""
    several = len(read.seeds) > 1
    title = f"{name} (mean of {len(read.seeds)} seeds)" if several else name
    # the mean of predictions, not of scores: that is the ensemble a user would run
    return Row(title, "model", read.values.mean(axis=0), read.values, read.seeds)


def _parts(
    split: str,
    truth: Truth,
    rows: Sequence[Row],
    unseen: np.ndarray[Any, Any],
    scoring: Scoring,
) -> tuple[dict[str, Part], list[str]]:
    """Score everything and, where sources were seen, the unseen rest apart; with the verdicts."""
    title = f"{split}, all {'subjects' if scoring.aggregate == 'subject' else 'clips'}"
    everything = score_part(title, truth, rows, scoring)
    sentences = list(undefined(everything, truth.names))
    sentences += verdicts(title, truth, rows, scoring, unseen=bool(unseen.all()))
    if unseen.all():
        return {"all": everything}, sentences
    title = f"{split}, sources never seen in fitting"
    rest = truth.keep(unseen)
    kept = [row.each(lambda values: values[..., unseen, :]) for row in rows]
    disjoint = score_part(title, rest, kept, scoring)
    if not rest.ids:
        why = "the source of every scored clip was fitted"
        disjoint = disjoint.model_copy(update={"reason": why})
        sentences.insert(0, f"{title}: none are left, so nothing shows what carries over.")
    else:
        # what carries over to new sources comes first: it is what a reader must not miss
        first = verdicts(title, rest, kept, scoring, unseen=True)
        sentences = [*first, *sentences, *undefined(disjoint, truth.names)]
    return {"all": everything, "source_disjoint": disjoint}, sentences


def _cautions(read: Predictions, truth: Truth, corpus: Corpus, asked: Sequence[Clip]) -> list[str]:
    """What a reader must know about the clips and targets behind the numbers."""
    extra = [target.name for target in corpus.optional if target.name in read.targets]
    cautions = []
    if extra:
        cautions.append(
            f"Macro scores include {', '.join(extra)}: published ones are over the traits alone."
        )
    if read.failures:
        names = [f"{failure.clip} ({failure.status})" for failure in read.failures]
        cautions.append(
            f"{len(names)} of {len(asked)} clips are not scored: {some(names)}. "
            f"Compare with others on the same clips only."
        )
    sources = len(set(truth.sources))
    if sources < _FEW_SOURCES:
        cautions.append(f"Only {sources} sources: intervals are rough, or missing.")
    return cautions


def _counts(asked: Sequence[Clip], read: Predictions, fitted: Sequence[Clip]) -> Counts:
    subjects = {clip.subject for clip in read.clips} - {None}
    return Counts(
        clips=len(asked),
        scored=len(read.clips),
        failed=len(read.failures),
        sources=len({clip.source for clip in read.clips}),
        subjects=len(subjects) or None,
        fitted_clips=len(fitted),
    )


def _corpus_facts(corpus: Corpus, names: Sequence[str], address: str | None) -> CorpusFacts:
    facts = [
        TargetFacts(name=t.name, label=t.label, low=t.low, high=t.high, direction=t.direction)
        for t in map(corpus.target, names)
    ]
    return CorpusFacts(
        name=corpus.name,
        kind=corpus.kind,
        targets=tuple(facts),
        notes=tuple(corpus.notes),
        address=address,
    )


def _points(truth: Truth, rows: Sequence[Row]) -> Points:
    """Labels and predictions to plot, None where a label is missing."""

    def columns(values: Array) -> Columns:
        return {
            name: tuple(None if np.isnan(v) else round(float(v), _DIGITS) for v in column)
            for name, column in zip(truth.names, values.T, strict=True)
        }

    shown = {"constant", "lookup"}  # the page draws no others, and points are most of the file
    return Points(
        clip=truth.ids,
        true=columns(truth.target),
        predicted=columns(rows[0].values),
        baselines={row.role: columns(row.values) for row in rows if row.role in shown},
        source=truth.sources,
    )
