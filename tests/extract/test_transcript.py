"""Where words are looked for, what is kept of subtitles, and what an empty transcript is."""

from pathlib import Path

import pytest

from traitscope.errors import ClipError
from traitscope.extract.transcript import find_transcript, read_words
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
        (["x.000.json", "x.000.SRT"], "x.000.SRT"),
        (["x.000.srt", "x.000.txt"], "x.000.txt"),
        (["x.000.de.txt", "x.000.en.txt"], "x.000.en.txt"),
    ],
)
def test_the_file_beside_the_media_is_found(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).write_text("" if name.endswith(".txt") else SRT)
    assert find_transcript(Clip("a", tmp_path / "x.000.mp4"))[1] == found


def test_another_language_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "x.de.txt").write_text("Hallo")
    (tmp_path / "x.txt").write_text("Hello")
    assert find_transcript(Clip("a", tmp_path / "x.mp4"), language="de")[0] == "Hallo"
    assert find_transcript(Clip("a", tmp_path / "x.mp4"))[0] == "Hello"


def test_subtitles_are_read_as_words_alone(tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text(SRT, encoding="utf-8")
    assert read_words(tmp_path / "x.srt").words == "So, hello there. I am Ann & Bob. Bye."


def test_a_part_of_a_file_gets_its_own_cues(tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text(SRT, encoding="utf-8")
    clip = Clip("a", tmp_path / "x.mp4", start=2.0, end=10.0)
    assert find_transcript(clip)[0] == "I am Ann & Bob."
    (tmp_path / "x.srt").rename(tmp_path / "x.txt")
    assert find_transcript(clip)[0] == "I am Ann & Bob."  # its content decides, not its name
    (tmp_path / "x.txt").write_text("So, hello")
    with pytest.raises(ClipError, match="holds the words of a whole file"):
        find_transcript(clip)


def test_the_speaker_is_a_setting_of_the_stream_and_its_note_goes_along(tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nSPEAKER_00: hello there\n\n"
        "2\n00:00:01,000 --> 00:00:02,000\nSPEAKER_01: tell me\n"
    )
    clip = Clip("a", tmp_path / "x.mp4")
    noted = "speakers: 2 speak (SPEAKER_00, SPEAKER_01); words of all"
    assert words(clip).info == {"from": "x.srt", "words": 4, "notes": [noted]}
    assert words(clip, speaker="SPEAKER_01").values.tolist() == ["tell me"]
    counts = make_request("text_counts", {"speaker": "SPEAKER_01"})
    stream = extract_clip(clip, [counts])[counts.key]
    assert stream.values[0, stream.columns.index("words")] == 2
    assert make_request("transcript", {}).key != make_request("transcript", {"speaker": "a"}).key
    assert make_request("text_counts", {}).key != counts.key


def test_words_of_the_corpus_lose_their_labels_too() -> None:
    clip = Clip("a", transcript="ANN: hello [UNKNOWN]\nBOB: yes\nANN: so")
    assert find_transcript(clip).words == "hello [UNKNOWN] yes so"
    assert find_transcript(clip, speaker="Ann").words == "hello [UNKNOWN] so"
    assert find_transcript(Clip("a", transcript="x"), speaker="Ann") == ("x", "corpus", ())


def test_a_file_that_is_not_there_is_a_named_failure(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="cannot be read") as caught:
        read_words(tmp_path / "absent.txt")
    assert caught.value.status == "no_text"
