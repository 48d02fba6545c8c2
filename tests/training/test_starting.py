"""What a run takes of another that it starts from: heads by name and direction, ranges never."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from tests.support.prepared import data, history, make_corpus, make_store
from traitscope import registry
from traitscope.data.record import read_records
from traitscope.errors import ConfigError, DataError
from traitscope.runs.checkpoint import load
from traitscope.runs.facts import Facts
from traitscope.runs.plan import load_run, plan
from traitscope.runs.settings import Start
from traitscope.runs.transfer import Origin, take_over, target_axes
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Batch, Target

QUICK = [
    *("train.optimizer=adam", "train.schedule=constant", "train.milestones=[]", "train.lr=0.02"),
    *("train.batch_size=8", "trainer.tensorboard=false"),
]


STILL = "train.lr_factors={'*': 1e-9}"
"""Nothing moves, so that what was taken is seen in what is saved."""


def corpus_of(folder: Path, *, low: float = 0, high: float = 1, **targets: int) -> Path:
    """The small corpus with its features, its labels brought to a range, targets renamed."""
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    table = folder / "clips.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(targets) or list(TRAITS)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "source", "split", *names])
        for row in rows:
            values = [
                low + (high - low) * float(row[t]) for t, _ in zip(TRAITS, names, strict=False)
            ]
            writer.writerow([row["clip"], row["source"], row["split"], *values])
    directions = targets or dict.fromkeys(TRAITS, 1)
    facts: dict[str, Any] = {
        name: {"low": low, "high": high, "direction": d} for name, d in directions.items()
    }
    tree = {"name": folder.name, "kind": "apparent", "targets": facts}
    (folder / "clips.yaml").write_text(yaml.safe_dump(tree))
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on labels from 0 to 1, with a hidden size of its own."""
    place = corpus_of(tmp_path_factory.mktemp("first") / "unit")
    settings = [*data(place), *QUICK, "train.epochs=25", "model.hidden=24"]
    return train("audio_lstm", settings, to=place / "run", accelerator="cpu")


def test_a_run_on_another_range_predicts_in_its_own(first: Path, tmp_path: Path) -> None:
    wide = corpus_of(tmp_path / "wide", low=1, high=7)
    settings = [*data(wide), *QUICK, "train.epochs=2"]
    run = train("audio_lstm", settings, to=tmp_path / "run", start_from=first, accelerator="cpu")
    tensors = load_file(run / "model.safetensors")
    np.testing.assert_array_equal(tensors["to_range.low"], np.full(5, 1, np.float32))
    np.testing.assert_array_equal(tensors["to_range.span"], np.full(5, 6, np.float32))
    mae = json.loads((run / "metrics.json").read_text())["validation"]["mae"]
    there = json.loads((first / "metrics.json").read_text())["validation"]["mae"]
    assert mae < 2 * 6 * there
    assert load(run).config.model["hidden"] == 24  # nobody typed it again
    fresh = train("audio_lstm", settings, to=tmp_path / "fresh", accelerator="cpu")
    assert float(history(run)[0]["train_loss"]) < 0.5 * float(history(fresh)[0]["train_loss"])


def test_what_was_typed_lies_over_what_is_inherited(first: Path, tmp_path: Path) -> None:
    settings = [*data(first.parent), *QUICK, "train.epochs=1", "model.dropout=0.25"]
    run = train("audio_lstm", settings, to=tmp_path / "run", start_from=first)
    assert load(run).config.model["hidden"] == 24
    assert load(run).config.model["dropout"] == 0.25
    with pytest.raises(DataError, match=r"is \[96\] in .*run and \[64\] in this model.*skip="):
        train(
            "audio_lstm",
            [*settings, "model.hidden=16"],
            to=tmp_path / "other",
            start_from=first,
        )
    assert not (tmp_path / "other").exists()


def test_heads_go_by_name_and_direction(first: Path, tmp_path: Path) -> None:
    other = corpus_of(tmp_path / "other", neuroticism=1, interview=1, openness=-1)
    settings = [*data(other), *QUICK, "train.epochs=1", STILL]
    run = train("audio_lstm", settings, to=tmp_path / "run", start_from=first, accelerator="cpu")
    before, after = (load_file(f / "model.safetensors") for f in (first, run))
    names, there = [t.name for t in load(run).facts.targets], list(TRAITS)
    for name, sign in (("neuroticism", 1), ("openness", -1)):
        head = after["score.weight"][names.index(name)]
        expected = sign * before["score.weight"][there.index(name)]
        np.testing.assert_allclose(head, expected, atol=1e-6)
    account = json.loads((run / "start.json").read_text())
    assert account["targets"] == {
        "neuroticism": "taken",
        "openness": "turned",
        "interview": "fresh",
    }
    assert read_records(run)[0].used({"start"})  # what the first run learnt counts as learnt


def test_what_is_not_wanted_starts_fresh(first: Path, tmp_path: Path) -> None:
    settings = [*data(first.parent), *QUICK, "train.epochs=1", STILL]
    skipping = [*settings, "train.start.skip=[score.*]"]
    run = train("audio_lstm", skipping, to=tmp_path / "run", start_from=first)
    before, after = (load_file(f / "model.safetensors") for f in (first, run))
    np.testing.assert_allclose(after["project.weight"], before["project.weight"], atol=1e-6)
    assert np.abs(after["score.weight"] - before["score.weight"]).max() > 0.01
    only = [*settings, "train.start.only=[lstm.*]"]
    train("audio_lstm", only, to=tmp_path / "b", start_from=first)
    account = json.loads((tmp_path / "b" / "start.json").read_text())
    assert all(name.startswith("lstm.") for name in account["taken"])
    for setting in ("skip=[nothing.*]", "only=[nothing.*]"):
        with pytest.raises(ConfigError, match=r"'nothing\.\*' matches no tensor"):
            train(
                "audio_lstm",
                [*settings, f"train.start.{setting}"],
                to=tmp_path / "c",
                start_from=first,
            )
    with pytest.raises(ConfigError, match=r"train\.start .* no effect without --from"):
        train("audio_lstm", only, to=tmp_path / "c")


def test_a_direction_that_nobody_declared_is_asked_for() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    tensors = {name: torch.ones_like(t) for name, t in network.state_dict().items()}
    there, here = (Target("openness", 0, 1, 1),), (Target("openness", 0, 1),)
    axes = {"1.weight": (0, 1), "1.bias": (0, 1)}
    origin = Origin("RUN", tensors, there)
    asked = r"the corpus does not say whether a high 'openness'.*skip=\[1\.weight,1\.bias\]"
    with pytest.raises(DataError, match=asked):
        take_over(network, origin, here, axes=axes, start=Start())
    account = take_over(network, origin, here, axes=axes, start=Start(skip=("1.*",)))
    assert account.taken == ["0.weight", "0.bias"]
    same = Origin("RUN", tensors, here, same_corpus=True)
    assert take_over(network, same, here, axes=axes, start=Start()).targets == {"openness": "taken"}


def test_a_head_on_other_features_may_start_fresh() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    wide = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(9, 1)).state_dict()
    targets, axes = (Target("openness", 0, 1, 1),), {"1.weight": (0, 1), "1.bias": (0, 1)}
    origin = Origin("RUN", wide, targets)
    with pytest.raises(DataError, match=r"\[1, 9\] in RUN and \[1, 4\].*skip=\[1\.weight\]"):
        take_over(network, origin, targets, axes=axes, start=Start())
    account = take_over(network, origin, targets, axes=axes, start=Start(skip=("1.weight",)))
    assert account.taken == ["0.weight", "0.bias", "1.bias"]


@pytest.mark.parametrize("name", ["audio_lstm", "au_hybrid", "bimodal_lstm", "face_cnn"])
def test_a_turned_head_predicts_the_mirror_image(name: str) -> None:
    from tests.models.test_contracts import ROWS, batch_of

    module = registry.load("models", name)
    options = module.TINY
    draws = module.inputs(options)
    batch: Batch = batch_of(draws, clips=2)
    there = (Target("openness", 0, 1, 1), Target("neuroticism", 0, 1, -1))
    here = (Target("neuroticism", 1, 7, 1), Target("openness", 1, 7, 1))
    shapes = {s: ROWS[s] for s in draws if s in ROWS}
    torch.manual_seed(0)
    one = module.Model(options, shapes, there).eval()
    torch.manual_seed(1)
    two = module.Model(options, shapes, here)
    settings = [f"model.{k}={json.dumps(v)}" for k, v in options.model_dump(mode="json").items()]
    run_plan = plan(load_run(name, settings))
    facts = Facts("c", "apparent", here, run_plan.requests, shapes)
    learned = {n: t for n, t in one.state_dict().items() if not n.startswith("to_range")}
    origin = Origin("one", learned, there)
    axes = target_axes(run_plan, facts)
    assert axes
    take_over(two, origin, here, axes=axes, start=Start())
    from traitscope.runs.checkpoint import predict_batch

    first, second = predict_batch(one, batch), predict_batch(two.eval(), batch)
    np.testing.assert_allclose(second[:, 0], 7 - 6 * first[:, 1], rtol=1e-4)
    np.testing.assert_allclose(second[:, 1], 1 + 6 * first[:, 0], rtol=1e-4)


def test_bins_are_those_of_the_new_corpus_and_are_not_turned() -> None:
    module = registry.load("models", "crnet")
    here = (Target("openness", 1, 7, -1), Target("extraversion", 1, 7, 1))
    there = (Target("openness", 0, 1, 1), Target("extraversion", 0, 1, 1))
    torch.manual_seed(0)
    one, two = (module.Model(module.TINY, {}, targets) for targets in (there, here))
    tiny = module.TINY.model_dump(mode="json").items()
    run_plan = plan(load_run("crnet", [f"model.{k}={json.dumps(v)}" for k, v in tiny]))
    axes = target_axes(run_plan, Facts("c", "apparent", here, run_plan.requests, {}))
    cuts, drawn = two.cuts.clone(), two.branches["faces"].classify.weight.clone()
    learned = {n: t for n, t in one.state_dict().items() if n != "cuts" and "to_range" not in n}
    account = take_over(two, Origin("one", learned, there), here, axes=axes, start=Start())
    assert account.targets == {"openness": "fresh", "extraversion": "taken"}
    assert torch.equal(two.cuts, cuts)
    head, before = two.branches["faces"].classify.weight, one.branches["faces"].classify.weight
    assert torch.equal(head[:4], drawn[:4])
    assert torch.equal(head[4:], before[4:])
