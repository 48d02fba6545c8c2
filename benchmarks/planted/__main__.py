"""How much of the attainable R2 a model reaches on new people, where traits are planted.

Attainable is a ridge on the planted behaviours that the model's streams can carry, fitted on the
same clips: what is left is the noise between a trait and what it makes a face and a voice do. A
behaviour that they cannot carry must not show in the predictions: with the traits taken out of
both, the squared correlation of the behaviour and the prediction it drives stays below .1. Prints
one line per model, backend and seed, and the behaviours below; everything stays in --folder, so
that a second call starts where the first ended.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.planted.cases import CASES
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import BEHAVIOURS, Config, generate
from traitscope.data.protocols import Protocol, split
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.preparation import prepare
from traitscope.learners.ridge import ridge
from traitscope.runs.plan import requests_for
from traitscope.tracking import resolve_backend
from traitscope.training.fitting import train
from traitscope.types import Clip

LIMIT, HIDDEN_LIMIT = 0.6, 0.1
PENALTIES = (0.1, 1, 10, 100)
SUBJECTS = 150


def main() -> None:
    """Print a table of macro R2, attainable R2 and their ratio, and what must not show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="kept between calls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(CASES))
    parser.add_argument("--backends", nargs="+", default=["auto"], help="auto, mediapipe, dlib")
    parser.add_argument("--subjects", type=int, default=SUBJECTS, help="four clips of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = arguments.folder or Path(fresh)
        titles = "".join(f"{title:>8}" for title in ("R2", "of", "ratio", "limit", "minutes"))
        print(f"{'model':<23}{'faces':<11}{'seed':>4}{titles}")
        for seed in arguments.seeds:
            config = Config(seed=seed, subjects=arguments.subjects)
            corpus = generate(folder / f"corpus-{seed}", config=config)
            for model in arguments.models:
                show(folder, corpus, model, seed, arguments.backends)


def show(folder: Path, corpus: Path, model: str, seed: int, backends: Sequence[str]) -> None:
    """Print the lines of one model."""
    case = CASES[model]
    best = attainable(corpus, case.hidden)
    named = [resolve_backend(backend) for backend in backends] if case.streams else ["-"]
    for backend in named:
        begun = time.monotonic()
        run = reach(folder, model, backend, seed)
        reached = evaluate(run).everything.model.macro("r2").value or 0.0
        minutes = (time.monotonic() - begun) / 60
        line = f"{model:<23}{backend:<11}{seed:>4}{reached:>8.3f}{best:>8.3f}"
        print(f"{line}{reached / best:>8.2f}{LIMIT:>8.2f}{minutes:>8.1f}", flush=True)
        shown = traces(corpus, run)
        told = [f"{name} {shown[name]:.2f}" for name in shown if name not in case.hidden]
        print(f"    shows: {', '.join(told)}")
        if case.hidden:
            told = [f"{name} {shown[name]:.2f}" for name in case.hidden]
            print(f"    cannot show (limit {HIDDEN_LIMIT}): {', '.join(told)}", flush=True)


def reach(folder: Path, model: str, backend: str, seed: int) -> Path:
    """Train one model from raw videos; returns its run."""
    case = CASES[model]
    run = folder / "runs" / f"{model}-{backend}-{seed}".replace(" ", "_")
    if (run / "metrics.json").is_file():
        return run
    start = reach(folder, case.start, backend, seed) if case.start else None
    address, store = f"synthetic:{folder / f'corpus-{seed}'}", folder / f"store-{seed}"
    chosen = [f"features.{stream}.backend={backend}" for stream in case.streams]
    settings = [*chosen, *case.settings]
    if start is None:  # another's features are there when its run is
        prepare(load_corpus(address), requests_for(case.recipe, settings), store=store)
    data = [f"data.corpus={address}", f"data.store={store}", f"seed={seed}"]
    return train(case.recipe, [*data, *settings], to=run, start_from=start)


def behaviours(corpus: Path) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    """Names of the planted behaviours, and their values of each clip."""
    with (corpus.parent / f"{corpus.name}-truth" / "behaviours.csv").open(newline="") as file:
        rows = {row.pop("clip"): [float(v) for v in row.values()] for row in csv.DictReader(file)}
    return tuple(BEHAVIOURS), rows


def attainable(corpus: Path, hidden: Sequence[str] = ()) -> float:
    """Macro R2 on the test clips of a ridge on the planted behaviours, without the hidden ones."""
    names, rows = behaviours(corpus)
    kept = [place for place, name in enumerate(names) if name not in hidden]
    labels = load_corpus(f"synthetic:{corpus}")
    parts = split(labels, Protocol())

    def table(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        values = np.array([rows[c.id] for c in clips])[:, kept]
        return values, labels.with_clips(clips).labels()

    (x, y), (x_test, y_test) = table(parts.fitted), table(parts.test)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    groups = np.array([clip.subject for clip in parts.fitted])
    scores = []
    for column in range(y.shape[1]):
        weights, offset, _ = ridge((x - mean) / sd, y[:, column], groups, PENALTIES)
        error = y_test[:, column] - (x_test - mean) / sd @ weights - offset
        scores.append(1 - (error**2).mean() / y_test[:, column].var())
    return float(np.mean(scores))


def traces(corpus: Path, run: Path) -> dict[str, float]:
    """Squared correlation of each behaviour with the prediction of its trait, given all traits."""
    names, rows = behaviours(corpus)
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="") as file:
        scored = list(csv.DictReader(file))
    planted = np.array([rows[row["clip"]] for row in scored])
    traits = [key.removeprefix("true_") for key in scored[0] if key.startswith("true_")]
    true = np.array([[float(row[f"true_{t}"]) for t in traits] for row in scored])
    given = np.column_stack([np.ones(len(true)), true])
    found = {}
    for place, name in enumerate(names):
        (trait,) = BEHAVIOURS[name].weights
        predicted = np.array([float(row[f"predicted_{trait}"]) for row in scored])
        left = [
            v - given @ np.linalg.lstsq(given, v, rcond=None)[0]
            for v in (planted[:, place], predicted)
        ]
        found[name] = float(np.corrcoef(*left)[0, 1] ** 2)
    return found


if __name__ == "__main__":
    main()
