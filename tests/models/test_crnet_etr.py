"""CR-Net and extra-trees: the feature by hand, and a run that stands on another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.models.test_contracts import TARGETS, batch_of, take
from tests.support.prepared import data, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.data.examples import to_tensors
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.models import crnet_etr
from traitscope.nn.sound import waveform_of
from traitscope.runs.checkpoint import load
from traitscope.training import fitting as training
from traitscope.training.fitting import train

QUICK = ["train.ranges.epochs=1", "train.regression.epochs=1", "train.regression.milestones=[1]"]
TREES = ["model.moments=3", "model.trees.trees=5", "model.trees.per_leaf=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with pictures and sound in a store, and a CR-Net trained on it."""
    folder = tmp_path_factory.mktemp("etr")
    address = make_corpus(folder, clips=20)
    settings = [*tiny_settings("crnet"), "features.faces.backend=dlib", "features.frames.rate=4"]
    fill_store(folder / "store", address, "crnet", settings, rows=5)
    train("crnet", [*data(folder), *settings, *QUICK], to=folder / "crnet")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """Trees on the network, which is then gone: the run stands alone."""
    first = place / "gone"
    shutil.copytree(place / "crnet", first)
    made = train("crnet_etr", [*data(place), *TREES], to=place / "etr", start_from=first)
    shutil.rmtree(first)
    return made


def test_the_feature_is_weighted_and_averaged_over_what_is_there() -> None:
    config = crnet_etr.TINY.model_copy(update={"moments": 3})
    estimator = crnet_etr.Estimator(config, TARGETS)
    batch = batch_of(crnet_etr.inputs(config), clips=2)
    batch.masks["faces"][1, 2] = False
    found = estimator.reduce(batch)
    assert found.shape == (2, len(TARGETS) * estimator.network.num_features)
    tensors, branches = to_tensors(batch), estimator.network.branches
    with torch.no_grad():
        frames = branches["frames"](tensors.streams["frames"][1])[1].mean(dim=0)
        faces = branches["faces"](tensors.streams["faces"][1, :2])[1].mean(dim=0)
        sound = branches["waveform"](waveform_of(tensors, crnet_etr.TINY.crnet.samples)[1:])[1][0]
    by_hand = (7 * frames + 5 * faces + 3 * sound) / 15
    np.testing.assert_allclose(found[1], by_hand.flatten(), atol=1e-6)


@pytest.mark.parametrize("senses", ["visual", "audio"])
def test_senses_that_the_network_lacks_are_not_asked_for(senses: str) -> None:
    network = crnet_etr.TINY.crnet.model_copy(update={"senses": senses})
    config = crnet_etr.TINY.model_copy(update={"crnet": network})
    draws = crnet_etr.inputs(config)
    assert set(draws) == ({"frames", "faces"} if senses == "visual" else {"waveform"})
    estimator = crnet_etr.Estimator(config, TARGETS)
    batch = batch_of(draws, clips=6)
    estimator.fit(batch, list("aabbcc"))
    assert np.isfinite(estimator.predict(batch)).all()


def test_the_trees_of_a_target_see_its_own_feature_alone() -> None:
    rng = np.random.default_rng(0)
    estimator = crnet_etr.Estimator(crnet_etr.TINY, TARGETS)
    width = estimator.network.num_features
    features = rng.normal(size=(24, len(TARGETS) * width)).astype(np.float32)
    batch = replace(batch_of({}, clips=24), streams={"features": features}, masks={})
    estimator.fit(batch, [""] * 24)
    before = estimator.predict(batch)
    features[:, width : 2 * width] = 0
    changed = (estimator.predict(batch) != before).any(axis=0)
    assert changed.tolist() == [False, True, False]


def test_a_described_clip_is_predicted_as_the_clip_itself() -> None:
    estimator = crnet_etr.Estimator(crnet_etr.TINY, TARGETS)
    batch = batch_of(crnet_etr.inputs(crnet_etr.TINY), clips=12)
    described = replace(batch, streams={"features": estimator.reduce(batch)}, masks={})
    estimator.fit(described, [""] * 12)
    first = take(batch, slice(0, 5))
    np.testing.assert_array_equal(estimator.predict(first), estimator.predict(described)[:5])


def test_the_run_has_the_settings_streams_and_weights_of_its_network(
    place: Path, run: Path
) -> None:
    first, made = load(place / "crnet"), load(run)
    settings = {key: value for key, value in first.config.model.items() if key != "name"}
    assert made.config.model["crnet"] == settings
    assert made.keys == first.keys
    for name, tensor in load_file(place / "crnet" / "model.safetensors").items():
        np.testing.assert_array_equal(
            load_file(run / "model.safetensors")[f"network/{name}"], tensor
        )
    assert json.loads((run / "metrics.json").read_text())["started_from"].endswith("gone")


def test_the_run_is_evaluated_without_the_one_it_stands_on(run: Path) -> None:
    assert {row.role for row in evaluate(run).everything.rows} >= {"model", "constant"}


def test_clips_described_one_by_one_give_the_same_trees(
    place: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CLIPS_AT_ONCE", 1)
    seen: list[tuple[int, int, str]] = []
    again = train(
        "crnet_etr",
        [*data(place), *TREES],
        to=place / "again",
        start_from=place / "crnet",
        hook=lambda *news: seen.append(news),
    )
    assert seen[-1][:2] == (12, 12)
    one, other = (load_file(r / "model.safetensors") for r in (run, again))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_wrong_start_is_refused(place: Path, run: Path, tmp_path: Path) -> None:
    def start(*settings: str, **how: Any) -> None:
        train("crnet_etr", [*data(place), *TREES, *settings], to=tmp_path / "x", **how)

    with pytest.raises(ConfigError, match=r"stands on a trained crnet.*crnet_etr --from RUN"):
        start()
    with pytest.raises(
        ConfigError, match=r"starts from a run of crnet, and .* is one of crnet_etr"
    ):
        start(start_from=run)
    with pytest.raises(DataError, match="is not a run"):
        start(start_from=place)
    with pytest.raises(ConfigError, match=r"\['openness'\] are not those of"):
        start("data.targets=[openness]", start_from=place / "crnet")
    with pytest.raises(DataError, match="does not fit"):
        start("model.crnet.channels=[4,4,8,16]", start_from=place / "crnet")
    assert not (tmp_path / "x" / "metrics.json").exists()


def test_another_protocol_than_that_of_the_network_is_pointed_out(
    place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*data(place), *TREES]
    train("crnet_etr", settings, to=tmp_path / "same", start_from=place / "crnet")
    assert "another protocol" not in caplog.text
    settings = [*settings, "protocol.kind=random"]
    with pytest.raises(DataError, match="learnt clips that are left out here"):
        train("crnet_etr", settings, to=tmp_path / "refused", start_from=place / "crnet")
    settings = [*settings, "protocol.leaks=warn"]
    train("crnet_etr", settings, to=tmp_path / "other", start_from=place / "crnet")
    assert "may have learned from clips left out here" in caplog.text


@pytest.mark.parametrize("damage", ["gone", "shape", "more"])
def test_a_damaged_network_is_told(run: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    arrays = load_file(path)
    weight = arrays.pop("network/score.weight")
    if damage == "shape":
        arrays["network/score.weight"] = weight[:, :3].copy()
    if damage == "more":
        arrays |= {"network/score.weight": weight, "network/extra": weight}
    save_file(arrays, path)
    with pytest.raises(DataError, match=r"network cannot be used|does not fit its run"):
        load(tmp_path / "run")
