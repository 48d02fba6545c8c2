"""The landmark network of S2D: its tensors come from a file that the user brings, or not at all."""

from pathlib import Path

import pytest
import torch

from tests.support.prepared import data, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.cli import main
from traitscope.errors import DataError, MissingError
from traitscope.nn.mobilefacenet import FILE, MobileFaceNet, load_landmark_network
from traitscope.training.fitting import train


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights."""
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    return tmp_path


def test_tensors_are_taken_in_order_whatever_they_are_called(place: Path) -> None:
    torch.manual_seed(1)
    theirs = MobileFaceNet().state_dict()
    renamed = {f"module.layer{i}": tensor for i, tensor in enumerate(theirs.values())}
    torch.save({"epoch": 3, "state_dict": renamed}, place / FILE)
    network = MobileFaceNet()
    load_landmark_network(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, theirs[name])


def test_another_network_is_refused(place: Path) -> None:
    torch.save({"a": torch.zeros(3)}, place / FILE)
    with pytest.raises(DataError, match="not the landmark network of 68 points: 1 tensors for"):
        load_landmark_network(MobileFaceNet())


def test_code_in_the_file_is_not_run(place: Path) -> None:
    torch.save({"state_dict": Path}, place / FILE)
    with pytest.raises(DataError, match="Nothing of it was run"):
        load_landmark_network(MobileFaceNet())


def test_no_training_begins_on_a_random_landmark_network(place: Path) -> None:
    address = make_corpus(place, clips=10)
    settings = tiny_settings("s2d", landmarks="network")
    fill_store(place / "store", address, "s2d", settings)
    with pytest.raises(MissingError, match=f"cannot be fetched.*copy it to {place / FILE}"):
        train("s2d", [*data(place), *settings], to=place / "run")
    assert not (place / "run" / "model.safetensors").exists()


def test_weights_knows_the_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["weights", "list", "--json"])
    assert FILE in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["weights", "fetch", FILE])
    assert stopped.value.code == 2
    assert "cannot be fetched" in capsys.readouterr().err
