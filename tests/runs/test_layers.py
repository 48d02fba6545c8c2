"""The layer table of every network of the zoo, and its picture."""

import json
from pathlib import Path

import pytest

from tests.support.prepared_streams import tiny_settings
from traitscope import registry
from traitscope.cli import main
from traitscope.errors import DataError
from traitscope.runs.checkpoint import build_fitted
from traitscope.runs.layers import TARGETS, draw_layers, layers_of, shape_text, totals
from traitscope.runs.plan import Plan, load_run, plan

NETWORKS = [n for n in registry.names("models") if hasattr(registry.load("models", n), "Model")]


def tiny(name: str) -> Plan:
    return plan(load_run(name, tiny_settings(name)))


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    from tests.models.test_contracts import shapes_of

    return shapes_of(tiny(name).draws)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_every_parameter_is_in_one_layer(name: str, depth: int) -> None:
    from traitscope.runs.facts import Facts

    run_plan = tiny(name)
    layers = layers_of(run_plan, shapes=shapes(name), depth=depth)
    model = build_fitted(run_plan, Facts("", "apparent", TARGETS, {}, shapes(name)))
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    expected = sum(n for n, _ in sizes), sum(n for n, trains in sizes if trains)
    assert totals(layers) == expected
    assert len({layer.name for layer in layers}) == len(layers)
    entered = [layer.name for layer in layers if not layer.kind]
    assert entered == [f"input: {stream}" for stream in run_plan.draws]


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "text_transformer"])
def test_settings_alone_tell_the_layers_or_that_only_data_does(name: str) -> None:
    run_plan = tiny(name)
    # A table, an encoder of the user's choice, openSMILE: none says its width beforehand.
    if {request.name for request in run_plan.requests.values()} & ONLY_IN_DATA or name == "ambfac":
        with pytest.raises(DataError, match="shows only in data"):
            layers_of(run_plan)
    else:
        assert layers_of(run_plan)


ONLY_IN_DATA = {"imported", "audio_embedding", "egemaps", "emobase", "compare"}


def test_the_table_of_a_small_network_by_hand() -> None:
    layers = layers_of(plan(load_run("audio_lstm")))
    told = [(layer.name, layer.kind, shape_text(layer.shape), layer.parameters) for layer in layers]
    assert told == [
        ("input: mid_term", "", "6 x 68", 0),
        ("project", "Linear", "6 x 32", 68 * 32 + 32),
        ("lstm", "LSTM", "6 x 128", 4 * 128 * (32 + 128 + 2)),
        ("dropout", "Dropout", "6 x 128", 0),
        ("score", "Linear", "6 x 5", 128 * 5 + 5),
        ("to_range", "RangeHead", "6 x 5", 0),
    ]


def test_columns_that_are_drawn_decide_the_width() -> None:
    for signals, width in {"au": 17, "gaze_rotation": 5}.items():
        settings = [f"model.signals={signals}", "model.longest=70"]
        layers = layers_of(plan(load_run("au_hybrid", settings)))
        assert layers[0].shape == (70, width)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    import cv2

    path = draw_layers(layers_of(tiny("au_hybrid")), tmp_path / "layers.png", title="au_hybrid")
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[0] > 300
    assert (image.reshape(-1, 3) == (232, 203, 169)).all(axis=1).any(), "trainable layers are blue"


def test_show_prints_settings_and_layers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", "au_hybrid", "model.signals=au", "model.longest=70"])
    told = capsys.readouterr().out
    assert "signals: au" in told
    assert "70 x 17" in told
    assert f"{2_222_141:,}" in told
    with pytest.raises(SystemExit):
        main(["show", "au_hybrid", "model.longest=70", "--json", "--depth", "1"])
    tree = json.loads(capsys.readouterr().out)
    assert tree["settings"]["augment"]["decimate_shift_slice"]["slice"] == 100
    assert sum(layer["parameters"] for layer in tree["layers"]) == 2_229_821


def test_what_has_no_layers_cannot_be_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["show", "functionals", "--to", str(tmp_path / "x.png")])
    assert stopped.value.code == 2
    assert "has no layers to draw" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
