"""What holds for every verb: help, misspelt names, files that cannot be used, narrow terminals."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import traitscope
from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound, write_video
from traitscope.cli import VERBS
from traitscope.cli._shared import write_table
from traitscope.types import TRAITS

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_list_of_verbs_is_whole(type_in: Run, arguments: list[str]) -> None:
    _, out, err = type_in(*arguments)
    longest = max(map(len, VERBS))
    for verb, about in VERBS.items():
        assert f"{verb:{longest}}  {about}\n" in out + err


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_is_about_the_verb_and_can_be_copied(type_in: Run, verb: str) -> None:
    code, out, _ = type_in(verb, "--help")
    assert code == 0
    assert "completion" not in out
    assert "..." not in out.partition("Commands:")[2]
    examples = [line for line in out.splitlines() if line.startswith("  traitscope ")]
    assert examples or "Commands:" in out
    assert not any(line.endswith("-") for line in examples)


def test_an_example_stays_on_one_line(type_in: Run) -> None:
    _, out, _ = type_in("evaluate", "--help")
    typed = "--predictions theirs.csv --labels fi:/data/fi --fit-on train+validation\n"
    assert f"  traitscope evaluate {typed}" in out


def test_the_version_is_told(type_in: Run) -> None:
    assert type_in("--version")[:2] == (0, f"traitscope {traitscope.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst", "models"], "There is no 'lst' in the verbs. Did you mean 'ls'?"),
        (["ls", "model"], "There is no 'model' in what can be listed. Did you mean 'models'?"),
        (["ls"], "Say what to list, for example: traitscope ls models. There are: models"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(
    type_in: Run, arguments: list[str], message: str
) -> None:
    code, out, err = type_in(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")


@pytest.mark.parametrize("verb", [["report"], ["compare", "runs/b"], ["fuse", "--to", "ab"]])
def test_a_run_that_is_not_there_is_named(
    type_in: Run, verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = type_in(*verb[:1], "runs/a", *verb[1:])
    assert (code, out) == (2, "")
    assert err.startswith("error: There is no runs/a. Name a run that traitscope evaluate has ")


def test_what_was_stopped_says_how_to_go_on(type_in: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("traitscope.doctor.examine", stop)
    code, _, err = type_in("doctor")
    assert code == 130
    assert err.startswith("stopped; what was finished is kept. The same command goes on")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that listens."""
    return train_listener(tmp_path_factory.mktemp("listening"))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "новые 録画"
    (folder / "nothing").mkdir(parents=True)
    for name in ("b é.wav", "a.wav"):
        write_sound(folder / name, tone(0.5))
    (folder / "notes.txt").write_text("not a recording")
    return folder


def test_a_folder_of_recordings_is_scored_file_by_file(
    type_in: Run, run_folder: Path, recordings: Path
) -> None:
    table = recordings / "made" / "scores.csv"
    code, out, err = type_in("predict", run_folder, recordings, "--csv", table)
    assert code == 0, err
    clips = json.loads(out)["clips"]
    assert [(clip["clip"], clip["status"]) for clip in clips] == [
        ("a.wav", "ok"),
        ("b é.wav", "ok"),
    ]
    assert "b é.wav" in table.read_text(encoding="utf-8")
    code, _, err = type_in("predict", run_folder, recordings / "nothing")
    assert code == 1
    assert "not scored: nothing: " in err


def test_every_file_of_a_mixed_folder_is_a_row_or_named_as_left_out(
    type_in: Run, run_folder: Path, recordings: Path
) -> None:
    talk = write_video(recordings / "talk.mp4", frames=25, sound=tone(1.0))
    for name in ("REC1.MTS", "no_suffix", "d.ogv", "nothing/a.wav", "nothing/e.mp4"):
        shutil.copy(talk, recordings / name)
    write_video(recordings / "mute.mkv", frames=25)
    (recordings / "damaged.mp4").write_bytes(talk.read_bytes()[:300])
    (recordings / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    (recordings / "talk.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (recordings / "scores.csv").write_text("clip,openness\na,0.5\n")
    (recordings / "loop").symlink_to(recordings)
    code, out, err = type_in("predict", run_folder, recordings, "--recursive")
    assert code == 1
    tree = json.loads(out)
    rows = {clip["clip"]: clip for clip in tree["clips"]}
    scored = {name for name, row in rows.items() if row["scores"]}
    folder = recordings.name
    assert scored == {
        *("REC1.MTS", "no_suffix", "d.ogv", "talk.mp4", "b é.wav", "e.mp4"),
        *(f"{folder}_a.wav", "nothing_a.wav"),
    }
    assert {name: row["status"] for name, row in rows.items() if not row["scores"]} == {
        "damaged.mp4": "undecodable",
        "mute.mkv": "no_audio",
    }
    assert all(row["reason"] for row in rows.values() if not row["scores"])
    left_out = {Path(out["file"]).name: out["reason"] for out in tree["left_out"]}
    assert left_out == {
        "loop": f"the same folder as {recordings}",
        "notes.txt": "text",
        "scores.csv": "a table",
        "talk.jpg": "a picture beside a recording",
        "talk.srt": "words beside a recording",
    }
    assert f"left out (a table): {recordings / 'scores.csv'}" in err
    assert len(rows) + len(left_out) == sum(
        1 for f in recordings.rglob("*") if f != recordings / "nothing"
    )


def test_a_table_that_cannot_be_written_is_told_before_anything_is_scored(
    type_in: Run, run_folder: Path, recordings: Path
) -> None:
    notes = recordings / "notes.txt"
    code, out, err = type_in(
        "predict", run_folder, recordings / "a.wav", "--csv", notes / "scores.csv"
    )
    assert (code, out) == (2, "")
    assert f"error: {notes}: File exists. Check the path.\n" in err
    assert "clips: 1 of 1" not in err
    assert "Traceback" not in err


def test_a_training_that_was_stopped_is_used_with_a_warning(
    type_in: Run, run_folder: Path, recordings: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "stopped"))
    (run / "metrics.json").unlink()
    (run / "state.ckpt").touch()  # a network's; only its place matters here
    for verb in (["predict", run, recordings / "a.wav"], ["evaluate", run, "--split", "train"]):
        _, _, err = type_in(*verb)
        assert f"warning: the training of {run} was stopped" in err
        assert f"--to {run} --resume" in err
    _, _, err = type_in("predict", run_folder, recordings / "a.wav")
    assert "warning" not in err


def test_words_for_a_run_that_reads_none_are_refused(
    type_in: Run, run_folder: Path, recordings: Path
) -> None:
    code, _, err = type_in("predict", run_folder, "--text", recordings / "notes.txt")
    assert code == 2
    assert "reads no words (it reads short_term). Leave --text out" in err


@pytest.mark.parametrize("columns", [60, 200])
def test_a_narrow_table_folds_words_and_loses_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "25")  # or Rich takes 80 columns for a dumb terminal
    monkeypatch.setenv("TERM", "dumb")
    name = "an_interview_with_a_long_name_and_no_space.mp4"
    write_table(
        ["clip", "conscientiousness", "other"],
        [[name, ".500 [.400, .600]", "x" * 40]],
        title="a title that is longer than the table",
    )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    assert lines[0].startswith("a title that is longer than the table")
    assert any(".500 [" in line for line in lines) == (columns == 200)


def test_numbers_and_statuses_stay_whole_beside_long_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name, value in (("COLUMNS", "80"), ("LINES", "25"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    name = "a recording whose name is so long that it takes the place of the others.mp4"
    scores = ["0.551"] * 5
    write_table(
        ["clip", *TRAITS[:4], "neuroticism (high = stable)", "coverage", "status"],
        [[name, *scores, "46% (mid_term)", "undecodable"]],
    )
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("0.551") == 5
    assert "(mid_term)" in out
    assert "undecodable" in out


def test_what_does_not_fit_goes_on_below_with_the_same_first_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name, value in (("COLUMNS", "80"), ("LINES", "25"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    numbers = [f"-0.{place:03d} [-0.{place:03d}, 0.{place:03d}]" for place in range(100, 110)]
    write_table(
        ["attribute", "value", *(f"predictions {place}" for place in range(10))],
        [["GENDER", "1", *numbers], ["GENDER", "2", *numbers]],
        keys=2,
    )
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = out.split()
    for place in range(100, 110):
        for word in (f"-0.{place}", f"[-0.{place},", f"0.{place}]"):
            assert words.count(word) == 2
    parts = words.count("attribute")
    assert parts > 1
    assert words.count("GENDER") == 2 * parts
    assert words.count("1") == words.count("2") == parts + 1  # and in a heading


def test_a_table_in_a_pipe_has_one_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(["clip", "reason"], [["a.mp4", "why not " * 40]])
    assert f"a.mp4   {('why not ' * 40).strip()}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "expected"), [("traitscope tr", "train"), ("traitscope train --re", "--resume")]
)
def test_a_shell_completes_verbs_and_options(typed: str, expected: str) -> None:
    # What the shell asks is the installed command, by its own name.
    command = Path(sys.executable).with_name("traitscope")
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run(
        [command],
        env={**os.environ, **asked, "_TRAITSCOPE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [expected], done.stderr
