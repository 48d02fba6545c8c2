"""CR-Net stopped in either of its stages and taken up again: the same run, to the bit."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.support.prepared import make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.training.fitting import train

RANGES, REGRESSION = 2, 4
STAGES = [
    f"train.ranges.epochs={RANGES}",
    f"train.regression.epochs={REGRESSION}",
    "train.regression.milestones=[2]",
    "train.ranges.batch_size=5",
    "train.regression.batch_size=5",
    "trainer.tensorboard=false",
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run on a corpus of random pictures and sound."""
    folder = tmp_path_factory.mktemp("crnet")
    address = make_corpus(folder, clips=20)
    model = [*tiny_settings("crnet"), "features.faces.backend=dlib"]
    fill_store(folder / "store", address, "crnet", model, rows=5)
    return [f"data.corpus={address}", f"data.store={folder / 'store'}", *model, *STAGES]


@pytest.fixture(scope="module")
def whole(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, never stopped."""
    return train("crnet", settings, to=tmp_path_factory.mktemp("whole") / "run", accelerator="cpu")


@pytest.mark.parametrize("epoch", [RANGES, RANGES + 3])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    settings: list[str], whole: Path, tmp_path: Path, epoch: int
) -> None:
    def stop(done: int, total: int, news: str) -> None:
        assert total == RANGES + REGRESSION
        if done == epoch:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train("crnet", settings, to=run, hook=stop, accelerator="cpu")
    done: list[int] = []
    resumed = train(
        "crnet", to=run, resume=True, hook=lambda n, *_: done.append(n), accelerator="cpu"
    )
    assert done == list(range(epoch + 1, RANGES + REGRESSION + 1))  # and not from the beginning
    history = (resumed / "history.csv").read_text()
    assert history == (whole / "history.csv").read_text()
    assert history.count("ranges,") == RANGES
    assert history.count("regression,") == REGRESSION
    weights, expected = (load_file(r / "model.safetensors") for r in (resumed, whole))
    assert weights.keys() == expected.keys()
    assert all(weights[name].tobytes() == expected[name].tobytes() for name in expected)
