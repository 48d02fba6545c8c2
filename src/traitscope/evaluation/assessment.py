"""A run or anybody's predictions in, a report out: every number from the table alone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data import protocols
from traitscope.data.examples import gather
from traitscope.data.protocols import Fit, Protocol
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.baselines import baseline_rows, fold_constants
from traitscope.evaluation.cautions import cautions, unknown_clusters
from traitscope.evaluation.ceiling import ceiling_of
from traitscope.evaluation.folds import Fold, asked_and_fitted, folds_of, leaks, unseen
from traitscope.evaluation.halo import halo_of
from traitscope.evaluation.missing import without_a_score
from traitscope.evaluation.report import (
    Columns,
    CorpusFacts,
    Counts,
    Failure,
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
)
from traitscope.evaluation.systems import System, join, table_system
from traitscope.evaluation.tables import (
    Predictions,
    comparable,
    open_predictions,
    save_table,
    scale_notes,
    write_predictions,
)
from traitscope.evaluation.verdicts import Judged, verdicts
from traitscope.features.origins import serving
from traitscope.features.store import Store
from traitscope.features.summary import noted
from traitscope.runs.checkpoint import Checkpoint, load, read_run
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Hook, Target

_DIGITS = 5


def evaluate(
    run: Path | str,
    *,
    split: str = "test",
    corpus: str | None = None,
    store: Path | str | None = None,
    to: Path | str | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    scoring: Scoring | None = None,
    hook: Hook | None = None,
) -> Report:
    """Score a run on a split and write ``predictions.csv`` and ``report.json``.

    Args:
        run: folder of a trained run, or of one per fold: then all their predictions together.
        split: which clips.
        corpus: address of another corpus; or the run's own, to have your module imported for it.
        store: where that corpus' features are; the run's own store by default.
        to: folder of the results; ``RUN/evaluation/SPLIT`` by default.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        scoring: aggregation, resamples, seed.
        hook: called as hook(done, total, name).

    Raises:
        DataError: features are missing; the message is the command that makes them.

    Example:
        ``evaluate("runs/a").everything.model.macro("accuracy").value``
    """
    own = read_run(Path(run)).data.corpus
    typed = registry.typed(corpus=corpus)
    corpus = None if corpus == own else corpus
    if (Path(run) / "fold-0").is_dir() and not (corpus or store):
        how: dict[str, Any] = {"split": split, "model": model, "streams": streams}
        return _evaluate_folds(Path(run), to, typed, how | {"scoring": scoring, "hook": hook})
    checkpoint = load(run, model=model, streams=streams)
    labels = saved_corpus(corpus or own, typed, source=f"{run}/run.yaml", words="--corpus")
    config, protocol = checkpoint.config, Protocol() if corpus else checkpoint.config.protocol
    asked = protocols.split(labels, protocol).part(split)
    features = serving(Store(Path(store or config.data.store)), asked, corpus=labels.name)
    ready, failures = _prepared(checkpoint, asked, features, corpus or own)
    values = checkpoint.predict_examples(checkpoint.examples(ready, features), hook=hook)
    folder = Path(to) if to else Path(run, "evaluation", _folder_name(split, corpus))
    table, targets = folder / "predictions.csv", checkpoint.facts.targets
    names = [target.name for target in targets]
    write_predictions(table, ready, values, targets=names, split=split, seed=config.seed)
    system = System(
        name=str(run),
        table=table,
        split=split,
        protocol=protocol,
        address=corpus or own,
        targets=targets if corpus else None,
        failures=tuple(failures),
        run=_run_facts(checkpoint, features, ready),
        noted=noted(features, checkpoint.keys.values(), asked),
    )
    return save_report(assess(system, labels, scoring=scoring), folder / "report.json")


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
        protocol: how the clips are split; official by default.
        name: of the model in the tables; the file's by default.
        address: of the corpus, kept in the report so that its labels are found again.
        scoring: aggregation, resamples, seed.
    """
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
    folds = folds_of(corpus, system.protocol, system.split, media_hash=scoring.media_hash)
    asked, fitted = asked_and_fitted(folds)
    read = join(system, asked, corpus)
    truth = _truth(read, corpus, folds, system.targets)
    rows = [
        *_models(system.name, read),
        *baseline_rows(folds, read, system.protocol, seed=scoring.seed),
    ]
    # "unseen" is decided by clip, before people are averaged: one fitted source spoils a person
    new = unseen(folds, read.clips)
    if scoring.aggregate == "subject":
        truth, rows, new = by_subject(read.clips, truth, rows, new)
    judged, sentences = _judged(system.split, truth, rows, new, scoring, corpus)
    leading = next((each for each in reversed(judged) if each.part.rows), judged[0])
    facts: dict[str, Any] = {
        "ceiling": ceiling_of(
            corpus, leading.part.model, truth.names, aggregate=str(scoring.aggregate)
        ),
        "halo": halo_of(leading.key, leading.truth, leading.rows, corpus),
    }
    # a verdict says what a note on the scale says
    notes = [note for note in read.notes if note not in scale_notes(read, corpus)]
    missing = without_a_score(folds, read, corpus, aggregate=str(scoring.aggregate))
    said = (*sentences, *leaks(folds), *notes, *cautions(read, truth, corpus, asked))
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
        noted=system.noted,
        parts={each.key: each.part for each in judged},
        verdicts=verdicts(judged, corpus, **facts, missing=missing, scoring=scoring),
        warnings=(*unknown_clusters(read.clips), *said),
        **facts,
        points=_points(truth, rows),
        run=dict(system.run),
    )


def _evaluate_folds(
    run: Path, to: Path | str | None, typed: registry.Typed, how: Mapping[str, Any]
) -> Report:
    """Evaluate the run of every fold, then their predictions together: each clip once."""
    config = read_run(run)
    own = config.data.corpus
    corpus = saved_corpus(own, typed, source=str(run / "run.yaml"), words="--corpus")
    split, scoring = how["split"], how["scoring"]
    if split == "train":
        raise ConfigError(f"Folds share their training clips: evaluate {run} on test.")
    places = [run / f"fold-{number}" for number in range(config.protocol.folds)]
    reports = [evaluate(place, corpus=own, **how) for place in places]
    tables = [p / "evaluation" / split / "predictions.csv" for p in places]
    folder = Path(to) if to else run / "evaluation" / split
    everything = pd.concat([open_predictions(table)[1] for table in tables])
    save_table(folder / "predictions.csv", everything)
    system = System(
        name=str(run),
        table=folder / "predictions.csv",
        split=split,
        protocol=config.protocol,
        address=config.data.corpus,
        failures=tuple(failure for each in reports for failure in each.failures),
        run=reports[0].run,
        noted={clip: notes for each in reports for clip, notes in each.noted.items()},
    )
    report = assess(system, corpus, scoring=scoring)
    report = report.model_copy(update={"folds": _apart(reports)})
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
    }


def _truth(
    read: Predictions, corpus: Corpus, folds: Sequence[Fold], targets: Sequence[Target] | None
) -> Truth:
    labels = [corpus.target(name) for name in read.targets]
    predicted = {target.name: target for target in (*labels, *(targets or ()))}
    constants, numbers = fold_constants(folds, read.clips, read.targets)
    return truth_of(
        read.clips,
        corpus,
        read.targets,
        constants=constants,
        folds=numbers,
        mismatch=[t.name for t in labels if not comparable(predicted[t.name], t)],
    )


def _models(name: str, read: Predictions) -> list[Row]:
    """The model's row; for several seeds the mean of their scores, their ensemble, and each."""
    values = read.values.mean(axis=0)
    if len(read.seeds) == 1:
        return [Row(name, "model", values)]
    many = f"{len(read.seeds)} seeds"
    # one training scores like the mean of scores; the mean of predictions is another system
    return [
        Row(f"{name} (mean of {many})", "model", values, read.values, read.seeds),
        Row(f"{name} (ensemble of {many})", "ensemble", values),
        *(
            Row(f"{name} (seed {seed})", "seed", each)
            for seed, each in zip(read.seeds, read.values, strict=True)
        ),
    ]


def _judged(
    split: str,
    truth: Truth,
    rows: Sequence[Row],
    unseen: np.ndarray[Any, Any],
    scoring: Scoring,
    corpus: Corpus,
) -> tuple[list[Judged], list[str]]:
    """Score everything and, where sources were seen, the unseen rest apart; what is undefined."""
    title = f"{split}, all {'subjects' if scoring.aggregate == 'subject' else 'clips'}"
    part = score_part(title, truth, rows, scoring)
    labels = {name: corpus.target(name).label for name in truth.names}
    everything = Judged("all", part, truth, rows, unseen=bool(unseen.all()), labels=labels)
    sentences = list(undefined(part, labels))
    if unseen.all():
        return [everything], sentences
    rest = truth.keep(unseen)
    kept = [row.each(lambda values: values[..., unseen, :]) for row in rows]
    part = score_part(f"{split}, sources never seen in fitting", rest, kept, scoring)
    if not rest.ids:
        part = part.model_copy(update={"reason": "the source of every scored clip was fitted"})
    sentences += undefined(part, labels)
    apart = Judged("source_disjoint", part, rest, kept, unseen=True, labels=labels)
    return [everything, apart], sentences


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
