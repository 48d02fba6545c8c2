import json
import wave
from pathlib import Path

import numpy as np
import pytest

from traitscope.cli import main
from traitscope.cli.prepare import by_extractor
from traitscope.errors import ConfigError

DECLARED = "kind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A corpus of three sounds and one file that is none."""
    for name in "abc":
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(np.arange(8000, dtype="<i2").tobytes())
    (tmp_path / "d [1].wav").write_text("no sound")
    path = tmp_path / "clips.csv"
    path.write_text("clip,openness\na,0.1\nb,0.2\nc,0.3\nd [1],0.4\n")
    (tmp_path / "clips.yaml").write_text(DECLARED)
    return path


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_a_failed_clip_is_named_and_the_exit_code_is_1(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = table.parent / "store"
    arguments = (
        *("prepare", f"table:{table}", "--store", store, "--extract", "short_term"),
        *("short_term.segments=4", "--workers", "0"),
    )
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    assert "4 clips: 4 worked on" in out
    assert "1 undecodable" in out
    assert "failed: d [1]: short_term: undecodable: " in err
    assert run(*arguments) == 1
    assert "1 clip failed before and would fail again; to try: --retry" in capsys.readouterr().out
    assert run(*arguments, "--retry", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["clips"], summary["skipped"], summary["extracted"]) == (4, 3, 1)
    assert summary["failed"] == ["d [1]"]
    assert summary["features"][0]["ok"] == 3
    assert summary["failures"][0]["status"] == "undecodable"

    assert run("features", "show", store) == 0
    assert "3 ok, 1 undecodable" in capsys.readouterr().out
    assert run("features", "show", store, "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["fingerprint"]["config"]["segments"] == 4
    assert entry["statuses"] == {"ok": 3, "undecodable": 1}
    assert run("features", "show", store, "--clip", "a") == 0
    out = capsys.readouterr().out
    assert "4 x " in out
    assert "columns: " in out
    assert run("features", "show", store, "--clip", "a", "--json") == 0
    (stream,) = json.loads(capsys.readouterr().out)
    assert stream["shape"][0] == 4
    assert len(stream["columns"]) == stream["shape"][1]
    assert run("features", "show", store, "--clip", "d [1]") == 0
    assert "undecodable" in capsys.readouterr().out
    assert run("features", "show", store, "--clip", "d") == 2
    assert "There is no clip 'd' in" in capsys.readouterr().err


def test_all_clips_done_is_exit_code_0(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text("clip,openness\na,0.1\nb,0.2\n")
    arguments = ("prepare", f"table:{table}", "--store", table.parent / "store")
    assert run(*arguments, "--extract", "short_term", "--workers", "2") == 0
    out, err = capsys.readouterr()
    assert "none lacking" in out
    assert "failed:" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say what to extract: either --extract"),
        (("--extract", "short_term", "--for", "x"), "Say what to extract: either --extract"),
        (("--extract", "short"), "There is no 'short' in extract. Did you mean 'short_term'"),
        (("--extract", "short_term", "faces.rate=5"), "'faces.rate=5' has no effect"),
        (
            ("--extract", "short_term", "short_term.segment=5"),
            "unknown key 'segment'; did you mean",
        ),
        (("--for", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    store = table.parent / "store"
    assert run("prepare", f"table:{table}", "--store", store, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert not store.exists()


def test_a_clip_that_lacks_several_features_for_one_reason_is_one_line(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--store", table.parent / "store", "--extract", "short_term,mid_term")
    assert run("prepare", f"table:{table}", *arguments, "--workers", "0") == 1
    err = capsys.readouterr().err
    assert err.count("failed: ") == 1
    assert "failed: d [1]: short_term, mid_term: undecodable: " in err


def test_many_failures_are_counted(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text("clip,openness\n" + "".join(f"x{n},0.1\n" for n in range(15)))
    store = table.parent / "store"
    assert run("prepare", f"table:{table}", "--store", store, "--extract", "short_term") == 1
    err = capsys.readouterr().err
    assert err.count("failed: x") == 10
    assert "and 5 more failures; all of them are in status.csv" in err


def test_an_empty_store_says_how_to_fill_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("features", "show", tmp_path / "nowhere") == 2
    assert "There are no features in" in capsys.readouterr().err


def test_settings_go_to_their_extractor_even_if_its_name_has_dots() -> None:
    names = ["faces", "my_lab.faces"]
    settings = ["faces.rate=2", "my_lab.faces.size=8", "my_lab.faces.select=central"]
    assert by_extractor(names, settings) == {
        "faces": {"rate": 2},
        "my_lab.faces": {"size": 8, "select": "central"},
    }
    with pytest.raises(ConfigError, match="has no effect"):
        by_extractor(names, ["rate=2"])


def test_a_message_is_shown_once() -> None:
    import logging

    from traitscope.cli._shared import _once

    is_new = _once()
    records = [logging.makeLogRecord({"msg": text}) for text in ("dlib", "dlib", "mediapipe")]
    assert [is_new(record) for record in records] == [True, False, True]
