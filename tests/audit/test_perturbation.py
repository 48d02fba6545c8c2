"""Scores before and after a change of the recording: controls, and the planted confound."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import type_in
from traitscope.audit.perturbation import _covering, audit_perturbation
from traitscope.audit.rewriting import Change, rewrite
from traitscope.corpora.synthetic import Config, generate
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.extraction import extract_clip
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.media import Limits
from traitscope.training.fitting import train
from traitscope.types import Clip, Stream

MODEL = "tests.audit.brightness_model"
FACES = {"faces": {"rate": 2, "size": 64, "backend": "dlib"}}


def trained(folder: Path, *, confound: str, subjects: int, clips: int = 2) -> Path:
    """A run that predicts traits from the brightness of face chips, evaluated on test."""
    shape = Config(
        subjects=subjects,
        clips_per_source=clips,
        seconds=1.0,
        size=192,
        fps=10,
        confound=confound,
        seed=1,
        workers=1,
    )
    generate(folder / "corpus", config=shape)
    address = f"synthetic:{folder / 'corpus'}"
    prepare(address, FACES, store=folder / "store", workers=0)
    settings = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    settings += [f"features.faces.{key}={value}" for key, value in FACES["faces"].items()]
    run = train(MODEL, settings, to=folder / "run")
    evaluate(run, model=MODEL)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory.mktemp("confounded"), confound="brightness", subjects=12, clips=1
    )


@pytest.mark.slow
def test_the_unchanged_copy_hardly_differs_and_the_confound_is_flagged(run: Path) -> None:
    audit = audit_perturbation(run, clips=3, only=["brightness", "mirror", "noise"], model=MODEL)
    assert audit.clips == 3
    names = [entry.name for entry in audit.perturbations]
    assert names == ["brightness", "mirror"]
    assert any("noise" in note for note in audit.notes)
    steps = {s.value: s.shifts for s in audit.perturbations[0].steps}
    darker, brighter = steps[-0.5]["extraversion"], steps[0.5]["extraversion"]
    assert darker.mean < 0 < brighter.mean
    # Colours of the copy are rounded once more, by a level or two of 255; half the light is 64.
    assert audit.control.shifts["extraversion"].largest < 0.1 * min(-darker.mean, brighter.mean)
    assert "interval" in darker.reasons
    assert "interval" in brighter.reasons
    assert darker.relative == pytest.approx(
        darker.absolute / audit.spreads["extraversion"], rel=1e-4
    )
    assert audit.flagged[0].reasons
    assert {f.perturbation for f in audit.flagged} == {"brightness"}
    assert any("validation (4 clips, too few for 95%" in note for note in audit.notes)


def test_a_copy_of_a_copy_is_exact(run: Path, tmp_path: Path) -> None:
    media = sorted((run.parent / "corpus" / "media").glob("*.mp4"))[0]
    once = rewrite(Clip("a", media), tmp_path / "once.mov", Change())
    twice = rewrite(once, tmp_path / "twice.mov", Change())
    request = make_request("faces", FACES["faces"])
    one, other = (extract_clip(clip, [request])[request.key] for clip in (once, twice))
    assert isinstance(one, Stream)
    assert isinstance(other, Stream)
    assert list(one.images) == list(other.images)
    assert one.mask.any()


def test_what_a_clip_may_take_is_set_for_its_copies_too(run: Path) -> None:
    few = {"clips": 1, "only": ["mirror"], "model": MODEL}
    with pytest.raises(DataError, match="None of the 1 chosen clips can be scored"):
        audit_perturbation(run, **few, limits=Limits(pixels=1000))
    words = ("audit", "perturbation", run, "--model", MODEL, "--clips", 1, "--only", "mirror")
    typed = type_in(*words, "--limit", "pixels=1000")
    assert typed.returncode == 2
    assert "None of the 1 chosen clips" in typed.stderr
    assert "unknown key 'pixel'" in type_in(*words, "--limit", "pixel=9").stderr


def test_the_own_interval_covers_95_percent_of_validation_residuals() -> None:
    residual = np.arange(1, 101) / 100
    assert _covering(residual) == 0.96
    assert _covering(np.array([0.3, 0.1])) == 0.3
    assert _covering(np.array([0.2, np.nan])) == 0.2


def test_an_unknown_perturbation_is_refused_with_the_nearest(run: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'brightness'"):
        audit_perturbation(run, only=["brightnes"], model=MODEL)


def test_missing_media_is_told(run: Path, tmp_path: Path) -> None:
    media = run.parent / "corpus" / "media"
    media.rename(tmp_path / "away")
    try:
        with pytest.raises(DataError, match="has its media here"):
            audit_perturbation(run, model=MODEL)
    finally:
        (tmp_path / "away").rename(media)


@pytest.mark.slow
def test_the_confounded_model_is_flagged_and_the_clean_one_passes(tmp_path: Path) -> None:
    flagged = {}
    for confound in ("brightness", "none"):
        run = trained(tmp_path / confound, confound=confound, subjects=24)
        audit = audit_perturbation(run, clips=6, model=MODEL)
        flagged[confound] = {
            (f.perturbation, f.target) for f in audit.flagged if "interval" in f.reasons
        }
    assert ("brightness", "extraversion") in flagged["brightness"]
    assert {target for _, target in flagged["brightness"]} == {"extraversion"}
    assert flagged["none"] == set()
