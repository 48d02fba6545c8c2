"""Saved runs under damage: each file is cut, zeroed, swapped or gone; it is named, with cure."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.prepared import make_corpus, make_store
from traitscope.cli import main
from traitscope.errors import TraitscopeError
from traitscope.runs.checkpoint import load
from traitscope.training.fitting import train

NETWORK = (
    *("train.optimizer=adam", "train.schedule=constant", "train.milestones=[]"),
    *("train.epochs=1", "trainer.tensorboard=false"),
)
FILES = {
    "functionals": ("run.yaml", "features.json", "model.json", "model.safetensors"),
    "audio_lstm": ("run.yaml", "features.json", "model.safetensors", "scalers.safetensors"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of each of two models: other labels, so other numbers in the same files."""
    folder = tmp_path_factory.mktemp("runs")
    address = make_corpus(folder)
    make_store(folder / "store", address)
    for name in FILES:
        more = NETWORK if name == "audio_lstm" else ()
        settings = [f"data.corpus={address}", f"data.store={folder / 'store'}", *more]
        train(name, settings, to=folder / name)
        # Fewer clips are fitted: other means, other weights.
        train(name, [*settings, "protocol.fit=train+validation"], to=folder / f"{name}-2")
    return folder


def cut(length: Callable[[int], int]) -> Callable[[Path, Path], None]:
    def damage(path: Path, _: Path) -> None:
        path.write_bytes(path.read_bytes()[: length(path.stat().st_size)])

    return damage


def zeroed(path: Path, _: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def swapped(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def gone(path: Path, _: Path) -> None:
    path.unlink()


def a_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def a_byte_changed(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "one byte": cut(lambda _: 1),
    "half": cut(lambda size: size // 2),
    "all but one byte": cut(lambda size: size - 2),
    "zeros": zeroed,
    "another run's": swapped,
    "gone": gone,
    "a folder": a_folder,
    "a byte changed": a_byte_changed,
}


def verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(folder)])
    return int(caught.value.code or 0), "".join(capsys.readouterr())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_run_is_refused_and_the_file_is_named(
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path, Path], None],
) -> None:
    for file in FILES[name]:
        run = tmp_path / Path(file).stem / Path(file).suffix[1:]
        shutil.copytree(runs / name, run)
        original = (run / file).read_bytes()
        damage(run / file, runs / f"{name}-2" / file)
        if (run / file).is_file() and (run / file).read_bytes() == original:
            continue
        with pytest.raises(TraitscopeError) as caught:
            load(run)
        said = str(caught.value)
        assert str(run) in said, file
        assert file.split(".")[0] in said, (file, said)
        code, said = verified(run, capsys)
        assert (code, file in said) in {(1, True), (2, True)}, (file, said)
        assert "Traceback" not in said


def test_a_whole_run_is_exit_code_0_and_may_be_moved(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(runs / "functionals", capsys) == (0, "all files are what training wrote\n")
    run = tmp_path / "moved"
    shutil.copytree(runs / "functionals", run)
    tree = yaml.safe_load((run / "run.yaml").read_text())
    tree["data"]["store"] = str(tmp_path / "elsewhere")
    (run / "run.yaml").write_text(yaml.safe_dump(tree))
    load(run)
    assert verified(run, capsys)[0] == 1


def test_a_run_of_before_has_no_checksums_and_is_loaded(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "functionals", run)
    (run / "checksums.json").unlink()
    load(run)
    code, said = verified(run, capsys)
    assert code == 2
    assert "checksums.json is missing. Trainings that are not finished" in said
    code, said = verified(tmp_path, capsys)
    assert code == 2
    assert "is not a run: it has no run.yaml" in said


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"../x": "y"}', "[" * 100_000])
def test_checksums_that_are_damaged_are_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "functionals", run)
    (run / "checksums.json").write_text(content)
    code, said = verified(run, capsys)
    assert code in (1, 2)
    assert "checksums.json" in said
    assert "Bring the run back from a copy, or train again." in said
