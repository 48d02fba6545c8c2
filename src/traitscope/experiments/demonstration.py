"""The whole job on a generated corpus: videos, features, two models, evaluation, a page."""

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config as SyntheticConfig
from traitscope.corpora.synthetic import generate
from traitscope.evaluation.report import Report
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.preparation import prepare
from traitscope.files import read_json
from traitscope.report import histories_of, write_report
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import requests_for
from traitscope.tracking import resolve_backend
from traitscope.training.fitting import train
from traitscope.types import Hook

MODELS = {
    "functionals": (),
    # The published settings are for 6000 clips; on 76 they would take 200 epochs to learn little.
    "audio_lstm": (
        "train.optimizer=adam",
        "train.lr=0.003",
        "train.schedule=constant",
        "train.milestones=[]",
        "train.epochs=40",
        "train.batch_size=16",
    ),
}
"""Model -> settings that differ from its recipe."""
SHAPE = SyntheticConfig(seconds=3.0, size=256)
"""Of the corpus: half the pixels of its defaults, as rendering takes most of the time; that all
planted behaviours are still measured is tested with just these (``tests/analysis``)."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demonstration:
    """What the demo made: the best run that sees faces, the page, the reports behind it."""

    run: Path
    page: Path
    reports: tuple[Report, ...]


def demonstrate(
    folder: Path,
    *,
    shape: SyntheticConfig = SHAPE,
    backend: str = "auto",
    stage: Callable[[str], AbstractContextManager[Hook]],
) -> Demonstration:
    """Run the demo into a folder; runs of an earlier demo there are replaced.

    Args:
        folder: where everything goes.
        shape: of the corpus; its seed is that of training, too.
        backend: who finds the faces.
        stage: opens a progress bar for a step and gives its hook: ``videos``, ``features``, one
            for each of the `MODELS`, ``evaluation``.
    """
    backend = resolve_backend(backend)
    # By seed, so that a second demo with another one does not meet features of the first.
    corpus_folder, store = folder / f"corpus-{shape.seed}", folder / f"store-{shape.seed}"
    with stage("videos") as hook:
        generate(corpus_folder, config=shape, hook=hook)
    address = f"synthetic:{corpus_folder}"
    faces = [f"signals.backend={backend}"]
    requests = [
        request
        for model in MODELS
        for request in requests_for(model, faces if model == "functionals" else [])
    ]
    with stage("features") as hook:
        summary = prepare(load_corpus(address), requests, store=store, hook=hook)
    log.info(
        "%d clips worked on, %d were there, %d lack something",
        summary.extracted,
        summary.skipped,
        len(summary.failed),
    )
    # Videos and features take minutes and stay; runs take seconds and are made anew.
    for old in (folder / "run", folder / "runs"):
        shutil.rmtree(old, ignore_errors=True)
    runs = []
    for model, changes in MODELS.items():
        settings = [*changes, f"data.corpus={address}", f"data.store={store}", f"seed={shape.seed}"]
        if model == "functionals":
            settings.append(f"features.signals.backend={backend}")
        with stage(model) as hook:
            runs.append(train(model, settings, to=folder / "runs" / model, hook=hook))
    # The page shows where a person looked at: a model of sound alone has no face to show.
    best = _best_with_faces(runs)
    kept = folder / "run"
    best.rename(kept)
    with stage("evaluation") as hook:
        return _evaluated([kept if run == best else run for run in runs], kept, folder, hook)


def _evaluated(runs: list[Path], kept: Path, folder: Path, hook: Hook) -> Demonstration:
    """Score the runs on the test people and write the page; the page is one more thing to do."""
    reports = []
    for done, run in enumerate(runs):
        hook(done, len(runs) + 1, run.name)
        reports.append(evaluate(run, split="test"))
    hook(len(runs), len(runs) + 1, "the page")
    page = write_report(reports, folder / "report.html", histories=histories_of(runs, reports))
    hook(len(runs) + 1, len(runs) + 1, "")
    return Demonstration(run=kept, page=page, reports=tuple(reports))


def _best_with_faces(runs: list[Path]) -> Path:
    """The run with the lowest validation error among those that see faces."""
    seeing = [run for run in runs if load(run).backend is not None]
    return min(seeing, key=lambda run: read_json(run / "metrics.json")["validation"]["mae"])
