"""A run or anybody's predictions in, report.json out: every number from the table alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
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
from traitscope.errors import ConfigError, DataError, some
from traitscope.evaluation import baselines
from traitscope.evaluation.baselines import asked_and_fitted, baseline_rows, folds_of, leaks, unseen
from traitscope.evaluation.scoring import (
    COLUMNS,
    Row,
    Scoring,
    Truth,
    by_subject,
    repeated,
    score_part,
    truth_of,
    undefined,
    verdicts,
)
from traitscope.evaluation.tables import (
    Predictions,
    align,
    comparable,
    read_labelled,
    write_predictions,
)
from traitscope.features.store import Store
from traitscope.files import read_json, replacing, write_json
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.settings import RunConfig
from traitscope.types import Clip, Corpus, Hook, Target

SCHEMA = 1
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
) -> dict[str, Any]:
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
        ``evaluate("runs/a")["parts"]["all"]["rows"][0]["metrics"]["accuracy"]["macro"]``
    """
    if (Path(run) / "fold-0").is_dir() and not (corpus or store):
        how: dict[str, Any] = {"split": split, "model": model, "scoring": scoring, "hook": hook}
        return _evaluate_folds(Path(run), to, how)
    checkpoint = load(run, model=model)
    config = checkpoint.config
    labels = load_corpus(corpus or config.data.corpus)
    protocol = Protocol() if corpus else config.protocol
    asked = protocols.split(labels, protocol).part(split)
    features = Store(Path(store or config.data.store))
    ready, failures = _prepared(checkpoint, asked, features, corpus or config.data.corpus)
    values = checkpoint.predict_examples(checkpoint.examples(ready, features), hook=hook)
    folder = Path(to) if to else Path(run, "evaluation", _folder_name(split, corpus))
    folder.mkdir(parents=True, exist_ok=True)
    table, targets = folder / "predictions.csv", checkpoint.facts.targets
    names = [target.name for target in targets]
    write_predictions(table, ready, values, targets=names, split=split, seed=config.seed)
    report = evaluate_predictions(
        table,
        labels,
        split=split,
        protocol=protocol,
        name=str(run),
        failures=failures,
        targets=targets if corpus else None,
        run=_run_facts(checkpoint, features, ready),
        scoring=scoring,
        address=corpus or config.data.corpus,
    )
    write_json(folder / "report.json", report)
    return report


def _evaluate_folds(run: Path, to: Path | str | None, how: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the run of every fold, then their predictions together: each clip once."""
    config = build(RunConfig, read_yaml(run / "run.yaml"), where=str(run / "run.yaml"))
    split, scoring = how["split"], how["scoring"]
    if split == "train":
        raise ConfigError(f"Folds share their training clips: evaluate {run} on test.")
    places = [run / f"fold-{number}" for number in range(config.protocol.folds)]
    reports = [evaluate(place, **how) for place in places]
    texts = {"clip": str, "source": str, "subject": str}
    found = [pd.read_csv(p / "evaluation" / split / "predictions.csv", dtype=texts) for p in places]
    folder = Path(to) if to else run / "evaluation" / split
    with replacing(folder / "predictions.csv") as draft:
        pd.concat(found).to_csv(draft, index=False)
    report = evaluate_predictions(
        folder / "predictions.csv",
        load_corpus(config.data.corpus),
        split=split,
        protocol=config.protocol,
        name=str(run),
        failures=[failure for each in reports for failure in each["failures"]],
        run=reports[0]["run"],
        scoring=scoring,
        address=config.data.corpus,
    )
    report["folds"] = _apart(reports)
    write_json(folder / "report.json", report)
    return report


def _apart(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Macro scores of the model in each fold, with mean and standard deviation over them."""
    found = {}
    for metric in COLUMNS:
        rows = (report["parts"]["all"]["rows"][0] for report in reports)
        found[metric] = repeated([row["metrics"][metric]["macro"]["value"] for row in rows])
    return found


def read_report(run: Path | str, *, split: str = "test") -> dict[str, Any]:
    """Read the report of an evaluated run, or a report file.

    Raises:
        DataError: the run was not evaluated on that split.
    """
    path = Path(run)
    if path.is_dir():
        path = path / "evaluation" / split / "report.json"
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Make it with: traitscope evaluate {run} --split {split}"
        )
    report: dict[str, Any] = read_json(path, damaged="Evaluate again.")
    return report


def _folder_name(split: str, corpus: str | None) -> str:
    if corpus is None:
        return split
    return f"{split}-{''.join(c if c.isalnum() else '_' for c in corpus)}"


def _prepared(
    checkpoint: Checkpoint, asked: Sequence[Clip], store: Store, address: str
) -> tuple[list[Clip], list[dict[str, str]]]:
    try:
        return gather(asked, store, checkpoint.keys)
    except DataError as error:
        command = f"traitscope prepare {address} --store {store.folder} --for {checkpoint.folder}"
        raise DataError(f"{error} Make them with: {command}") from error


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


def evaluate_predictions(
    predictions: Path | pd.DataFrame,
    corpus: Corpus,
    *,
    split: str = "test",
    fit_on: Fit | None = None,
    protocol: Protocol | None = None,
    name: str | None = None,
    failures: Sequence[Mapping[str, str]] = (),
    targets: Sequence[Target] | None = None,
    run: Mapping[str, Any] | None = None,
    scoring: Scoring | None = None,
    address: str | None = None,
) -> dict[str, Any]:
    """Score a table of predictions beside the baselines, on all clips and on unseen sources.

    Args:
        predictions: predictions.csv or its content (see ``prediction_tables``).
        corpus: the labels.
        split: which split was predicted.
        fit_on: what was fitted, for baselines and leakage; overrides ``protocol.fit``.
        protocol: how the clips are split; official by default.
        name: of the model in the tables; the file's by default.
        failures: why clips have no prediction: ``clip``, ``status``, ``reason``.
        targets: what was predicted, when the model was trained on another corpus: directions are
            flipped and ranges stretched to those of the labels, and the report says so.
        run: facts about the run to keep in the report.
        scoring: aggregation, resamples, seed.
        address: of the corpus, kept in the report so that its labels are found again.
    """
    scoring = (scoring or Scoring()).for_corpus(corpus)
    protocol = protocol or Protocol()
    protocol = protocol.model_copy(update={"fit": fit_on}) if fit_on else protocol
    folds = folds_of(corpus, protocol, split, scoring)
    asked, fitted = asked_and_fitted(folds)
    read = align(read_labelled(predictions, asked, corpus), corpus, targets).explain(failures)
    named = name or (str(predictions) if isinstance(predictions, Path) else "predictions")
    truth = _truth(read, corpus, fitted, targets)
    rows = [_model(named, read), *baseline_rows(folds, read, protocol, seed=scoring.seed)]
    new = unseen(folds, read.clips)
    if scoring.aggregate == "subject":
        truth, rows, new = by_subject(read.clips, truth, rows, new)
    parts, said = _parts(split, truth, rows, new, scoring)
    return {
        "schema": SCHEMA,
        "name": named,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "corpus": {**_corpus_facts(corpus, read.targets), "address": address},
        "predicted": None if targets is None else [asdict(target) for target in targets],
        "protocol": protocol.model_dump(mode="json"),
        "scoring": scoring.model_dump(mode="json"),
        "split": split,
        "fit": protocol.fit.split("+"),
        "counts": _counts(asked, read, fitted),
        "failures": list(read.failures),
        "parts": parts,
        "warnings": [*said, *leaks(folds), *read.notes, *_cautions(read, truth, corpus, asked)],
        "points": _points(truth, rows),
        "run": dict(run or {}),
    }


def _truth(
    read: Predictions, corpus: Corpus, fitted: Sequence[Clip], targets: Sequence[Target] | None
) -> Truth:
    meant = [corpus.target(name) for name in read.targets]
    given = {target.name: target for target in (*meant, *(targets or ()))}
    return truth_of(
        read.clips,
        corpus,
        read.targets,
        constants=baselines.fitted_means(fitted, read.targets),
        mismatch=[t.name for t in meant if not comparable(given[t.name], t)],
    )


def _model(name: str, read: Predictions) -> Row:
    """The model's row; several seeds are averaged, and kept beside it."""
    several = len(read.seeds) > 1
    title = f"{name} (mean of {len(read.seeds)} seeds)" if several else name
    return Row(title, "model", read.values.mean(axis=0), read.values, read.seeds)


def _parts(
    split: str,
    truth: Truth,
    rows: Sequence[Row],
    unseen: np.ndarray[Any, Any],
    scoring: Scoring,
) -> tuple[dict[str, Any], list[str]]:
    """Score everything and, where sources were seen, the unseen rest apart; with the verdicts."""
    title = f"{split}, all {'subjects' if scoring.aggregate == 'subject' else 'clips'}"
    parts = {"all": score_part(title, truth, rows, scoring)}
    said = list(undefined(parts["all"], truth.names))
    said += verdicts(title, truth, rows, scoring, unseen=bool(unseen.all()))
    if unseen.all():
        return parts, said
    title = f"{split}, sources never seen in fitting"
    rest = truth.keep(unseen)
    kept = [row.each(lambda values: values[..., unseen, :]) for row in rows]
    parts["source_disjoint"] = score_part(title, rest, kept, scoring)
    if not rest.ids:
        parts["source_disjoint"]["reason"] = "the source of every scored clip was fitted"
        return parts, [f"{title}: none are left, so nothing shows what carries over.", *said]
    lost = undefined(parts["source_disjoint"], truth.names)
    return parts, [*verdicts(title, rest, kept, scoring, unseen=True), *said, *lost]


def _cautions(read: Predictions, truth: Truth, corpus: Corpus, asked: Sequence[Clip]) -> list[str]:
    """What a reader must know about the clips and targets behind the numbers."""
    extra = [target.name for target in corpus.optional if target.name in read.targets]
    cautions = []
    if extra:
        cautions.append(
            f"Macro scores include {', '.join(extra)}: published ones are over the traits alone."
        )
    if read.failures:
        names = [f"{failure['clip']} ({failure['status']})" for failure in read.failures]
        cautions.append(
            f"{len(names)} of {len(asked)} clips are not scored: {some(names)}. "
            f"Compare with others on the same clips only."
        )
    sources = len(set(truth.sources))
    if sources < _FEW_SOURCES:
        cautions.append(f"Only {sources} sources: intervals are rough, or missing.")
    return cautions


def _counts(
    asked: Sequence[Clip], read: Predictions, fitted: Sequence[Clip]
) -> dict[str, int | None]:
    subjects = {clip.subject for clip in read.clips} - {None}
    return {
        "clips": len(asked),
        "scored": len(read.clips),
        "failed": len(read.failures),
        "sources": len({clip.source for clip in read.clips}),
        "subjects": len(subjects) or None,
        "fitted_clips": len(fitted),
    }


def _corpus_facts(corpus: Corpus, names: Sequence[str]) -> dict[str, Any]:
    facts = [
        {"name": t.name, "label": t.label, "low": t.low, "high": t.high, "direction": t.direction}
        for t in map(corpus.target, names)
    ]
    return {
        "name": corpus.name,
        "kind": corpus.kind,
        "targets": facts,
        "notes": list(corpus.notes),
    }


def _points(truth: Truth, rows: Sequence[Row]) -> dict[str, Any]:
    """Labels and predictions to plot, None where a label is missing."""

    def columns(values: np.ndarray[Any, Any]) -> dict[str, list[float | None]]:
        return {
            name: [None if np.isnan(v) else round(float(v), _DIGITS) for v in column]
            for name, column in zip(truth.names, values.T, strict=True)
        }

    shown = {"constant", "lookup"}
    return {
        "clip": list(truth.ids),
        "true": columns(truth.target),
        "predicted": columns(rows[0].values),
        "baselines": {row.role: columns(row.values) for row in rows if row.role in shown},
        "source": list(truth.sources),
    }
