"""A suite from the command line: killed, gone on with, joined by a stranger's predictions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.support.command_line import Done, type_in
from tests.support.evaluated_systems import frame
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

OWN_MODEL = '''
"""A model from outside: the mean of a stream, straight through."""
from traitscope.models.functionals import Config, Estimator, inputs

TINY = Config()
'''


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, a table of features that know them, and a suite of three of which one must fail."""
    folder = tmp_path_factory.mktemp("suite")
    rng = np.random.default_rng(0)
    labels = pd.DataFrame(rng.uniform(0.2, 0.8, (120, 5)).round(4), columns=list(TRAITS))
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    labels.insert(0, "split", [splits[n // 2 % 10] for n in range(120)])
    labels.insert(0, "source", [f"s{n // 2:02d}" for n in range(120)])
    labels.insert(0, "clip", [f"c{n:03d}" for n in range(120)])
    labels.to_csv(folder / "clips.csv", index=False)
    targets = {t: {"low": 0, "high": 1, "direction": 1} for t in TRAITS}
    facts = {"name": "styles", "kind": "apparent", "targets": targets}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    known = labels[list(TRAITS)].to_numpy() + rng.normal(0, 0.1, (120, 5))
    style = pd.DataFrame(known, columns=[f"style_{n}" for n in range(5)])
    style.insert(0, "clip", labels["clip"])
    style.to_csv(folder / "style.csv", index=False)
    address, store = f"table:{folder / 'clips.csv'}", folder / "store"
    done = type_in(
        *("features", "import", store, folder / "style.csv", "--name", "style"),
        *("--corpus", address),
    )
    assert done.returncode == 0, done.stderr
    fusion = ["model.streams={style: {rows: 1, patch: 1}}", "model.width=16"]
    entries = [
        {"recipe": "functionals", "settings": ["model.streams=[style]"]},
        {"recipe": "fusion_transformer", "settings": [fusion, "train.epochs=8"]},
        {
            "recipe": "fusion_transformer",
            "name": "further",
            "start": "fusion_transformer",
            "settings": [fusion, "train.epochs=1", "train.lr=1e-9"],
        },
        {"recipe": "audio_embedding_mlp", "settings": ["features.audio_embedding.encoder=none"]},
    ]
    (folder / "suite.yaml").write_text(yaml.safe_dump({"title": "Styles", "entries": entries}))
    return folder


def run(study: Path, *words: object) -> Done:
    address, store = f"table:{study / 'clips.csv'}", study / "store"
    places = (f"data.corpus={address}", f"data.store={store}", "--to", study / "bench")
    return type_in("benchmark", study / "suite.yaml", *places, *words)


@pytest.fixture(scope="module")
def ranked(study: Path) -> Done:
    """The suite when it has run once, in whatever process the tests of this file are."""
    done = run(study, "--json")
    assert done.returncode == 0, done.stderr
    return done


def test_a_suite_is_ranked_and_what_fails_says_why(study: Path, ranked: Done) -> None:
    result = json.loads(ranked.stdout)
    assert set(result["systems"]) == {"functionals", "fusion_transformer", "further"}
    assert result["systems"]["functionals"]["ccc"] > 0.3
    assert result["systems"]["functionals"]["cost"]["parameters"] > 0
    systems = result["systems"]
    assert systems["fusion_transformer"]["cost"]["flops"] > 0
    # It begins where the other ended, and hardly moves.
    assert systems["further"]["ccc"] == pytest.approx(
        systems["fusion_transformer"]["ccc"], abs=0.01
    )
    assert "audio_embedding_mlp" in result["failures"]
    page = (study / "bench" / "index.html").read_text(encoding="utf-8")
    assert "Styles" in page
    assert "Systems without scores" in page


@pytest.mark.usefixtures("ranked")
def test_going_on_changes_no_number_and_others_join(study: Path) -> None:
    before = json.loads((study / "bench" / "standings.json").read_text(encoding="utf-8"))
    # Half of a training is lost, as when the machine went down.
    killed = study / "bench" / "runs" / "fusion_transformer" / "seed-0"
    (killed / "metrics.json").unlink()
    (killed / "cost.json").unlink()
    theirs = study / "theirs.csv"
    frame(f"table:{study / 'clips.csv'}", "test", noise=0.05).to_csv(theirs, index=False)
    done = run(study, "--json", "--with", theirs)
    assert done.returncode == 0, done.stderr
    after = json.loads(done.stdout)["systems"]
    for name, system in before["systems"].items():
        assert after[name]["ccc"] == system["ccc"]
    assert after["theirs"]["cost"] is None
    assert after["theirs"]["ccc"] > after["functionals"]["ccc"]


@pytest.mark.usefixtures("ranked")
def test_on_a_cluster_the_numbers_are_the_same(study: Path) -> None:
    before = json.loads((study / "bench" / "standings.json").read_text(encoding="utf-8"))
    # By relative paths: actors begin in another folder.
    places = ("data.corpus=table:clips.csv", "data.store=store", "--to", "on_ray", "--json")
    done = type_in("benchmark", "suite.yaml", *places, "--ray", "local", "--workers", 2, cwd=study)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["systems"]) == {"functionals", "fusion_transformer", "further"}
    for name, system in result["systems"].items():
        # An actor has one thread, which adds up in another order.
        assert system["ccc"] == pytest.approx(before["systems"][name]["ccc"], abs=1e-4)
    assert "audio_embedding_mlp" in result["failures"]


def test_a_model_from_outside_is_typed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = study / "suite_lab"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "means.py").write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(str(study))
    monkeypatch.setenv("PYTHONPATH", str(study), prepend=":")
    done = run(study, "--json", "--also", "suite_lab.means", "model.streams=[style]")
    result = json.loads(done.stdout)
    assert "suite_lab.means" in result["systems"], done.stderr
