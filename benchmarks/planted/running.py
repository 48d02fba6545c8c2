"""A corpus with planted traits, its features, and one model after the other trained on them."""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks.planted.case import Case
from benchmarks.planted.cases import CASES
from benchmarks.planted.measuring import attainable, scored, skill, traces
from benchmarks.planted.table import Row
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.data.protocols import Protocol, split
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.preparation import prepare
from traitscope.files import write_csv, write_text
from traitscope.prediction.frames import score_frames
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train
from traitscope.types import Hook

SECOND_STAGE = {"frame_scores", "frame_features"}


@dataclass(frozen=True)
class Place:
    """Where everything of one seed lies.

    Attributes:
        folder: of the benchmark.
        seed: of the corpus and of every training.
    """

    folder: Path
    seed: int

    @property
    def corpus(self) -> Path:
        """The generated corpus."""
        return self.folder / f"corpus-{self.seed}"

    @property
    def address(self) -> str:
        """The corpus with ages and genders that say nothing, for the model that takes them."""
        return f"table:{self.corpus / 'attributed.csv'}"

    @property
    def store(self) -> Path:
        """Features of all models."""
        return self.folder / f"store-{self.seed}"

    def run(self, name: str, faces: str) -> Path:
        """Of a case."""
        return self.folder / "runs" / f"{name}-{faces}-{self.seed}".replace(" ", "_")


def made(folder: Path, seed: int, subjects: int) -> Place:
    """Generate the corpus, or what is missing of it."""
    place = Place(folder, seed)
    generate(place.corpus, config=Config(seed=seed, subjects=subjects))
    table = place.corpus / "attributed.csv"
    if not table.is_file():
        with (place.corpus / "clips.csv").open(newline="", encoding="utf-8") as file:
            clips = list(csv.DictReader(file))
        rng = np.random.default_rng(seed)
        people = {
            subject: (int(rng.integers(18, 80)), str(rng.choice(["female", "male"])))
            for subject in sorted({clip["subject"] for clip in clips})
        }
        meaning = yaml.safe_load((place.corpus / "clips.yaml").read_text(encoding="utf-8"))
        meaning["attributes"] = ["age", "gender"]
        write_text(table.with_suffix(".yaml"), yaml.safe_dump(meaning, sort_keys=False))
        rows = [[*clip.values(), *people[clip["subject"]]] for clip in clips]
        write_csv(table, [*clips[0], "age", "gender"], rows)
    return place


def settings_of(place: Place, case: Case, faces: str) -> list[str]:
    """What a case is trained with, beside its data."""
    chosen = [f"features.{stream}.backend={faces}" for stream in case.streams]
    return [*chosen, *(one.replace("{folder}", str(place.folder)) for one in case.settings)]


def prepare_all(
    place: Place, models: Sequence[str], backends: Sequence[str], hook: Hook | None = None
) -> None:
    """Extract what all models take, in as few passes over the clips as there are backends."""
    corpus = load_corpus(place.address)
    for faces in backends:
        wanted = {}
        for name in models:
            case = CASES[name]
            if case.first and name != "metadata_fusion":
                continue  # its streams are scores
            for request in requests_for(case.recipe, settings_of(place, case, faces)):
                wanted[request.key] = request
        prepare(corpus, list(wanted.values()), store=place.store, workers=0, hook=hook)


def reach(place: Place, name: str, faces: str) -> tuple[Path, float]:
    """Train one model; returns its run, and the minutes of processor time if it was trained now."""
    case, run = CASES[name], place.run(name, faces)
    folds = run / "fold-2"  # the last one, where there are any
    if (run / "metrics.json").is_file() or (folds / "metrics.json").is_file():
        return run, 0.0
    start = reach(place, case.start, faces)[0] if case.start else None
    data = [f"data.corpus={place.address}", f"data.store={place.store}", f"seed={place.seed}"]
    begun = time.process_time()
    if case.first:
        first = reach(place, case.first, faces)[0]
        begun = time.process_time()
        score_frames(first, load_corpus(place.address), place.store)
        data += [f"data.first_stage={first}", f"data.out_of_fold={str(case.out_of_fold).lower()}"]
    settings = [*data, "trainer.tensorboard=false", *settings_of(place, case, faces)]
    train(case.recipe, settings, to=run, start_from=start)
    return run, (time.process_time() - begun) / 60


def measured(place: Place, name: str, faces: str) -> Row:
    """Train a model if need be, and compare it with what is attainable on new people."""
    case = CASES[name]
    run, minutes = reach(place, name, faces)
    evaluate(run)
    corpus = load_corpus(place.address)
    test = [clip.id for clip in split(corpus, Protocol()).test]
    # A run with folds has scored every clip once: those of the test people are compared.
    rows = scored(run / "evaluation" / "test" / "predictions.csv", test)
    reached, shown = skill(rows), traces(place.corpus, rows)
    counted = [name for name in shown if name not in {*case.hidden, *case.faint}]
    return Row(
        model=name,
        faces=faces if case.streams or case.first else "own",
        seed=place.seed,
        clips=len(corpus.clips),
        r2=float(np.mean(list(reached.values()))),
        attainable=attainable(place.corpus, (*case.hidden, *case.faint)),
        conscientiousness=reached["conscientiousness"],
        neuroticism=reached["neuroticism"],
        shows=_listed(shown, counted),
        hidden=_listed(shown, case.hidden),
        leaks=max((shown[one] for one in case.hidden), default=0.0),
        minutes=minutes,
        why=case.why,
    )


def _listed(shown: dict[str, float], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {shown[name]:.2f}" for name in names)


def make_encoder(folder: Path) -> Path:
    """Save a small encoder of sound with random weights, always the same, unless it is there."""
    import torch
    import transformers

    place = folder / "encoder"
    if not (place / "config.json").is_file():
        torch.manual_seed(0)
        config = transformers.Wav2Vec2Config(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            conv_dim=(32, 64),
            conv_stride=(20, 16),
            conv_kernel=(40, 16),
        )
        transformers.Wav2Vec2Model(config).save_pretrained(place)
        # Without it the level of speech, which is planted, would be scaled away.
        transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(place)
    return place
