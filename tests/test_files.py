"""Files appear whole or not at all, and who reads a damaged one is told what to do about that."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import type_in
from traitscope.errors import ConfigError, DataError
from traitscope.files import (
    alone,
    read_json,
    refuse_used,
    remove_drafts,
    replacing,
    write_csv,
    write_json,
    write_text,
)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_at_the_end_and_until_then_the_old_one_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "old")
    with replacing(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
        assert draft.parent == path.parent  # a rename is one step only within a file system
    assert path.read_text() == "new"
    assert listed(path.parent) == ["a.txt"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_the_file_as_it_was_and_nothing_else(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    path = write_text(tmp_path / "a.txt", "old")

    def half(path: Path) -> None:
        with replacing(path) as draft:
            draft.write_text("ha")
            raise stop

    with pytest.raises(stop):
        half(path)
    assert (listed(tmp_path), path.read_text()) == (["a.txt"], "old")


def test_values_that_are_no_json_and_rows_that_fail_lose_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1, 2]
        raise DataError("no more")

    write_json(tmp_path / "a.json", [1])
    write_csv(tmp_path / "a.csv", ["b"], [[1]])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    with pytest.raises(DataError, match="no more"):
        write_csv(tmp_path / "a.csv", ["a", "b"], rows())
    assert read_json(tmp_path / "a.json") == [1]
    assert (tmp_path / "a.csv").read_text() == "b\n1\n"
    assert listed(tmp_path) == ["a.csv", "a.json"]


def test_two_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # it was closed last
    assert listed(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place, link = tmp_path / "elsewhere" / "a.txt", tmp_path / "link.txt"
    place.write_text("old")
    link.symlink_to(place)
    write_text(link, "new")
    assert link.is_symlink()
    assert place.read_text() == "new"
    assert listed(tmp_path) == ["elsewhere", "link.txt"]


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_csv(pipe, ["a"], [[1]])
    reader.join()
    assert read == ["a\n1\n"]
    assert pipe.is_fifo()


def test_an_error_names_the_file_and_not_its_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, replacing(path) as draft:
        draft.read_text()
    assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        (tmp_path / "b.txt").read_text()
    assert caught.value.filename == str(tmp_path / "b.txt")
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "a")


def test_drafts_of_processes_that_ended_here_are_removed_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "")
    ended, here, elsewhere = f".here-{2**22 + 1}-a.tmp", f".here-{os.getpid()}-a.tmp", ".b-1-a.tmp"
    for name in (ended, here, elsewhere):
        (tmp_path / name).write_bytes(b"half")
    remove_drafts(tmp_path)
    assert listed(tmp_path) == sorted([here, elsewhere])


def test_json_comes_back_readable_in_every_script(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"clip": "çlip", "scores": [0.1]})
    assert read_json(path) == {"clip": "çlip", "scores": [0.1]}
    assert "çlip" in path.read_text(encoding="utf-8")
    assert path.read_bytes().endswith(b"\n")


def test_who_reads_json_says_what_to_do_and_no_file_is_taken_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(DataError, match=r"report\.json is missing\. Evaluate first\."):
        read_json(path, missing="Evaluate first.")
    path.write_text("{")
    with pytest.raises(DataError, match=r"report\.json is damaged \(.*\)\. Evaluate again\."):
        read_json(path, damaged="Evaluate again.")
    path.write_bytes(b"\xff")
    for content in (b"\xff", None):
        path.write_bytes(content) if content else path.unlink()
        with pytest.raises(DataError, match=r"Make it again") as caught:
            read_json(path)
        assert "rain" not in str(caught.value)
        assert "not finished" not in str(caught.value)


def test_a_folder_with_something_in_it_is_not_written_over(tmp_path: Path) -> None:
    refuse_used(tmp_path)
    refuse_used(tmp_path / "new")
    (tmp_path / "a").touch()
    for used in (tmp_path, tmp_path / "a"):
        with pytest.raises(ConfigError, match=r"there already.*--to, or x"):
            refuse_used(used, otherwise=", or x")


def test_a_folder_that_stays_empty_goes_again_and_what_is_written_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError), alone(tmp_path / "refused"):
        raise DataError("settings are wrong")
    with alone(tmp_path / "kept"):
        write_text(tmp_path / "kept" / "a.txt", "a")
    (tmp_path / "old").mkdir()
    with alone(tmp_path / "old"):
        pass
    assert listed(tmp_path) == ["kept", "old"]
    write_text(tmp_path / "file", "a")
    with pytest.raises(ConfigError, match="is there already"), alone(tmp_path / "file"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX systems alone")
def test_a_folder_is_one_process_s_until_that_has_ended_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from traitscope.files import alone\n"
        "with alone(Path('run')):\n    print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr("traitscope.files._WAIT_SECONDS", 0)
        refused = pytest.raises(ConfigError, match=r"Another process is at work in .*run")
        with refused, alone(tmp_path / "run"):
            pass
        assert listed(tmp_path) == ["run"]
        other.kill()
    with alone(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX systems alone")
@pytest.mark.parametrize("words", ["train functionals", "tune audio_lstm", "benchmark zoo_planted"])
def test_no_two_commands_fill_one_folder_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("traitscope.files._WAIT_SECONDS", 0)
    settings = [] if words.startswith("benchmark") else ["data.corpus=synthetic:x", "data.store=x"]
    with alone(tmp_path / "run"):
        done = type_in(*words.split(), *settings, "--to", tmp_path / "run")
    assert done.returncode == 2
    assert "Another process is at work" in done.stderr
