"""``traitscope demo``: what it says of its steps and the time left, and what it leaves behind."""

import re
from pathlib import Path

import pytest

from tests.support.command_line import type_in
from traitscope.cli.demo import STEPS, UNSURE_SECONDS, Countdown, Step
from traitscope.corpora.synthetic import Config
from traitscope.experiments import demonstration

PLAN = {"one": Step("making one", 30), "two": Step("making two", 60)}


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_before_anything_is_known_the_plan_is_what_is_left() -> None:
    assert Countdown(PLAN, Clock()).left() == 90


def test_a_slow_machine_has_as_much_more_to_wait_for(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    countdown = Countdown(PLAN, clock)
    with countdown.stage("one") as hook:
        hook(0, 10, "a")
        clock.now = 2 * 30 + UNSURE_SECONDS  # twice as slow as planned
        hook(10, 10, "j")
    assert countdown.left() == pytest.approx(2 * 60)
    with countdown.stage("two") as hook:
        hook(0, 4, "a")
        clock.now += 60
        hook(2, 4, "b")
        assert countdown.left() == pytest.approx(60, rel=0.01)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Step 1 of 2: making one (about 2 min left in all)"
    assert "Step 2 of 2: making two (about 2 min left in all)" in lines


def test_what_was_there_before_is_not_waited_for() -> None:
    clock = Clock()
    countdown = Countdown(PLAN, clock)
    with countdown.stage("one"):
        clock.now = 1.0  # all of it was there, so nobody calls
    assert countdown.left() == pytest.approx(60, rel=0.2)
    with countdown.stage("two") as hook:
        hook(3, 4, "three were there")
        assert countdown.left() == pytest.approx(15, rel=0.2)


def test_all_is_never_done_before_the_step_at_work() -> None:
    clock = Clock()
    countdown = Countdown(PLAN, clock)
    with countdown.stage("one"):
        pass
    with countdown.stage("two") as hook:
        hook(0, 10, "a")
        clock.now = 600.0  # ten times as slow as planned, which the first minutes do not show
        hook(1, 10, "b")
        assert countdown.left() >= 9 * 600


@pytest.mark.slow
def test_the_demo_says_each_step_and_leaves_a_page_and_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Config(
        subjects=8, sources_per_subject=1, clips_per_source=2, seconds=1.0, size=192, workers=1
    )
    monkeypatch.setattr(demonstration, "SHAPE", small)
    done = type_in("demo", "--to", tmp_path / "demo", "--backend", "dlib")
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert said[0].startswith(f"The whole job on made-up people, in {len(STEPS)} steps")
    steps = re.findall(
        r"^Step (\d) of 5: (.*) \(about \d+ (?:s|min) left in all\)$", done.stderr, re.M
    )
    assert steps == [(str(n), step.about) for n, step in enumerate(STEPS.values(), 1)]
    assert any(re.match(r"videos: \d+ of 16", line) for line in said)
    assert (tmp_path / "demo/report.html").is_file()
    assert (tmp_path / "demo/run/model.safetensors").is_file()
    assert "functionals" not in {path.name for path in (tmp_path / "demo/runs").iterdir()}
    assert "audio_lstm" in done.stdout
