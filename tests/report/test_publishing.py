"""A run as a model hub holds it: what leaves, what the card says, and how it comes back."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from tests.support.hub import SHA, Hub, hub
from tests.support.prepared import make_corpus, make_store
from traitscope import weights
from traitscope.cli import main
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, MissingError
from traitscope.report.publishing import publish
from traitscope.runs.checkpoint import load
from traitscope.runs.checksums import verify_run
from traitscope.training.fitting import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    address = make_corpus(folder / "corpus")
    store = make_store(folder / "store", address, streams=("short_term",))
    data = [f"data.corpus={address}", f"data.store={store.folder}"]
    return train("functionals", [*data, "model.streams=[short_term]"], to=folder / "run")


def test_a_published_folder_is_a_run_without_the_corpus_and_its_paths(
    run: Path, tmp_path: Path
) -> None:
    folder = publish(run, tmp_path / "published", licence="cc-by-4.0")
    assert not verify_run(folder)
    names = {path.name for path in folder.iterdir()}
    assert names >= {"model.safetensors", "run.yaml", "features.json", "README.md"}
    assert "clips.csv" not in names
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(run.parent).encode() not in content, path.name
        assert b"c001" not in content, path.name  # the name of a clip
    settings = yaml.safe_load((folder / "run.yaml").read_text())
    assert settings["data"]["corpus"] == "table:clips.csv"
    before, after = load(run), load(folder)
    batch_of = before.examples(load_corpus(before.config.data.corpus).clips[:3], _store(run))
    np.testing.assert_array_equal(
        before.predict_examples(batch_of), after.predict_examples(batch_of)
    )


def _store(run: Path) -> Any:
    from traitscope.features.store import Store

    return Store(run.parent / "store")


def test_hubs_can_read_the_block_of_facts_of_the_card(run: Path, tmp_path: Path) -> None:
    folder = publish(run, tmp_path / "published", name="lab/voices", licence="cc-by-4.0")
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "traitscope"
    assert {"personality", "apparent", "functionals"} <= set(card.data.tags)
    results = card.data.eval_results
    validation = json.loads((run / "metrics.json").read_text())["validation"]
    scores = {result.metric_type: result.metric_value for result in results}
    assert scores["mae"] == pytest.approx(validation["mae"], abs=1e-6)
    assert {result.dataset_split for result in results} == {"validation"}
    assert "Not for" in card.text
    assert "traitscope weights fetch hf:lab/voices" in card.text


@pytest.mark.parametrize("name", ["hf:", "hf:name", "hf:a/b/c", "hf:../b", "hf:a/b@", "hf:a/b@x y"])
def test_a_misspelt_name_of_a_run_on_a_hub_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="hf:owner/name"):
        weights.run_folder(name)


def test_a_run_that_was_never_fetched_is_not_fetched_behind_ones_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingError, match="weights fetch hf:lab/voices@v1"):
        load("hf:lab/voices@v1")


def test_nothing_is_uploaded_without_being_told_to(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["publish", str(run), "--to", "hf:lab/voices"])
    assert not end.value.code
    out, err = capsys.readouterr()
    assert "model.safetensors" in out
    assert "nothing was uploaded" in err
    with pytest.raises(SystemExit) as end:
        main(["publish", str(run), "--to", "folder", "--push"])
    assert end.value.code == 2


def at(state: Hub, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a verb in a process whose hub is the local one, and whose cache is its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_ENDPOINT": state.url}
    env |= {"HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_TOKEN": "hf_test"}
    code = f"from traitscope.cli import main; main({list(words)!r})"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )


@pytest.mark.slow
def test_a_run_goes_to_a_hub_and_comes_back_from_it(run: Path, tmp_path: Path) -> None:
    name, cache = "hf:lab/voices", tmp_path / "cache"
    with hub() as state:
        done = at(state, cache, "publish", str(run), "--to", name, "--push")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith(SHA)
        assert "README.md" in state.repositories["lab/voices"]
        missing = at(state, cache, "verify", name)
        assert missing.returncode == 2
        assert "weights fetch hf:lab/voices" in missing.stderr
        # Whatever else lies there is not fetched: it may hold code.
        state.repositories["lab/voices"]["model.pkl"] = b"code"
        done = at(state, cache, "weights", "fetch", name)
        assert done.returncode == 0, done.stderr
        folder = Path(done.stdout.strip())
        assert not (folder / "model.pkl").exists()
        before = len(state.requests)
        done = at(state, cache, "verify", name)
        assert done.returncode == 0, done.stderr
        assert len(state.requests) == before  # from the cache, without asking
        wrong = at(state, cache, "weights", "fetch", f"{name}@v9")
        assert wrong.returncode == 2
        assert "could not be fetched" in wrong.stderr
        state.repositories["lab/edited"] = dict(state.repositories["lab/voices"])
        state.repositories["lab/edited"]["model.json"] += b" "
        edited = at(state, cache, "weights", "fetch", "hf:lab/edited")
        assert edited.returncode == 2
        assert "is not what its publisher wrote" in edited.stderr
        plain = tmp_path / "plain"
        get = f"snapshot_download('lab/voices', local_dir={str(plain)!r})"
        code = f"from huggingface_hub import snapshot_download; {get}"
        env = {**os.environ, "HF_ENDPOINT": state.url, "HF_HOME": str(cache)}
        subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True)
    assert load(plain).facts == load(run).facts
    assert load(folder).facts == load(run).facts
