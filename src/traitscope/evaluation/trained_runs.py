"""A trained run on a split: its predictions, their table, and the report of both.

In: the folder of a run, or of one per fold. Out: ``predictions.csv`` and ``report.json`` in it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data import protocols
from traitscope.data.examples import Examples, gather
from traitscope.data.protocols import cluster_numbers
from traitscope.data.record import read_records, same_place, save_records
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.assessment import assess
from traitscope.evaluation.recorded import foreign_protocol, known_fits
from traitscope.evaluation.report import (
    Failure,
    Repeated,
    Report,
    Scoring,
    save_report,
)
from traitscope.evaluation.scoring import (
    COLUMNS,
    repeated,
)
from traitscope.evaluation.systems import System
from traitscope.evaluation.tables import (
    open_predictions,
    save_table,
    write_predictions,
)
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.features.store import Store
from traitscope.features.summary import noted
from traitscope.runs.checkpoint import Checkpoint, Estimate, load, read_run
from traitscope.runs.members import seed_folders
from traitscope.runs.reference import read_reference
from traitscope.runs.scorings import count_scoring
from traitscope.statistics.conformal import LEVEL, share_inside
from traitscope.types import Clip, Corpus, Hook
from traitscope.weights import run_folder


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
    workers: int = 0,
    hook: Hook | None = None,
) -> Report:
    """Score a run on a split and write ``predictions.csv`` and ``report.json``.

    Args:
        run: a trained run, or the folder of one per fold: then all their predictions together.
        split: which clips.
        corpus: address of another corpus; or the run's own, to have your module imported for it.
        store: where that corpus' features are; the run's own store by default.
        to: folder of the results; ``RUN/evaluation/SPLIT`` by default.
        model: dotted path of an outside model.
        streams: dotted paths of outside extractors.
        scoring: aggregation, resamples, seed.
        workers: processes that read features; 0 reads them here.
        hook: called as hook(done, total, name).

    Raises:
        DataError: features are missing; the message is the command that makes them.
    """
    config = read_run(run := run_folder(run))
    how: dict[str, Any] = {"split": split, "scoring": scoring, "workers": workers, "hook": hook}
    how |= {"model": model, "streams": streams}
    where: dict[str, Any] = {"corpus": corpus, "store": store}
    if places := seed_folders(run, config):
        return _evaluate_seeds(run, places, to, how | where)
    elsewhere = store or _foreign(corpus, config.data.corpus)
    if (run / "fold-0").is_dir() and not elsewhere:
        return _evaluate_folds(run, to, registry.typed(corpus=corpus), how)
    return _evaluate_run(run, to, how | where)


def _foreign(corpus: str | None, own: str) -> str | None:
    """The corpus that was named, unless it is the run's own."""
    return None if corpus is None or same_place(corpus) == same_place(own) else corpus


def _evaluate_run(run: Path, to: Path | str | None, how: Mapping[str, Any]) -> Report:
    """Evaluate one training."""
    split, own = how["split"], read_run(run).data.corpus
    typed = registry.typed(corpus=how["corpus"])
    corpus = _foreign(how["corpus"], own)
    checkpoint = load(run, model=how["model"], streams=how["streams"])
    address = corpus or own
    labels = saved_corpus(address, typed, source=f"{run}/run.yaml", words="--corpus")
    protocol = foreign_protocol(labels) if corpus else checkpoint.config.protocol
    asked = protocols.split(labels, protocol).part(split)
    opened = open_store(how["store"] or checkpoint.config.data.store)
    features = serving(opened, asked, corpus=labels.name)
    ready, failures = _prepared(checkpoint, asked, features, address)
    examples = checkpoint.examples(ready, features)
    made = checkpoint.estimate_examples(examples, workers=how["workers"], hook=how["hook"])
    inside = {} if corpus else _intervals(checkpoint, examples, made)
    folder = Path(to) if to else run / "evaluation" / _folder_name(split, corpus)
    table, seed = folder / "predictions.csv", checkpoint.config.seed
    write_predictions(table, ready, made.scores, targets=examples.targets, split=split, seed=seed)
    system = System(
        *(str(run), table, split, protocol, address),
        targets=checkpoint.facts.targets if corpus else None,
        failures=tuple(failures),
        run=_run_facts(checkpoint, features, ready) | _scored_before(run, split, address) | inside,
        noted=noted(features, checkpoint.keys.values(), asked),
        records=tuple(read_records(run)),
    )
    return _assess_and_save(system, labels, folder, how["scoring"])


def _scored_before(run: Path | str, split: str, address: str) -> dict[str, Any]:
    """Count this scoring of the split, and say which it is."""
    # Counted before there is a report: whoever interrupts it may have seen the table.
    return {"scored": count_scoring(Path(run), split, address)}


def _assess_and_save(
    system: System, labels: Corpus, folder: Path, scoring: Scoring | None
) -> Report:
    """Score a system; its folder gets the record of what was fitted, for compare and fuse."""
    report = assess(system, labels, scoring=scoring)
    # The record first: a report without one would pass for that of an older run.
    save_records(folder, system.records)
    return save_report(report, folder / "report.json")


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
    # ``saved_corpus`` above has agreed to the corpus; named here it is typed for every fold.
    reports = [evaluate(place, corpus=own, **how) for place in places]
    tables = [p / "evaluation" / split / "predictions.csv" for p in places]
    folder = Path(to) if to else run / "evaluation" / split
    # Scored from one table, clip by clip: a mean of the folds' scores would weigh a small fold
    # like a large one, and tell nothing of the people in them.
    everything = pd.concat([open_predictions(table)[1] for table in tables])
    save_table(folder / "predictions.csv", everything)
    records = tuple(record for place in places for record in read_records(place))
    system = System(
        name=str(run),
        table=folder / "predictions.csv",
        split=split,
        protocol=config.protocol,
        address=config.data.corpus,
        failures=tuple(failure for each in reports for failure in each.failures),
        # Folds are of one recipe, so the facts of the first hold of all.
        run={
            **_of_all(reports[0]),
            **_scored_before(run, split, config.data.corpus),
        },
        noted={clip: notes for each in reports for clip, notes in each.noted.items()},
        records=records,
    )
    report = assess(system, corpus, scoring=scoring)
    report = report.model_copy(update={"folds": _apart(reports)})
    save_records(folder, records)
    save_report(report, folder / "report.json")
    return report


def _evaluate_seeds(
    run: Path, places: Sequence[Path], to: Path | str | None, how: Mapping[str, Any]
) -> Report:
    """Evaluate the training of every seed, then all as one system whose scores are means."""
    config, split = read_run(run), how["split"]
    typed = registry.typed(corpus=how["corpus"])
    corpus = _foreign(how["corpus"], config.data.corpus)
    reports = [evaluate(place, **how) for place in places]
    tables = [p / "evaluation" / _folder_name(split, corpus) / "predictions.csv" for p in places]
    folder = Path(to) if to else run / "evaluation" / _folder_name(split, corpus)
    save_table(folder / "predictions.csv", pd.concat([open_predictions(t)[1] for t in tables]))
    address = corpus or config.data.corpus
    labels = saved_corpus(address, typed, source=f"{run}/run.yaml", words="--corpus")
    first = reports[0]
    seeds = [report.run["seed"] for report in reports]
    system = System(
        name=str(run),
        table=folder / "predictions.csv",
        split=split,
        protocol=first.protocol,
        address=address,
        targets=first.predicted,
        failures=first.failures,
        run={**_of_all(first), "seed": seeds, **_scored_before(run, split, address)},
        noted=first.noted,
        # What one of them was fitted on: all learnt from the same clips.
        records=tuple(read_records(places[0])),
    )
    return _assess_and_save(system, labels, folder, how["scoring"])


def _of_all(first: Report) -> dict[str, Any]:
    """What one of several trainings of a recipe knows of all; its intervals are its own."""
    return {key: value for key, value in first.run.items() if key != "interval_coverage"}


def _apart(reports: Sequence[Report]) -> dict[str, Repeated]:
    """Macro scores of the model in each fold, with mean and standard deviation over them."""
    models = [report.everything.model for report in reports]
    return {metric: repeated([row.macro(metric).value for row in models]) for metric in COLUMNS}


def _folder_name(split: str, corpus: str | None) -> str:
    if corpus is None:
        return split
    # Beside the run's own results, which another corpus must not overwrite.
    return f"{split}-{''.join(c if c.isalnum() else '_' for c in corpus)}"


def _prepared(
    checkpoint: Checkpoint, asked: Sequence[Clip], store: Store, address: str
) -> tuple[list[Clip], list[Failure]]:
    try:
        ready, failures = gather(asked, store, checkpoint.keys, checkpoint.draws)
    except DataError as error:
        # The store knows what is absent, but not which run wants it.
        command = f"traitscope prepare {address} --store {store.folder} --for {checkpoint.folder}"
        raise DataError(f"{error} Make them with: {command}") from error
    return ready, [Failure.model_validate(failure) for failure in failures]


def _intervals(checkpoint: Checkpoint, examples: Examples, made: Estimate) -> dict[str, Any]:
    """How many labels of this split lie in the run's own intervals, by target.

    Of its own corpus alone: labels of another one may have other ranges and directions.
    """
    reference = read_reference(checkpoint.folder)
    widths, multiples = reference.widths(), reference.multiples()
    if not len(made.scores) or not np.isfinite(widths).any():
        return {}
    residuals = examples.labels() - made.scores
    if multiples is not None and made.variance is not None:
        residuals, widths = residuals / np.sqrt(made.variance), multiples
    inside = share_inside(residuals, cluster_numbers(examples.clips), widths)
    shares = zip(checkpoint.facts.targets, inside.tolist(), widths.tolist(), strict=True)
    known = {t.name: round(share, 4) for t, share, width in shares if math.isfinite(share + width)}
    return {"interval_coverage": {"stated": LEVEL, **known}} if known else {}


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
        **_searched(checkpoint),
        **protocols.manifest_facts(checkpoint.config.protocol),
        **known_fits(checkpoint),
    }


def _searched(checkpoint: Checkpoint) -> dict[str, Any]:
    """How the settings were found, where a search found them."""
    searched = checkpoint.config.searched
    return {"searched": searched.model_dump()} if searched.trials else {}
