"""Long work in a pipe or a log file: a line at once, now and then, and at the end."""

from itertools import chain, repeat

import pytest

from traitscope.cli._shared import progress, told_in_lines


def told(capsys: pytest.CaptureFixture[str], *news: tuple[int, int, float]) -> list[str]:
    """The lines about (done, total) at these seconds."""
    moments = chain((second for _, _, second in news), repeat(0.0))
    hook = told_in_lines("clips", clock=lambda: next(moments))
    for done, total, _ in news:
        hook(done, total, f"c{done}")
    return capsys.readouterr().err.splitlines()


def test_a_pipe_hears_at_once_now_and_then_and_at_the_end(capsys) -> None:
    every_second = [(done, 25, 100.0 + done) for done in range(1, 26)]
    assert told(capsys, *every_second) == [
        "clips: 1 of 25 (c1)",
        "clips: 11 of 25, 1.0/s, about 14 s left (c11)",
        "clips: 21 of 25, 1.0/s, about 4 s left (c21)",
        "clips: 25 of 25 in 24 s",
    ]


def test_what_was_there_before_says_nothing_of_the_pace(capsys) -> None:
    assert told(capsys, (90, 100, 0.0), (92, 100, 20.0))[1] == (
        "clips: 92 of 100, 0.1/s, about 80 s left (c92)"
    )


def test_work_that_has_nothing_to_do_is_not_told(capsys) -> None:
    with progress("clips"):
        pass
    assert capsys.readouterr().err == ""
