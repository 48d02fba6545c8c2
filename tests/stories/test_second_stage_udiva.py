"""The rest of the benchmark on UDIVA: a clip model, action units and a second stage, as typed.

From recordings of conversations to people on a page: windows are scored, a person is their mean.
"""

import json
from pathlib import Path

import pytest

from tests.stories import test_second_stage_story as first_impressions
from tests.stories.test_five_systems import BENCHMARK, QUICK
from tests.support.command_line import type_in
from tests.support.udiva_files import write_udiva
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

SESSIONS = {"train": range(5), "valid": range(5, 6), "test": range(6, 8)}
"""Split, in the benchmark's word -> its sessions, of two people each."""
ADDRESS = "udiva:udiva,task=talk,window=0.6"
MEDIA = Config(subjects=8, sources_per_subject=1, clips_per_source=2, seconds=1.2, size=256)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen people of eight sessions, each two short windows, in UDIVA's layout."""
    folder = tmp_path_factory.mktemp("udiva-story")
    clips = load_corpus(f"synthetic:{generate(folder / 'corpus', config=MEDIA)}").clips
    scores = {str(n): [(c.targets[t] - 0.5) / 0.15 for t in TRAITS] for n, c in enumerate(clips)}
    people = {
        word: {str(100 + session): [2 * session, 2 * session + 1] for session in numbers}
        for word, numbers in SESSIONS.items()
    }
    write_udiva(folder / "udiva", people, scores)
    for word, numbers in SESSIONS.items():
        for session in numbers:
            room = folder / "udiva" / word / f"talk_{word}" / f"{100 + session:06d}"
            room.mkdir(parents=True)
            for side in range(2):
                recording = clips[2 * session + side].path
                assert recording is not None
                (room / f"FC{side + 1}_T.mp4").symlink_to(recording)
    return folder


def typed(place: Path, *words: object) -> str:
    done = type_in(*words, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def to_the_page(place: Path, run: str, recipe: str, *settings: str) -> None:
    """Train, evaluate, report, predict: what is scored are the four people of the test."""
    data = [f"data.corpus={ADDRESS}", "data.store=store", *QUICK]
    typed(place, "train", recipe, *data, *settings, "--to", run)
    report = json.loads(typed(place, "evaluate", run, "--json"))
    assert report["scoring"]["aggregate"] == "subject"
    assert (report["counts"]["scored"], report["parts"]["all"]["clips"]) == (8, 4)
    typed(place, "report", run, "--to", f"{run}.html")
    page = (place / f"{run}.html").read_text(encoding="utf-8")
    # Scores of a questionnaire: high is less stable, where it is more in First Impressions.
    assert run in page
    assert "high = stable" not in page
    recording = Path("udiva", "test", "talk_test", "000107", "FC2_T.mp4")
    (scored,) = json.loads(typed(place, "predict", run, recording, "--json"))["clips"]
    assert scored["status"] == "ok"
    assert set(scored["scores"]) == set(TRAITS)


def test_a_clip_model_from_recordings_to_people_on_a_page(place: Path) -> None:
    small = first_impressions.VIDEO
    typed(place, *("prepare", ADDRESS, "--store", "store", "--workers", 0, "--for", "resnet3d"))
    to_the_page(place, "clip-model", "resnet3d", *small, "train.batch_size=4")


def test_an_action_unit_model_from_recordings_to_people_on_a_page(place: Path) -> None:
    small, faces = first_impressions.AU[:2], ["signals.backend=dlib", "signals.rate=5"]
    prepare = ["prepare", ADDRESS, "--store", "store", "--workers", 0, "--for", "au_conv"]
    typed(place, *prepare, *small, *faces)
    to_the_page(place, "action-units", "au_conv", *first_impressions.AU, "train.batch_size=4")


def test_a_second_stage_from_recordings_to_people_on_a_page(place: Path) -> None:
    typed(place, *("prepare", ADDRESS, "--store", "store", "--workers", 0, "--for", "senet"))
    data = [f"data.corpus={ADDRESS}", "data.store=store", *QUICK]
    typed(place, "train", "senet", *data, *BENCHMARK, "--to", "first")
    frames = ("predict", "first", ADDRESS, "--frames", "--store", "store", "--json")
    written = json.loads(typed(place, *frames))
    assert written["streams"] == ["frame_scores", "frame_features"]
    assert written["failed"] == []
    to_the_page(place, "second-stage", "statistics_mlp", "data.first_stage=first")
