"""How much of the attainable R2 a model reaches on new people, where traits are planted.

Attainable is a ridge on the planted behaviours themselves, fitted on the same clips: what is left
is the noise between a trait and what it makes a face and a voice do. Prints one line per model,
backend and seed; everything stays in --folder, so that a second call starts where the first ended.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.evaluation import evaluate
from traitscope.models.functionals import fit_ridge
from traitscope.preparation import prepare
from traitscope.protocols import Protocol, split
from traitscope.runs import requests_for
from traitscope.tracking import resolve_backend
from traitscope.training import train
from traitscope.types import Clip

LIMIT = 0.6
SETTINGS: dict[str, tuple[str, ...]] = {"functionals": ()}
"""Model -> settings for a corpus of 128 clips."""
PENALTIES = (0.1, 1, 10, 100)


def main() -> None:
    """Print a table of macro R2, attainable R2 and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="kept between calls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(SETTINGS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = arguments.folder or Path(fresh)
        backends = sorted({"dlib", resolve_backend("auto")})
        print(f"{'model':<14}{'faces':<11}{'seed':>4}{'R2':>8}{'of':>8}{'ratio':>8}{'limit':>8}")
        for seed in arguments.seeds:
            corpus = generate(folder / f"corpus-{seed}", config=Config(seed=seed))
            best = attainable(corpus)
            for model in arguments.models:
                for backend in backends:
                    reached = reach(folder, model, backend, seed)
                    line = f"{model:<14}{backend:<11}{seed:>4}{reached:>8.3f}{best:>8.3f}"
                    print(f"{line}{reached / best:>8.2f}{LIMIT:>8.2f}", flush=True)


def reach(folder: Path, model: str, backend: str, seed: int) -> float:
    """Macro R2 on held-out subjects of one model, from raw videos."""
    address = f"synthetic:{folder / f'corpus-{seed}'}"
    store, run = folder / f"store-{seed}", folder / "runs" / f"{model}-{backend}-{seed}"
    chosen = [f"features.signals.backend={backend}"]
    prepare(load_corpus(address), requests_for(model, chosen), store=store)
    if not (run / "metrics.json").is_file():
        data = [f"data.corpus={address}", f"data.store={store}", f"seed={seed}"]
        train(model, [*data, *chosen, *SETTINGS[model]], to=run)
    report = evaluate(run)
    return float(report["parts"]["all"]["rows"][0]["metrics"]["r2"]["macro"]["value"])


def attainable(corpus: Path) -> float:
    """Macro R2 on the test clips of a ridge on the planted behaviours."""
    with (corpus.parent / f"{corpus.name}-truth" / "behaviours.csv").open(newline="") as file:
        rows = {row.pop("clip"): [float(v) for v in row.values()] for row in csv.DictReader(file)}
    labels = load_corpus(f"synthetic:{corpus}")
    parts = split(labels, Protocol())

    def table(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([rows[c.id] for c in clips]), labels.with_clips(clips).labels()

    (x, y), (x_test, y_test) = table(parts.fitted), table(parts.test)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    groups = np.array([clip.subject for clip in parts.fitted])
    scores = []
    for column in range(y.shape[1]):
        weights, offset, _ = fit_ridge((x - mean) / sd, y[:, column], groups, PENALTIES)
        error = y_test[:, column] - (x_test - mean) / sd @ weights - offset
        scores.append(1 - (error**2).mean() / y_test[:, column].var())
    return float(np.mean(scores))


if __name__ == "__main__":
    main()
