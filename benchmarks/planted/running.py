"""A corpus with planted traits, its features, and one model after the other trained on them."""

import shutil
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
from traitscope.features.request import make_request
from traitscope.files import read_csv, write_csv, write_text
from traitscope.prediction.frames import score_frames
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train


@dataclass(frozen=True)
class Place:
    """Where everything of one corpus lies.

    Attributes:
        folder: of the benchmark.
        seed: of the corpus and of every training.
        people: that are looked at.
    """

    folder: Path
    seed: int
    people: int

    @property
    def corpus(self) -> Path:
        """The generated corpus."""
        return self.folder / f"corpus-{self.seed}"

    @property
    def labels(self) -> Path:
        """Its people, with ages and genders that say nothing, for the model that takes them."""
        return self.folder / f"labels-{self.seed}-{self.people}" / "clips.csv"

    @property
    def address(self) -> str:
        """What is trained and scored on."""
        return f"table:{self.labels}"

    @property
    def clips(self) -> int:
        """Of all its people."""
        return 4 * self.people

    @property
    def store(self) -> Path:
        """Features of all models."""
        return self.folder / f"store-{self.seed}"

    def run(self, name: str, faces: str) -> Path:
        """Of a case."""
        stem = f"{name}-{faces}-{self.seed}-{self.people}".replace(" ", "_")
        return self.folder / "runs" / stem


def made(folder: Path, seed: int, subjects: int, *, rendered: bool = False) -> Place:
    """Generate the corpus, or what is missing of it.

    Args:
        folder: of the benchmark.
        seed: of the corpus.
        subjects: people in it, with four clips each.
        rendered: render nothing, and take the people whose clips are all there.
    """
    config = Config(seed=seed, subjects=subjects)
    corpus = Place(folder, seed, subjects).corpus
    if not rendered:
        generate(corpus, config=config)
    clips = read_csv(corpus / "clips.csv", ["clip", "subject"], damaged="Delete the corpus.")
    missing = {clip["subject"] for clip in clips if not (corpus / clip["path"]).is_file()}
    clips = [clip for clip in clips if clip["subject"] not in missing]
    place = Place(folder, seed, len({clip["subject"] for clip in clips}))
    meaning = yaml.safe_load((corpus / "clips.yaml").read_text(encoding="utf-8"))
    meaning |= {"attributes": ["age", "gender"], "media": f"../{corpus.name}"}
    place.labels.parent.mkdir(exist_ok=True)
    write_text(place.labels.with_name("clips.yaml"), yaml.safe_dump(meaning, sort_keys=False))
    rows = [[*clip.values(), *_person(clip["subject"], seed)] for clip in clips]
    write_csv(place.labels, [*clips[0], "age", "gender"], rows)
    return place


def _person(subject: str, seed: int) -> tuple[int, str]:
    rng = np.random.default_rng([seed, int(subject.removeprefix("s"))])
    return int(rng.integers(18, 80)), str(rng.choice(["female", "male"]))


def settings_of(place: Place, case: Case, faces: str) -> list[str]:
    """What a case is trained with, beside its data."""
    chosen = [f"features.{stream}.backend={faces}" for stream in case.knows.streams]
    return [*chosen, *(one.replace("{folder}", str(place.folder)) for one in case.settings)]


def reach(place: Place, name: str, faces: str) -> tuple[Path, float]:
    """Train one model; returns its run, and the minutes of processor time if it was trained now."""
    case, run = CASES[name], place.run(name, faces)
    # Of a run with folds the last one is looked at.
    if any((done / "metrics.json").is_file() for done in (run, run / "fold-4")):
        return run, 0.0
    if run.exists():  # of a call that was stopped
        shutil.rmtree(run)
    start = reach(place, case.start, faces)[0] if case.start else None
    first = reach(place, case.first, faces)[0] if case.first else None
    settings, corpus = settings_of(place, case, faces), load_corpus(place.address)
    # The features of a start are those that are read again, and scores of frames are made below.
    wanted = [] if start or first else requests_for(case.recipe, settings)
    if case.recipe == "metadata_fusion":
        wanted = [make_request("metadata", {})]
    if wanted:
        prepare(corpus, wanted, store=place.store, workers=0)
    begun = time.process_time()
    data = [f"data.corpus={place.address}", f"data.store={place.store}", f"seed={place.seed}"]
    if first:
        score_frames(first, corpus, place.store)
        data += [f"data.first_stage={first}", f"data.out_of_fold={str(case.out_of_fold).lower()}"]
    train(case.recipe, [*data, *settings, "trainer.tensorboard=false"], to=run, start_from=start)
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
    counted = [name for name in shown if name not in {*case.knows.hidden, *case.knows.faint}]
    return Row(
        model=name,
        faces=faces if case.knows.streams or case.first else "own",
        seed=place.seed,
        clips=len(corpus.clips),
        r2=float(np.mean(list(reached.values()))),
        attainable=attainable(place.corpus, corpus, (*case.knows.hidden, *case.knows.faint)),
        conscientiousness=reached["conscientiousness"],
        neuroticism=reached["neuroticism"],
        shows=_listed(shown, counted),
        hidden=_listed(shown, case.knows.hidden),
        leaks=max((shown[one] for one in case.knows.hidden), default=0.0),
        minutes=minutes,
        why=case.knows.why,
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
