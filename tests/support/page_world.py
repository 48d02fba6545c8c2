"""What the pages suppose a reader to have: a study, corpora in their layouts, runs, recordings."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tests.support.command_line import type_in
from tests.support.label_files import make_first_impressions
from tests.support.media_files import portrait, tone, write_sound, write_video
from tests.support.openface_tables import write_table
from tests.support.page_commands import blocks
from tests.support.udiva_files import write_udiva
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.types import TRAITS

STUDY = "table:study/clips.csv"
_SESSIONS = {"train": {"1": [1, 2], "2": [3, 4]}, "valid": {"3": [5, 6]}, "test": {"4": [7, 8]}}


def make_world(folder: Path) -> Path:
    """Fill a folder with everything that the pages name and do not make themselves."""
    small = Config(
        subjects=8, sources_per_subject=1, clips_per_source=2, seconds=1.5, size=256, workers=1
    )
    generate(folder / "study", config=small)
    media = sorted((folder / "study/media").glob("*.mp4"))
    for name in ("talk.mp4", "clip.mp4", "YOUR_CLIP.mp4"):
        shutil.copy(media[0], folder / name)
    write_sound(folder / "clip.wav", tone(1.5))
    (folder / "FOLDER").mkdir()
    for clip in media[:2]:
        shutil.copy(clip, folder / "FOLDER")
    _first_impressions(folder / "data/fi", media)
    _udiva(folder / "data/udiva")
    write_table(folder / "rows.csv", clips=16)
    write_table(folder / "labelled.csv", clips=2, first=100)
    shutil.copy(folder / "labelled.csv", folder / "new.csv")
    _tables(folder)
    _runs(folder)
    for page in ("docs/own_model.md", "docs/extend.md"):
        (folder / "my_lab").mkdir(exist_ok=True)
        name = {"docs/own_model.md": "my_model", "docs/extend.md": "loudness"}[page]
        (folder / "my_lab" / f"{name}.py").write_text(blocks(page, "python")[0])
    suite = [text for text in blocks("docs/compare.md", "yaml") if "entries:" in text]
    short = suite[0].replace("train.epochs=60", "train.epochs=1").replace("seeds: 3", "seeds: 1")
    few = "{recipe: fusion_transformer, settings: [train.epochs=1]}"
    (folder / "ours.yaml").write_text(short.replace("{recipe: fusion_transformer}", few))
    return folder


def _first_impressions(folder: Path, media: Sequence[Path]) -> None:
    """Labels and words of sixteen clips whose recordings are in several splits."""
    made = make_first_impressions(folder, train=8, validation=4, test=4, sources=8)
    names = [(split, clip) for split, clips in made.items() for clip in clips]
    for (split, clip), path in zip(names, media, strict=True):
        (folder / split).mkdir(exist_ok=True)
        shutil.copy(path, folder / split / clip)


def _udiva(folder: Path) -> None:
    """Four sessions of two people, seventeen seconds each, a picture a second."""
    rng = np.random.default_rng(0)
    scores = {str(person): rng.normal(0, 1, 5).round(4).tolist() for person in range(1, 9)}
    write_udiva(folder, _SESSIONS, scores, tasks=("talk", "ghost"))
    face, sound = portrait(256), tone(17)
    one = write_video(
        *(folder / "one.mp4",),
        frames=17,
        fps=1,
        picture=lambda number: np.roll(face, number % 3, axis=1),
        sound=sound,
    )
    for word, sessions in _SESSIONS.items():
        for task in ("talk", "ghost"):
            for session in sessions:
                room = folder / word / f"{task}_{word}" / f"{int(session):06d}"
                room.mkdir(parents=True)
                for camera in ("FC1", "FC2"):
                    shutil.copy(one, room / f"{camera}_{task[0].upper()}.mp4")
    one.unlink()


def _tables(folder: Path) -> None:
    """Somebody's predictions, facts about people, and features that another program computed."""
    rng = np.random.default_rng(0)
    clips = pd.read_csv(folder / "study/clips.csv")
    ids = clips["clip"]
    theirs = (clips[list(TRAITS)] + rng.normal(0, 0.1, (len(clips), 5))).add_prefix("predicted_")
    theirs.insert(0, "clip", ids + ".mp4")
    theirs.to_csv(folder / "theirs.csv", index=False)
    groups = np.where(np.arange(len(ids)) % 2, "a", "b")
    pd.DataFrame({"clip": ids, "group": groups}).to_csv(folder / "people.csv", index=False)
    style = pd.DataFrame(rng.normal(size=(len(ids), 3)), columns=["one", "two", "three"])
    style.insert(0, "clip", ids)
    style.to_csv(folder / "style.csv", index=False)
    with h5py.File(folder / "published.h5", "w") as file:
        for clip in load_corpus(f"fi:{folder / 'data/fi'}").clips:
            file[f"{clip.id}/wavlm"] = rng.normal(size=(4, 3)).astype(np.float32)
            file[f"{clip.id}/time"] = np.arange(4) / 2


def _runs(folder: Path) -> None:
    """Two runs on the study, as its page makes them: of sound and face, and of sound alone."""
    data = [f"data.corpus={STUDY}", "data.store=features", "model.folds=3"]
    made = [["prepare", STUDY, "--store", "features", "--for", "functionals", "--workers", 0]]
    for run, streams in {"a": [], "b": ["model.streams=[short_term]"]}.items():
        made.append(["train", "functionals", *data, *streams, "--to", f"runs/{run}"])
        made.append(["evaluate", f"runs/{run}"])
    for words in made:
        done = type_in(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "runs/a", folder / "demo/run")
