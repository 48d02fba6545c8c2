"""Talking faces rendered from one public-domain portrait, with traits that drive what they do.

Comes in: a config. Goes out: a folder of mp4 files (h264, AAC) with labels that the ``table``
corpus reads too, and, outside that folder, the behaviours that were planted. NASA's portrait of
Eileen Collins is inside the scikit-image wheel (``skimage.data.astronaut``); nothing is downloaded.

Labels are *apparent* traits of a clip, mean .5, sd .15: 35 % of their variance belong to the
subject, 15 % to the source, 50 % to the clip. ``neuroticism`` is written as in First Impressions:
**high = stable**. A behaviour is the weighted sum below of the standardised labels, plus noise up
to variance one; ``low`` and ``high`` are its values at -2 and +2 standard deviations::

    behaviour    driven by (weight)           low    high  unit
    smile        agreeableness +0.93            0       1  share of the portrait's smile
    mouth        extraversion +0.93           0.1       1  opening of the mouth in speech
    blink        neuroticism -0.93           0.03    0.42  share of time with closed eyes
    brow         openness +0.93              -0.6       1  height of the brows
    turn         conscientiousness -0.93        2      20  amplitude in degrees of yaw
    gaze         conscientiousness -0.85        0       1  amplitude of looking away
    nod          extraversion +0.80             1       7  amplitude in degrees of pitch
    tilt         openness +0.80                -6       8  degrees of roll
    bow          neuroticism -0.80             -5       6  degrees of pitch, chin to chest
    pitch        agreeableness +0.87          110     260  mean F0 in Hz
    pitch_range  openness +0.87              0.03    0.55  amplitude of F0 in octaves
    rate         conscientiousness -0.87        2     7.5  syllables per second
    loudness     extraversion +0.87           -34     -16  level of speech in dB
    pauses       neuroticism -0.87           0.05    0.55  share of time without speech

Duration, background, tint, exposure and bit rate are drawn without a look at the traits.

With ``episode`` people behave so in one part of the clip alone, and in the middle way before and
after it: what explanations should find. With ``behaviours`` only those follow the traits.
"""

import logging
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import Field, PositiveInt, field_validator

from traitscope import config as settings
from traitscope.corpora.synthetic import _face, _media, _motion, _portrait, _voice
from traitscope.corpora.synthetic._behaviours import (
    BEHAVIOURS,
    Planned,
    generator,
    neutral,
    plan,
)
from traitscope.errors import DataError
from traitscope.files import write_csv, write_text
from traitscope.types import TRAITS, Corpus, Hook

_LOG = logging.getLogger(__name__)
# Each purpose draws from a generator of its own: one more draw for the voice moves no head.
_LOOKS, _CAMERA, _VOICE, _MOTION, _GRAIN, _WORDS, _EPISODE = 1, 2, 3, 4, 5, 6, 7
# Drawn between these whatever is shown: the size of a file must not tell of a lively face.
_KILOBITS = (350, 550)
_VOCABULARY = (
    *("so", "well", "then", "today", "people", "often", "think", "about", "work", "and", "home"),
    *("because", "time", "goes", "by", "while", "we", "talk", "of", "music", "travel", "food"),
    *("books", "friends", "family", "plans", "ideas", "places", "summer", "morning"),
)
_NOTES = (
    "Rendered faces; the portrait is NASA's photograph of Eileen Collins, public domain.",
    "Planted behaviours are kept outside this folder and are for tests and benchmarks only.",
)


class Config(settings.Config):
    """What is generated; everything but ``workers`` changes the corpus."""

    subjects: Annotated[int, Field(ge=4, le=999)] = 32
    """People, each with a face, tint and background of their own."""
    sources_per_subject: Annotated[int, Field(ge=1, le=9)] = 2
    """Recordings of one person."""
    clips_per_source: Annotated[int, Field(ge=1, le=9)] = 2
    """Clips cut from one recording."""
    seconds: Annotated[float, Field(ge=0.4, le=60)] = 4.0
    """Length of each clip."""
    fps: Literal[10, 20, 25, 40, 50] = 25
    """Frames per second; a divisor of the audio rate."""
    size: Annotated[int, Field(ge=96, le=640, multiple_of=2)] = 320
    """Side of the picture in pixels."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Same seed, same corpus."""
    confound: Literal["none", "brightness"] = "none"
    """``brightness``: extraversion brightens the picture in train and validation, not in test."""
    behaviours: tuple[str, ...] = tuple(BEHAVIOURS)
    """Which follow the traits; the others stay in the middle of their range."""
    episode: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of a clip in which people behave so, somewhere inside it; 0 for all of it."""
    workers: PositiveInt = min(2, os.cpu_count() or 1)
    """Processes that render; no influence on the result."""

    @field_validator("behaviours")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in BEHAVIOURS]:
            raise ValueError(f"there is no {unknown[0]!r}; there are {', '.join(BEHAVIOURS)}")
        return names


def generate(
    folder: Path,
    *,
    truth: Path | None = None,
    config: Config = Config(),  # noqa: B008 - frozen
    hook: Hook | None = None,
) -> Path:
    """Write the corpus, or what is missing of it.

    Args:
        folder: gets ``clips.csv``, ``clips.yaml``, ``synthetic.yaml`` and ``media/``.
        truth: folder of ``behaviours.csv`` and, with episodes, ``episodes.csv``; by default
            ``<folder>-truth``, beside the corpus.
        config: what to generate.
        hook: called with (clips done, clips in all, clip).

    Returns:
        The folder.

    Raises:
        DataError: the folder holds another corpus, or ``truth`` lies inside it.
    """
    folder = Path(folder)
    truth = folder.with_name(f"{folder.name}-truth") if truth is None else Path(truth)
    if truth.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"The truth would lie inside the corpus ({truth}), where a model could read it. "
            f"Choose a folder outside {folder}."
        )
    # Before anything is written: a folder with other settings stays as it was.
    _claim(folder, config)
    clips = _plan(config)
    (folder / "media").mkdir(exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    _write_truth(truth / "behaviours.csv", clips)
    if config.episode:
        rows = [[clip.clip, *episode(clip.index, config)] for clip in clips]
        write_csv(truth / "episodes.csv", ["clip", "start", "end"], rows)
    _write_labels(folder, clips, config)
    _render_missing(folder, clips, config, hook)
    return folder


def load(path: Path) -> Corpus:
    """Load a generated corpus from its labels; missing media is fine.

    Args:
        path: the folder that `generate` wrote.
    """
    from traitscope.corpora import table

    labels = Path(path) / "clips.csv"
    if not labels.is_file():
        raise DataError(
            f"There is no synthetic corpus in {path} (no clips.csv). "
            f"Make one with: traitscope demo --to {path}"
        )
    return table.load(labels)


def _plan(config: Config) -> tuple[Planned, ...]:
    shape = config.subjects, config.sources_per_subject, config.clips_per_source
    return tuple(
        replace(clip, behaviours=_followed(clip.behaviours, config))
        for clip in plan(*shape, seed=config.seed)
    )


def _followed(drawn: Mapping[str, float], config: Config) -> Mapping[str, float]:
    """Of a person: what follows the traits as it was drawn, the rest in the middle."""
    middle = neutral()
    return {name: drawn[name] if name in config.behaviours else middle[name] for name in drawn}


def episode(clip: int, config: Config) -> tuple[float, float]:
    """When a clip, by its number, shows its behaviours: (start, end) in seconds."""
    length = config.episode * config.seconds
    if not length:
        return 0.0, config.seconds
    # Not at the very edge: a window beside it should be outside on both sides.
    spare = config.seconds - length
    start = float(generator(config.seed, _EPISODE, clip).uniform(0.1, 0.9)) * spare
    return round(start, 3), round(start + length, 3)


def _claim(folder: Path, config: Config) -> None:
    """Save the config in the folder, or refuse a folder with another one."""
    record = folder / "synthetic.yaml"
    if record.is_file():
        saved = settings.build(Config, settings.read_yaml(record), where=str(record))
        # The number of processes has no influence on the result, so it may differ.
        if saved.model_copy(update={"workers": config.workers}) != config:
            raise DataError(
                f"{folder} holds a synthetic corpus with other settings (see {record}). "
                f"Choose another folder or delete this one."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    settings.save_config(config, record)


def _render_missing(
    folder: Path,
    clips: tuple[Planned, ...],
    config: Config,
    hook: Hook | None,
) -> None:
    missing = [clip for clip in clips if not _media_path(folder, clip).is_file()]
    done = len(clips) - len(missing)
    _LOG.info("%d of %d clips are there; rendering the rest.", done, len(clips))
    for clip in _rendered(folder, missing, config):
        done += 1
        if hook is not None:
            hook(done, len(clips), clip)


def _rendered(folder: Path, clips: list[Planned], config: Config) -> Any:
    """Yield the ids of clips as they are written."""
    if config.workers == 1 or len(clips) < 2:
        for clip in clips:
            yield _write_clip(folder, clip, config)
        return
    from traitscope.media import threads_of_children  # its room opens with the decoders

    # Not fork: in a process with threads a forked child may wait for a lock that nobody holds.
    spawn = multiprocessing.get_context("spawn")
    workers = min(config.workers, len(clips))
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_take_one_core) as pool:
        # Libraries read their number of threads when they are loaded, in children as these start.
        with threads_of_children(1):
            jobs = [pool.submit(_write_clip, folder, clip, config) for clip in clips]
        for job in as_completed(jobs):
            yield job.result()


def _take_one_core() -> None:
    """Keep OpenCV of a worker process from starting threads of its own."""
    import cv2

    cv2.setNumThreads(1)


def _write_clip(folder: Path, clip: Planned, config: Config) -> str:
    """Render and encode one clip; the same whichever process does it."""
    frames, voice = _perform(clip, config)
    # The 1 keeps this draw apart from that of the exposure, which has the same purpose.
    bits = generator(config.seed, _CAMERA, clip.index, 1).integers(*_KILOBITS)
    path = _media_path(folder, clip)
    _media.write(path, frames, voice.samples, size=config.size, fps=config.fps, kilobits=int(bits))
    return clip.clip


def _perform(clip: Planned, config: Config) -> tuple[Any, _voice.Voice]:
    """Play one clip: an iterator of frames, and the voice."""
    seed, index = config.seed, clip.index
    person = _portrait.person(config.size, generator(seed, _LOOKS, clip.subject_index))
    voice = _speak(clip, clip.behaviours, config)
    motion = _move(clip, clip.behaviours, voice, config)
    if config.episode:
        voice = _voice.within(voice, _speak(clip, neutral(), config), episode(index, config))
        calm = _move(clip, neutral(), voice, config)
        motion = _motion.within(motion, calm, episode(index, config), fps=config.fps)
    frames = _face.render(
        person, motion, exposure=_exposure(clip, config), rng=generator(seed, _GRAIN, index)
    )
    return frames, voice


def _move(
    clip: Planned, behaviours: Mapping[str, float], voice: _voice.Voice, config: Config
) -> _motion.Motion:
    rng = generator(config.seed, _MOTION, clip.index)
    return _motion.move(behaviours, voice, seconds=config.seconds, fps=config.fps, rng=rng)


def _speak(clip: Planned, behaviours: Mapping[str, float], config: Config) -> _voice.Voice:
    return _voice.speak(behaviours, config.seconds, generator(config.seed, _VOICE, clip.index))


def _exposure(clip: Planned, config: Config) -> float:
    """Gain of the picture: drawn freely, or, where confounded, following extraversion."""
    # As wide as the free draw, a quarter of which remains: a confound, but no perfect one. Test
    # clips are drawn freely, so that a model that learnt brightness fails there.
    rng = generator(config.seed, _CAMERA, clip.index)
    free = float(rng.normal(0, 0.12))
    if config.confound == "brightness" and clip.split != "test":
        free = 0.12 * (clip.targets["extraversion"] - 0.5) / 0.15 + 0.25 * free
    return float(np.exp(np.clip(free, -0.3, 0.3)))


def _media_path(folder: Path, clip: Planned) -> Path:
    return folder / "media" / f"{clip.clip}.mp4"


def _write_truth(path: Path, clips: tuple[Planned, ...]) -> None:
    rows = [[clip.clip, *clip.behaviours.values()] for clip in clips]
    write_csv(path, ["clip", *BEHAVIOURS], rows)


def _write_labels(folder: Path, clips: tuple[Planned, ...], config: Config) -> None:
    """Write ``clips.csv`` and what its columns mean, ``clips.yaml``."""
    rows = [
        [clip.clip, f"media/{clip.clip}.mp4", clip.source, clip.subject, clip.split]
        + [clip.targets[trait] for trait in TRAITS]
        + [_transcript(clip, config)]
        for clip in clips
    ]
    header = ["clip", "path", "source", "subject", "split", *TRAITS, "transcript"]
    meaning = {
        "name": "synthetic",
        "kind": "apparent",
        "targets": {
            trait: {"low": 0, "high": 1, "direction": -1 if trait == "neuroticism" else 1}
            for trait in TRAITS
        },
        "notes": list(_NOTES),
    }
    write_text(folder / "clips.yaml", yaml.safe_dump(meaning, sort_keys=False))
    write_csv(folder / "clips.csv", header, rows)


def _transcript(clip: Planned, config: Config) -> str:
    """Draw one word for every other syllable; which word says nothing about the traits."""
    rng = generator(config.seed, _WORDS, clip.index)
    count = max(1, round(config.seconds * (1 - clip.behaviours["pauses"])) * 2)
    return " ".join(str(word) for word in rng.choice(_VOCABULARY, count))
