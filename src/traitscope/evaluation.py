"""A run or anybody's predictions in, report.json out: every number from the table alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope import baselines, protocols
from traitscope.checkpoints import Checkpoint, load, read_json, write_json
from traitscope.corpora import load_corpus
from traitscope.data import gather
from traitscope.errors import DataError
from traitscope.prediction_tables import (
    Predictions,
    align,
    comparable,
    read_labelled,
    write_predictions,
)
from traitscope.protocols import Fit, Protocol, check_leakage, source_disjoint
from traitscope.scoring import (
    Row,
    Scoring,
    Truth,
    by_subject,
    score_part,
    truth_of,
    undefined,
    verdicts,
)
from traitscope.store import Store
from traitscope.types import Clip, Corpus, Target

Hook = Callable[[int, int, str], None]
SCHEMA = 1
_FEW_SOURCES = 30
_DIGITS = 5
_EXAMPLES = 10


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
        run: folder of a trained run.
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
    checkpoint = load(run, model=model)
    config = checkpoint.config
    labels = load_corpus(corpus or config.data.corpus)
    protocol = Protocol() if corpus else config.protocol
    asked = protocols.split(labels, protocol).part(split)
    features = Store(Path(store or config.data.store))
    ready, failures = _prepared(checkpoint, asked, features, corpus or config.data.corpus)
    values = _predict(checkpoint, ready, features, hook)
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
    report: dict[str, Any] = read_json(path)
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


def _predict(
    checkpoint: Checkpoint, clips: Sequence[Clip], store: Store, hook: Hook | None
) -> np.ndarray[Any, Any]:
    size = 64
    parts = []
    for first in range(0, len(clips), size):
        examples = checkpoint.examples(clips[first : first + size], store)
        parts.append(checkpoint.predict_examples(examples))
        if hook:
            hook(min(first + size, len(clips)), len(clips), "")
    return np.concatenate(parts) if parts else np.empty((0, len(checkpoint.facts.targets)))


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
    asked, fitted, leaks = _asked(corpus, protocol, split, scoring)
    read = align(read_labelled(predictions, asked, corpus), corpus, targets).explain(failures)
    named = name or (str(predictions) if isinstance(predictions, Path) else "predictions")
    truth = _truth(read, corpus, fitted, targets)
    rows = [_model(named, read), *_baselines(fitted, read, protocol, scoring)]
    unseen = np.isin([c.id for c in read.clips], [c.id for c in source_disjoint(asked, fitted)])
    if scoring.aggregate == "subject":
        truth, rows, unseen = by_subject(read.clips, truth, rows, unseen)
    parts, said = _parts(split, truth, rows, unseen, scoring)
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
        "warnings": [*said, *leaks, *read.notes, *_cautions(read, truth, corpus, len(asked))],
        "points": _points(truth, rows),
        "run": dict(run or {}),
    }


def _asked(
    corpus: Corpus, protocol: Protocol, split: str, scoring: Scoring
) -> tuple[tuple[Clip, ...], tuple[Clip, ...], Sequence[str]]:
    """Clips to score, clips that were fitted, and what leaks from these to those."""
    splits = protocols.split(corpus, protocol)
    asked, fitted = splits.part(split), splits.fitted
    if not asked or not fitted:
        empty = split if not asked else protocol.fit
        raise DataError(f"{corpus.name} has no clips in {empty!r}. Choose another split.")
    if split in splits.fit:
        return asked, fitted, (f"The split {split!r} was itself fitted: this is no test.",)
    leaks = check_leakage(fitted, asked, protocol, media_hash=scoring.media_hash)
    return asked, fitted, leaks


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


def _baselines(
    fitted: Sequence[Clip], read: Predictions, protocol: Protocol, scoring: Scoring
) -> list[Row]:
    clips, names = read.clips, read.targets
    k = baselines.fit_shrinkage(fitted, names)
    shrunk = baselines.lookup_shrunk(fitted, clips, names, shrinkage=k)
    rows = [
        Row(
            f"constant (mean of {protocol.fit})",
            "constant",
            baselines.constant(fitted, clips, names),
        ),
        Row("look-up by source", "lookup", baselines.lookup(fitted, clips, names)),
        Row(f"look-up by source, shrunk (k={k})", "lookup_shrunk", shrunk),
    ]
    if baselines.has_metadata(fitted, clips):
        metadata = baselines.metadata(fitted, clips, names)
        rows.append(Row("metadata only (ridge)", "metadata", metadata))
    permuted = baselines.permuted(fitted, clips, names, seed=scoring.seed)
    return [*rows, Row("permuted labels", "permuted", permuted)]


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


def _cautions(read: Predictions, truth: Truth, corpus: Corpus, asked: int) -> list[str]:
    """What a reader must know about the clips and targets behind the numbers."""
    extra = [target.name for target in corpus.optional if target.name in read.targets]
    cautions = []
    if extra:
        cautions.append(
            f"Macro scores include {', '.join(extra)}: published ones are over the traits alone."
        )
    if read.failures:
        names = [f"{f['clip']} ({f['status']})" for f in read.failures[:_EXAMPLES]]
        more = ", ..." if len(read.failures) > _EXAMPLES else ""
        cautions.append(
            f"{len(read.failures)} of {asked} clips are not scored: {', '.join(names)}{more}. "
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
