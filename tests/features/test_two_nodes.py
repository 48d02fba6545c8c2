"""`prepare --ray` typed in: on two machines, simulated by two nodes on this one, and stopped."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.command_line import in_a_process
from tests.support.interrupts import interrupt
from tests.support.media_files import tone, write_sound
from tests.support.two_nodes import PATHS, two_nodes
from traitscope.features.preparation import prepare

MEETING = "tests.support.meeting_extractor"
GATED = "tests.support.gated_extractor"


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sounds in a folder, where commands are typed."""
    for clip in ("a", "b"):
        write_sound(tmp_path / f"{clip}.wav", tone(1))
    (tmp_path / "clips.csv").write_text("clip,path,warmth\na,a.wav,0\nb,b.wav,1\n")
    target = {"warmth": {"low": 0, "high": 1, "direction": 1}}
    facts = {"name": "tones", "kind": "apparent", "targets": target}
    (tmp_path / "clips.yaml").write_text(json.dumps(facts))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", PATHS)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_two_nodes_with_a_shared_folder_make_the_same_store(tmp_path: Path) -> None:
    words = ["prepare", "table:clips.csv", "--extract", MEETING, "--store", "rayed"]
    # Not below tmp_path: sockets have short paths.
    with TemporaryDirectory(prefix="nodes-", dir="/tmp") as place, two_nodes(Path(place)) as at:
        # Of its own process: Ray is one thing in each, and other tests have a cluster in this.
        done = in_a_process(*words, "--ray", at)
    assert not done.returncode, done.stderr
    parents = {path.read_text() for path in tmp_path.glob("*.parent")}
    assert len(parents) == 2  # an actor's parent is its node
    prepare("table:clips.csv", {MEETING: {}}, store="plain", workers=0)
    assert contents(tmp_path / "plain") == contents(tmp_path / "rayed")


@pytest.mark.slow
def test_ctrl_c_ends_the_actors_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "b.closed").touch()
    store = tmp_path / "store"
    words = ["prepare", "table:clips.csv", "--extract", GATED, "--store", store]

    def one_is_there() -> bool:
        return len(list(store.glob("*/*.npz"))) == 1

    said = interrupt([*words, "--ray", "local", "--workers", "2"], when=one_is_there, cwd=tmp_path)
    assert "The same command goes on" in said
    (tmp_path / "b.closed").unlink()
    again = prepare("table:clips.csv", {GATED: {}}, store=store, workers=0)
    assert (again.skipped, again.extracted) == (1, 1)
    prepare("table:clips.csv", {GATED: {}}, store="whole", workers=0)
    assert contents(tmp_path / "whole") == contents(store)
