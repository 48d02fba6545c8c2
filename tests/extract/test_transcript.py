"""Where words are looked for, what is kept of subtitles, and what an empty transcript is."""

from pathlib import Path

import pytest

from traitscope.errors import ClipError
from traitscope.extract.transcript import cues, find_transcript, joined, read_words
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request
from traitscope.types import Clip, Stream

SRT = """\ufeff1
00:00:00,500 --> 00:00:02,000
<i>So</i>, hello
there.

2
00:00:02,000 --> 00:00:04,500
{\\an8}I am  Ann &amp; Bob.
3
00:01:00,000 --> 00:01:02,000
Bye.
"""
VTT = """WEBVTT - a title

NOTE this is
not said

STYLE
::cue { color: red }

intro
00:00.000 --> 00:01.000 align:start
<v Ann>Hi, I'm Ann.</v>

00:01.000 --> 00:02.000
Hi, I'm Ann.

1:00:00.000 --> 1:00:01.000
Later.
"""


def words(clip: Clip, **settings: str) -> Stream | ClipError:
    request = make_request("transcript", settings)
    return extract_clip(clip, [request])[request.key]


def test_the_corpus_counts_first_and_needs_no_media(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from the file")
    stream = words(Clip("a", tmp_path / "a.mp4", transcript=" from the corpus "))
    assert isinstance(stream, Stream)
    assert stream.values.tolist() == ["from the corpus"]
    assert stream.info == {"from": "corpus", "words": 3}
    assert words(Clip("b", transcript="x")).values.tolist() == ["x"]


def test_a_known_empty_transcript_is_data() -> None:
    stream = words(Clip("a", transcript=""))
    assert isinstance(stream, Stream)
    assert stream.values.tolist() == [""]
    assert stream.coverage == 1


def test_no_words_anywhere_is_a_named_failure(tmp_path: Path) -> None:
    failure = words(Clip("a", tmp_path / "a.mp4"))
    assert isinstance(failure, ClipError)
    assert failure.status == "no_text"
    assert "as a.txt, or give it with --text" in str(failure)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["x.000.txt"], "x.000.txt"),
        (["x.000.mp4.txt"], "x.000.mp4.txt"),
        (["x.000.vtt", "x.000.srt"], "x.000.srt"),
        (["x.000.de.txt", "x.000.en.txt"], "x.000.en.txt"),
    ],
)
def test_the_file_beside_the_media_is_found(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    assert find_transcript(Clip("a", tmp_path / "x.000.mp4"))[1] == found


def test_another_language_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "x.de.txt").write_text("Hallo")
    (tmp_path / "x.txt").write_text("Hello")
    assert find_transcript(Clip("a", tmp_path / "x.mp4"), language="de")[0] == "Hallo"
    assert find_transcript(Clip("a", tmp_path / "x.mp4"))[0] == "Hello"


def test_subtitles_are_read_as_words_alone() -> None:
    assert joined(cues(SRT.lstrip("\ufeff"))) == "So, hello there. I am Ann & Bob. Bye."
    assert joined(cues(VTT)) == "Hi, I'm Ann. Later."
    assert [(cue.start, cue.end) for cue in cues(VTT)][-1] == (3600.0, 3601.0)


def test_a_part_of_a_file_gets_its_own_cues(tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text(SRT, encoding="utf-8")
    clip = Clip("a", tmp_path / "x.mp4", start=2.0, end=10.0)
    assert find_transcript(clip)[0] == "I am Ann & Bob."
    (tmp_path / "x.srt").rename(tmp_path / "x.txt")
    with pytest.raises(ClipError, match="holds the words of a whole file"):
        find_transcript(clip)


def test_a_file_of_another_encoding_is_a_named_failure(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("schön".encode("latin-1"))
    with pytest.raises(ClipError, match="is not UTF-8 text") as caught:
        read_words(tmp_path / "x.txt")
    assert caught.value.status == "no_text"
