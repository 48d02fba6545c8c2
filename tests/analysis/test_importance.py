"""Permutation importance: what carries the labels is found, groups move together, mistakes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.command_line import type_in
from tests.support.prepared import make_corpus
from traitscope.analysis.importance import measure_importance, permuted
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError
from traitscope.features.imports import import_features
from traitscope.training.fitting import train
from traitscope.types import Batch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two tables: one column carries the labels, a copy of it stands in for it."""
    folder = tmp_path_factory.mktemp("importance")
    address = make_corpus(folder / "corpus", clips=80)
    rng = np.random.default_rng(0)
    clips = load_corpus(address).clips
    score = np.array([clip.targets["openness"] for clip in clips])
    frame = {"clip": [clip.id for clip in clips], "noise": rng.normal(size=len(clips))}
    pd.DataFrame(frame).to_csv(folder / "noise.csv", index=False)
    pd.DataFrame({**frame, "one": score, "two": score + 0.01 * rng.normal(size=len(clips))}).to_csv(
        folder / "mine.csv", index=False
    )
    for name in ("noise", "mine"):
        # The copy of a label is left out of a table unless it is asked for.
        asked = tuple(frame) if name == "noise" else ("noise", "one", "two")
        columns = [column for column in asked if column != "clip"]
        import_features(
            folder / "store", folder / f"{name}.csv", name=name, corpus=address, columns=columns
        )
    settings = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    wanted = ["model.streams=[noise,mine]", "data.targets=[openness]"]
    return train("functionals", [*settings, *wanted], to=folder / "run")


def test_what_carries_the_label_is_found_together(run: Path) -> None:
    alone = {row["group"]: row["mae"]["mean"] for row in measure_importance(run)["rows"]}
    assert set(alone) == {"noise.noise", "mine.noise", "mine.one", "mine.two"}
    groups = {"score": ["mine.one", "mine.two"], "noise": ["*.noise.*"]}
    result = measure_importance(run, groups=groups)
    together = {row["group"]: row["mae"]["mean"] for row in result["rows"]}
    assert together["score"] > 1.5 * max(alone.values())
    assert abs(together["noise"]) < 0.1 * together["score"]
    assert [row["columns"] for row in result["rows"]] == [10, 10]


def test_streams_are_compared_as_a_whole(run: Path) -> None:
    result = measure_importance(run, groups="stream")
    assert [row["group"] for row in result["rows"]] == ["mine", "noise"]
    alone = measure_importance(run)["rows"]
    assert sum(row["columns"] for row in result["rows"]) == sum(row["columns"] for row in alone)
    assert result["rows"][0]["ccc"]["mean"] > 0.3


def test_a_group_moves_from_one_clip_to_another_as_it_is() -> None:
    table = np.arange(12.0).reshape(4, 3)
    words = np.array([["a"], ["b"], ["c"], ["d"]])
    batch = Batch(tuple("abcd"), {"x": table, "t": words}, {"t": words == "a"}, None, None)
    order = np.array([1, 2, 3, 0])
    moved = permuted(batch, {"x": np.array([0, 2]), "t": None}, order)
    np.testing.assert_array_equal(moved.streams["x"][:, [0, 2]], table[order][:, [0, 2]])
    np.testing.assert_array_equal(moved.streams["x"][:, 1], table[:, 1])
    assert moved.streams["t"][:, 0].tolist() == ["b", "c", "d", "a"]
    assert moved.masks["t"][:, 0].tolist() == [False, False, False, True]
    assert table[0, 0] == 0


def test_from_the_command_line(run: Path, tmp_path: Path) -> None:
    command = ["analyse", "importance", run]
    table = tmp_path / "importance.csv"
    done = type_in(*command, "--to", table)
    assert done.returncode == 0, done.stderr
    assert "MAE rises by" in done.stdout
    assert pd.read_csv(table)["group"].tolist()[0].startswith("mine.")
    done = type_in(*command, "--by", "stream", "--json")
    assert json.loads(done.stdout)["split"] == "validation"
    wrong = type_in(*command, "--group", "mouth")
    assert wrong.returncode == 2
    assert "write NAME=PATTERN" in wrong.stderr
    with pytest.raises(ConfigError, match="No column matches mouth=AU"):
        measure_importance(run, groups={"mouth": ["AU*"]})
