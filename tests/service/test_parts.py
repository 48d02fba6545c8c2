"""Parts of the server by themselves: forms in any pieces, rates, lines, pages, PDF."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.serving import CARD, result
from traitscope.service.bench import Order, without
from traitscope.service.forms import FormReader
from traitscope.service.jobs import FullError, Job, Jobs
from traitscope.service.lanes import Failure
from traitscope.service.limits import Rate
from traitscope.service.pdf import write_pdf
from traitscope.service.refusals import RefusedError
from traitscope.service.server import Silence
from traitscope.service.uploads import harmless
from traitscope.service.views import compare, views_of

FORM = (
    '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nrun\r\n'
    '--b\r\nContent-Disposition: form-data; name="file"; filename="..\\\\é \\"x\\".mp4"\r\n'
    "Content-Type: video/mp4\r\n\r\n\r\n--bytes--\r\n\x00\r\n--b--\r\n"
).encode()


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.name, self.content = "", b""

    def begin(self, name: str) -> None:
        self.name = name

    def write(self, piece: bytes) -> None:
        self.content += piece


@given(st.lists(st.integers(1, len(FORM) - 1), max_size=12))
@hypothesis_settings(max_examples=30)
def test_a_form_reads_the_same_in_any_pieces(cuts: list[int]) -> None:
    sink = Kept()
    reader = FormReader("multipart/form-data; boundary=b", sink)
    ends = [0, *sorted(cuts), len(FORM)]
    for start, end in pairwise(ends):
        reader.feed(FORM[start:end])
    assert reader.finish() == {"model": ["run"]}
    assert sink.content == b"\r\n--bytes--\r\n\x00"
    assert harmless(sink.name) == 'é "x".mp4'


@pytest.mark.parametrize("cut", [10, 80, len(FORM) - 6])
def test_a_form_that_ends_in_the_middle_is_refused(cut: int) -> None:
    reader = FormReader("multipart/form-data; boundary=b", Kept())
    reader.feed(FORM[:cut])
    with pytest.raises(RefusedError, match="ends in the middle"):
        reader.finish()


@pytest.mark.parametrize("size", [5000, 2**20 + 1])
def test_what_stands_beside_the_recording_is_bounded(size: int) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="{"n" * 5000 if size == 5000 else "n"}"'
    reader = FormReader("multipart/form-data; boundary=b", Kept())
    with pytest.raises(RefusedError, match=r"too long|cannot be read"):
        reader.feed(f"{head}\r\n\r\n{'x' * size}\r\n--b--\r\n".encode())


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mp4", "a.mp4"),
        ("a\x00\n\u202eb.mp4", "ab.mp4"),
        ("..", "recording"),
        ("", "recording"),
        ("x" * 500 + ".mp4", "x" * 90 + ".mp4"),
    ],
)
def test_names_of_senders_are_made_harmless(given_name: str, kept: str) -> None:
    assert harmless(given_name) == kept


def test_a_bucket_fills_evenly_and_refusals_take_nothing() -> None:
    now = [0.0]
    rate = Rate(60, clock=lambda: now[0])
    assert [rate.wait("a") for _ in range(61)] == [0] * 60 + [1]
    assert rate.wait("b") == 0
    now[0] = 1.5
    assert [rate.wait("a"), rate.wait("a")] == [0, 1]


def test_who_sends_one_short_request_after_the_other_is_not_silent() -> None:
    answered = [SimpleNamespace(response_complete=True) for _ in range(9)]
    busy = SimpleNamespace(response_complete=False)
    silence = Silence()
    assert [silence.after(5.0, None) for _ in range(2)] == [5.0, 10.0]  # nothing but a connection
    assert [silence.after(5.0, cycle) for cycle in answered] == [0.0] * 9
    assert [silence.after(5.0, answered[-1]) for _ in range(2)] == [5.0, 10.0]
    assert [silence.after(5.0, busy) for _ in range(3)] == [0.0] * 3


def test_paths_of_this_machine_are_replaced_wherever_they_stand() -> None:
    tree = {"reason": "/up/x.mp4 in /up", "list": ["a /runs/a b", 3, None]}
    hidden = {"/up": "here", "/up/x.mp4": "x", "/runs/a": "a"}
    assert without(tree, hidden) == {"reason": "x in here", "list": ["a a b", 3, None]}


def job(path: Path | None = None) -> Job:
    return Job(("run",), "a.mp4", None, path, "somebody")


def test_a_line_is_bounded_and_its_jobs_come_in_order() -> None:
    jobs = Jobs(waiting=2, kept=10, answer_seconds=60)
    first, second = jobs.add(job()), jobs.add(job())
    with pytest.raises(FullError):
        jobs.add(job())
    assert [jobs.place_of(one) for one in (first, second)] == [0, 1]
    assert jobs.take(0) is first
    assert jobs.take(0) is second
    assert jobs.take(0) is None


def test_answers_go_when_they_are_old_or_too_many(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    jobs = Jobs(waiting=9, kept=1, answer_seconds=60, media_seconds=1e9)
    old, new = jobs.add(job(path)), jobs.add(job())
    for one in (old, new):
        jobs.finish(one, failure=Failure("no_face", "None."))
    jobs.sweep()
    assert (jobs.find(old.id), jobs.find(new.id)) == (None, new)
    assert not path.exists()
    assert new.finished is not None
    new.finished -= 61  # as if a minute had passed
    jobs.sweep()
    assert jobs.find(new.id) is None


def answer(**clip: Any) -> dict[str, Any]:
    return result(Order("run", None, "a.mp4"), **clip)


FULL = {
    "intervals": {"openness": {"low": 0.4, "high": 0.6, "level": 0.9}},
    "percentiles": {"openness": 63.2},
    "warnings": [{"kind": "silence", "sentence": "There is hardly any sound."}],
    "notes": ["truncated: it ends early"],
    "timeline": {
        "starts": [0.0, 5.0, 10.0],
        "ends": [5.0, 10.0, 15.0],
        "scores": {"openness": [0.4, None, 0.6]},
        "spread": {"openness": 0.1},
    },
}


def test_a_view_says_score_interval_percentile_and_line() -> None:
    (view,) = views_of([answer(**FULL)], {"run": CARD})
    (row,) = view.rows
    assert (row.text, row.interval) == ("0.500", "0.40 to 0.60 (90%)")
    assert (row.at, row.band, row.percentile) == (200.0, (160.0, 80.0), "higher than 63 % of them")
    assert view.tracks[0].path.count("M") == 2  # a window without a score parts the line
    assert view.windows[1] == ["5.0–10.0", "–"]
    assert compare([view, view]) == [("openness", ["0.500 (0.40 to 0.60 (90%))"] * 2)]


@pytest.mark.slow
def test_a_pdf_has_a_page_for_each_run() -> None:
    views = views_of([answer(**FULL), answer(status="no_face", scores={}, reason="$None$")], {})
    content = write_pdf(views)
    assert content.startswith(b"%PDF")
    assert b"/Count 2" in content
