"""The page of evidence: from the command line, with its video, asking nothing of the network."""

import io
import json
import re
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tests.support.command_line import type_in
from tests.support.media_files import write_video
from tests.support.prepared import make_corpus
from traitscope.analysis.evidence import Explanation
from traitscope.corpora import load_corpus
from traitscope.features.imports import import_features
from traitscope.interface import explain
from traitscope.media.previews import Preview, preview
from traitscope.report.explanation import assets, fragment
from traitscope.training.fitting import train
from traitscope.types import Clip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table whose column ``one`` carries openness, and a table of one clip."""
    folder = tmp_path_factory.mktemp("page")
    address = make_corpus(folder / "corpus", clips=60)
    rng = np.random.default_rng(0)
    clips = load_corpus(address).clips
    score = np.array([clip.targets["openness"] for clip in clips])
    table = pd.DataFrame({"clip": [c.id for c in clips], "noise": rng.normal(size=len(clips))})
    table["one"] = score + 0.01 * rng.normal(size=len(clips))
    table.to_csv(folder / "mine.csv", index=False)
    columns = ["noise", "one"]
    import_features(
        folder / "store", folder / "mine.csv", name="mine", corpus=address, columns=columns
    )
    table[:1].assign(one=0.9).to_csv(folder / "clip.csv", index=False)
    settings = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    wanted = ["model.streams=[mine]", "model.pools=[mean]", "data.targets=[openness]"]
    train("functionals", [*settings, *wanted], to=folder / "run")
    return folder


@pytest.fixture(scope="module")
def made(place: Path) -> Explanation:
    return explain(place / "run", place / "clip.csv")


def test_a_clip_is_explained_from_the_command_line(place: Path, tmp_path: Path) -> None:
    page, parts = tmp_path / "page.html", tmp_path / "parts.csv"
    done = type_in(
        *("explain", place / "run", place / "clip.csv", "--to", page, "--parts", parts, "--json")
    )
    assert done.returncode == 0, done.stderr
    (openness,) = json.loads(done.stdout)["targets"]
    assert (openness["stream"], openness["name"]) == ("mine", "one")
    assert openness["verdict"] == "no better than random"  # of two parts, chance finds the one
    assert set(pd.read_csv(parts)["name"]) == {"noise", "one"}
    done = type_in("explain", place / "run", place / "clip.csv")
    assert "no better than random" in done.stdout
    done = type_in("explain", place / "run", place / "clip.csv", "--to", tmp_path / "page.png")
    assert done.returncode == 2
    assert "is no page: name a file such as page.html" in done.stderr
    done = type_in("explain", place / "run", place / "mine.csv")
    assert done.returncode == 2
    assert "names 60 clips; explain takes one at a time" in done.stderr


def test_the_test_over_a_split_is_kept_and_said_on_the_page(place: Path, tmp_path: Path) -> None:
    done = type_in("analyse", "explanations", place / "run", "--clips", 20, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"] == "better than random"
    kept = place / "run" / "explanations"
    assert sorted(path.suffix for path in kept.iterdir()) == [".csv", ".json", ".png"]
    page = tmp_path / "page.html"
    assert type_in("explain", place / "run", place / "clip.csv", "--to", page).returncode == 0
    assert f"Over {result['clips']} clips of validation" in page.read_text()


def test_a_fragment_is_whole_and_asks_for_nothing(made: Explanation) -> None:
    shown = fragment(made, Preview(b"video", 1.0))
    text = str(shown.html) + "".join(assets())
    assert "data:video/mp4;base64,dmlkZW8=" in text
    assert not re.findall(r"(?:https?:)?//[\w.]+", text)
    assert not re.findall(r"url\((?!#)", text)
    assert shown.data["targets"][0]["target"] == "openness"


def test_a_video_becomes_small_and_keeps_its_time(tmp_path: Path) -> None:
    sound = np.sin(np.arange(32000) / 20)[None].astype(np.float32)
    path = write_video(tmp_path / "long.mp4", frames=50, fps=25, sound=sound)
    shown = preview(Clip("one", path=path), 2.0, largest=60_000)
    assert shown is not None
    assert len(shown.data) <= 60_000
    with av.open(io.BytesIO(shown.data)) as container:
        assert float(container.duration) / av.time_base == pytest.approx(2.0, abs=0.2)
        assert container.streams.audio
    assert preview(Clip("one"), 2.0) is None
