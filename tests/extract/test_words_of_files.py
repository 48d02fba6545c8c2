"""What people's files of words say: the words of every kind, and never times, keys or labels."""

import json
from pathlib import Path

import pytest

from tests.support.word_files import CSV, HELLO, KINDS, MICRODVD, SRT, TEXTGRID, TSV
from traitscope.errors import ClipError
from traitscope.extract.transcript import Transcript, find_transcript, holds_words, read_words
from traitscope.types import Clip


def said(tmp_path: Path, text: str, name: str = "x.srt", **settings: str) -> Transcript:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_words(path, **settings)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_its_words_and_nothing_else(tmp_path: Path, name: str) -> None:
    found = said(tmp_path, KINDS[name], name)
    assert " ".join(found.words.split()) == HELLO
    assert found.origin == name
    assert found.notes == ()


@pytest.mark.parametrize(
    "name", ["a.srt", "b.vtt", "c.sbv", "e.sub", "g.lrc", "j.ass", "l.ttml", "q.tsv", "t.json"]
)
def test_a_part_of_a_recording_gets_its_part_of_every_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"talk{Path(name).suffix}"
    path.write_text(KINDS[name], encoding="utf-8")
    first = find_transcript(Clip("a", tmp_path / "talk.mp4", end=2.0))
    assert (first.words, first.origin) == ("hello there", path.name)
    assert find_transcript(Clip("a", tmp_path / "talk.mp4", start=2.0)).words == "my name is Ann"
    assert find_transcript(Clip("a", tmp_path / "talk.mp4", start=60.0)).words == ""


def test_frames_without_a_rate_are_no_times_of_a_part(tmp_path: Path) -> None:
    (tmp_path / "talk.sub").write_text(MICRODVD.partition("\n")[2])
    assert find_transcript(Clip("a", tmp_path / "talk.mp4")).words == HELLO
    with pytest.raises(ClipError, match="without their times"):
        find_transcript(Clip("a", tmp_path / "talk.mp4", start=2.0))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "04_rolling_captions/auto.vtt",
            "so today I want to talk about my first week at the new school",
        ),
        ("05_no_cue_is_silence/crlf_blank.srt", "hello there second paragraph Ann"),
        ("05_no_cue_is_silence/noms.srt", HELLO),
        ("05_no_cue_is_silence/spaces.srt", HELLO),
        ("06_markup_counted_as_words/w.ass", HELLO),
        ("06_markup_counted_as_words/w.json", HELLO),
        ("06_markup_counted_as_words/w.tsv", HELLO),
        ("06_markup_counted_as_words/whisperx_spk.srt", "hello there tell me"),
    ],
)
def test_the_cases_give_their_right_words(shared: Path, name: str, words: str) -> None:
    assert read_words(shared / "data" / "cases" / name).words == words


@pytest.mark.shared
def test_the_case_of_plain_words_named_as_subtitles_is_an_error(shared: Path) -> None:
    path = shared / "data" / "cases" / "05_no_cue_is_silence" / "plain_named.srt"
    with pytest.raises(ClipError, match=r"No cue found in .*name it plain_named\.txt"):
        read_words(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.srt", HELLO),
        ("empty.srt", ""),
        ("empty.vtt", "WEBVTT\n\n"),
        ("empty.tsv", "start\tend\ttext\n"),
        ("empty.json", '{"text": "", "segments": []}'),
        (
            "empty.TextGrid",
            'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n4\n<exists>\n0\n',
        ),
    ],
)
def test_no_cue_is_an_error_with_its_cure(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ClipError, match="No cue found in") as caught:
        said(tmp_path, text, name)
    assert caught.value.status == "no_text"
    assert f"name it {Path(name).stem}.txt" in str(caught.value)


def test_sound_notes_alone_are_known_to_be_no_words(tmp_path: Path) -> None:
    assert said(tmp_path, "1\n00:00:00,000 --> 00:00:02,000\n[Music]\n").words == ""
    assert said(tmp_path, "", "x.txt").words == ""


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", '{"fps": 25, "frames": [1, 2]}', r"JSON without the segments.*fps, frames"),
        ("b.json", '{"text": "hello', "damaged JSON"),
        ("c.txt", '[{"person": 1}]', "JSON without the segments"),
        ("d.xml", "<?xml version='1.0'?><music><note>a</note></music>", "XML of another kind"),
        ("e.txt", "<!DOCTYPE html><html><p>Not found</p></html>", "a page or XML"),
        ("f.ttml", "<tt><body><p begin='0s' end='1s'>hello</body></tt>", "damaged XML"),
        ("f2.xml", "<timedtext><p t='soon'>hello</p></timedtext>", "its times cannot be read"),
        ("g.json", "[" * 100_000, "damaged JSON"),
        ("g.TextGrid", TEXTGRID[:400], "cut off"),
        ("h.rtf", r"{\rtf1\ansi hello}", "it is not words"),
        ("i.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:1", "not words"),
        ("j.docx", "hello", r"of a kind that is not read \(.docx\)"),
        ("k.srt", SRT.replace("00:00:02,000 -->", "0x:00 -->"), "no time that can be read"),
        ("l.tsv", TSV + "a\tb\tc\n", "row 3 has not two times"),
        ("m.eaf", "<?xml version='1.0'?><ANNOTATION_DOCUMENT/>", "XML of another kind"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    with pytest.raises(ClipError, match=reason) as caught:
        said(tmp_path, text, name)
    assert caught.value.status == "no_text"
    assert name in str(caught.value)
    assert "plain text (.txt), SRT, WebVTT" in str(caught.value)


def test_bytes_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "x.sub").write_bytes(b"\0\0\1\xba" * 100)
    with pytest.raises(ClipError, match="is no text"):
        read_words(tmp_path / "x.sub")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("name", ["x.srt", "x.txt"])
def test_encodings_of_real_files_are_read(tmp_path: Path, encoding: str, name: str) -> None:
    words = "schön, “so” ist’s"
    text = f"1\n00:00:00,000 --> 00:00:02,000\n{words}\n" if name == "x.srt" else words
    (tmp_path / name).write_bytes(text.encode(encoding))
    found = read_words(tmp_path / name)
    assert found.words == words
    assert found.notes == (
        (f"encoding: {name} was read as Windows-1252",) if encoding == "cp1252" else ()
    )


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_letters_by_chance_are_not_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.txt").write_bytes("добрый день, меня зовут Анна".encode(encoding))
    with pytest.raises(ClipError, match="Save it as UTF-8"):
        read_words(tmp_path / "x.txt")


@pytest.mark.parametrize(
    "lines",
    [
        ["00:00:00,000 --> 00:00:02,000", "00:00:02,000 --> 00:00:04,000"],
        ["00:00:00 --> 00:00:02", "00:00:02 --> 00:00:04"],
        ["00: 00: 00, 000 --> 00: 00: 02, 000", "00:00:02, 000 -->00:00:04, 000"],
        ["0:00 -> 0:02", "0:02 -> 0:04"],
        ["00:00:00.000 → 00:00:02.000", "00:00:02.000 → 00:00:04.000"],
        ["00:00:00:000 --> 00:00:02:000", "00:00:02:000 --> 00:00:04:000 X1:1 X2:3"],
    ],
)
@pytest.mark.parametrize("gap", ["\n\n", "\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_odd_lines_of_times_are_lines_of_times(
    tmp_path: Path, lines: list[str], gap: str, end: str
) -> None:
    text = f"1\n{lines[0]}\nhello there{gap}2\n{lines[1]}\nmy name is Ann\n"
    (tmp_path / "talk.srt").write_bytes(text.replace("\n", end).encode())
    assert read_words(tmp_path / "talk.srt").words == HELLO
    assert find_transcript(Clip("a", tmp_path / "talk.mp4", start=2.0)).words == "my name is Ann"


def test_words_behind_empty_lines_and_numbers_that_are_said_are_kept(tmp_path: Path) -> None:
    text = (
        "1\n00:00:00,000 --> 00:00:02,000\nI am\n\n\n42\n\n"
        "2\n00:00:02,000 --> 00:00:04,000\n7\n\n3\n00:00:04,000 --> 00:00:05,000\n\nyears\n\nold"
    )
    assert said(tmp_path, text).words == "I am 42 7 years old"


def rolling(*cues: str, header: str = "WEBVTT\n\n") -> str:
    return header + "".join(
        f"00:{number:02d}.000 --> 00:{number + 1:02d}.000\n{text}\n\n"
        for number, text in enumerate(cues)
    )


@pytest.mark.parametrize(
    ("cues", "words"),
    [
        # Two lines that roll without tags, as converters leave them.
        (["one two", "one two\nthree", "three\nfour five"], "one two three four five"),
        # With holds between, as YouTube writes them, and a line that is said twice.
        (
            ["yes", "yes\nno no", "no no", "no no\nno no", "no no", "no no\nso"],
            "yes no no no no so",
        ),
        # Lines of which each is longer by a word.
        (["so", "so today", "so today I", "so today I go"], "so today I go"),
        # Both lines joined to one.
        (
            ["so today", "so today I want", "I want to talk", "to talk now"],
            "so today I want to talk now",
        ),
        # The first cue of a roll holds two lines already.
        (["a b\nc", "c\nd", "d\ne f"], "a b c d e f"),
    ],
)
def test_captions_that_roll_give_each_word_once(
    tmp_path: Path, cues: list[str], words: str
) -> None:
    assert said(tmp_path, rolling(*cues), "x.vtt").words == words
    assert said(tmp_path, rolling(*cues, header=""), "x.srt").words == words


@pytest.mark.parametrize(
    "cues",
    [
        ["no no no", "no no no", "stop it"],
        ["I said no", "no", "no", "no"],
        ["row row\nyour boat", "row row\nyour boat", "gently down"],
        ["let it be", "whisper words", "let it be", "let it be"],
        ["that is it", "it is late", "now go", "go home", "we stay here"],
    ],
)
def test_what_is_really_said_twice_is_kept(tmp_path: Path, cues: list[str]) -> None:
    expected = " ".join(" ".join(cues).split())
    assert said(tmp_path, rolling(*cues), "x.vtt").words == expected


def test_a_part_of_rolling_captions_has_only_what_is_new_in_it(tmp_path: Path) -> None:
    cues = rolling("one", "one\ntwo", "two\nthree", "three\nfour")
    (tmp_path / "x.vtt").write_text(cues)
    assert find_transcript(Clip("a", tmp_path / "x.mp4", start=2.0)).words == "three four"


@pytest.mark.parametrize(
    "text",
    [
        "[Music] hello (laughs) there ♪ my name ♫ is *coughs* Ann [door closes]",
        "<b>hello</b> <font color='red'>there</font> {\\an8}my name\\Nis&nbsp;Ann",
        "(door opens)\nhello there my name is Ann".replace("(door opens)", "(soft music)"),
        ">> hello there my name is Ann",
        "- hello there\n- my name is Ann",
        "hello【拍手】there my name（笑）is Ann\u200b",
    ],
)
def test_markup_and_sound_notes_are_no_words(tmp_path: Path, text: str) -> None:
    found = said(tmp_path, f"1\n00:00:00,000 --> 00:00:02,000\n{text}\n")
    assert found.words == HELLO


def test_speech_that_looks_like_markup_is_kept(tmp_path: Path) -> None:
    text = "I <3 you (my dear Ann) at 10:30: it is [UNKNOWN] & 5 < 6 > 3"
    assert said(tmp_path, text, "x.txt").words == text
    once = "Note: I came at 10:30 and left."
    assert said(tmp_path, once, "x.txt").words == once


SPEAKERS = [
    ("x.srt", "[SPEAKER_00]: hello there", "[SPEAKER_01]: tell me", ("SPEAKER_00", "SPEAKER_01")),
    ("x.srt", "SPEAKER_00: hello there", "SPEAKER_01: tell me", ("SPEAKER_00", "SPEAKER_01")),
    ("x.srt", "[John]: hello there", "[Mary Ann]: tell me", ("John", "Mary Ann")),
    ("x.vtt", "<v John>hello there</v>", "<v Mary Ann>tell me", ("John", "Mary Ann")),
    ("x.srt", "Speaker 1: hello there", "Speaker 2: tell me", ("Speaker 1", "Speaker 2")),
    ("x.srt", ">> (John): hello there", ">> (MARY): tell me", ("John", "MARY")),
]


@pytest.mark.parametrize(("name", "first", "second", "names"), SPEAKERS)
def test_speakers_are_no_words_and_one_can_be_chosen(
    tmp_path: Path, name: str, first: str, second: str, names: tuple[str, str]
) -> None:
    text = rolling(first, second, header="WEBVTT\n\n" if name == "x.vtt" else "")
    everybody = said(tmp_path, text, name)
    assert everybody.words == "hello there tell me"
    assert everybody.notes == (f"speakers: 2 speak ({', '.join(names)}); words of all",)
    chosen = said(tmp_path, text, name, speaker=names[1].lower())
    assert (chosen.words, chosen.notes) == ("tell me", ())
    with pytest.raises(ClipError, match=rf"No speaker 'Bob' in .*; there are: {names[0]}, "):
        said(tmp_path, text, name, speaker="Bob")


@pytest.mark.parametrize(
    "text",
    [
        "JOHN: hello there\nMARY: tell me\nJOHN: my name\nis Ann",
        "John: hello there\nMary: tell me\nJohn: my name\nis Ann",
        "John (00:01): hello there\n\nMary: tell me\n\nJohn:\nmy name is Ann",
    ],
)
def test_names_that_recur_at_the_beginning_of_lines_are_labels(tmp_path: Path, text: str) -> None:
    found = said(tmp_path, text, "x.txt")
    assert found.words == "hello there tell me my name is Ann"
    assert "2 speak" in found.notes[0]
    assert said(tmp_path, text, "x.txt", speaker="John").words == HELLO


def test_one_labelled_speaker_needs_no_note(tmp_path: Path) -> None:
    found = said(tmp_path, rolling("<v Ann>hello there", "<v Ann>my name is Ann"), "x.vtt")
    assert (found.words, found.notes) == (HELLO, ())


def test_speakers_of_recognisers_and_of_ass_are_known(tmp_path: Path) -> None:
    mixed = {
        "start": 0.0,
        "end": 4.0,
        "text": " hello there tell me",
        "speaker": "SPEAKER_00",
        "words": [
            {"word": word, "start": n, "end": n + 1, "speaker": f"SPEAKER_0{n // 2}"}
            for n, word in enumerate(["hello", "there", "tell", "me"])
        ],
    }
    named = "Default,Ann,0,0,0,,hello there\n", "Default,Bob,0,0,0,,tell me\n"
    ass = "[Events]\n" + "".join(
        f"Dialogue: 0,0:00:00.00,0:00:0{n}.00,{t}" for n, t in enumerate(named, 2)
    )
    tiers = TEXTGRID.replace('"words"', '"Ann - words"').replace('"phones"', '"Bob - words"')
    agents = (
        '<tt xmlns:ttm="x"><head><metadata><ttm:agent xml:id="a"><ttm:name>Ann</ttm:name>'
        '</ttm:agent></metadata></head><body><p begin="0s" end="2s" ttm:agent="a">hello there</p>'
        '<p begin="2s" end="3s" ttm:agent="b">tell me</p></body></tt>'
    )
    assert said(tmp_path, json.dumps([mixed]), "x.json", speaker="SPEAKER_01").words == "tell me"
    assert said(tmp_path, ass, "x.ass", speaker="ann").words == "hello there"
    assert said(tmp_path, tiers, "x.TextGrid", speaker="Ann").words == HELLO
    assert said(tmp_path, agents, "x.ttml", speaker="Ann").words == "hello there"
    assert said(tmp_path, agents, "x.ttml", speaker="b").words == "tell me"


def test_who_is_asked_for_and_not_labelled_is_noted(tmp_path: Path) -> None:
    found = said(tmp_path, SRT, speaker="Ann")
    assert found.words == HELLO
    assert found.notes == ("speakers: none are labelled, so words of all, not of Ann",)
    some = said(tmp_path, rolling("<v Ann>hello there", "who is that"), "x.vtt", speaker="Ann")
    assert some.words == "hello there"
    assert some.notes == ("speakers: 1 of 2 passages name none, and are left out",)


def test_a_recognisers_table_is_told_from_a_table_of_clips(tmp_path: Path) -> None:
    for name, text, words in (
        ("a.tsv", TSV, True),
        ("b.csv", CSV, True),
        ("c.csv", "clip,openness\na,0.5\n", False),
        ("d.tsv", "start\tend\tclip\n0\t1\ta\n", False),
        ("e.parquet", "PAR1", False),
    ):
        (tmp_path / name).write_text(text)
        assert holds_words(tmp_path / name) == words


TWO = "speakers: 2 speak (Ann, Bob); words of all"
SHORT = {
    "a.srt": "1\n00:00:00,000 --> 00:00:01,500\nAnn: Hello there\n\n"
    "2\n00:00:02,000 --> 00:00:03,000\nBob: and you\n",
    "a.txt": "Ann: Hello there\nBob: and you\n",
    "meeting.txt": "Ann  0:00\nHello there\n\nBob  0:05\nand you\n",
    "minutes.txt": "Ann (00:00:03)\nHello there\n\nBob (00:00:10)\nand you\n",
    "a.csv": "speaker,start,end,text\nAnn,0,1,Hello there\nBob,1,2,and you\n",
    "b.csv": "start;end;speaker;text\n0,0;1,5;Ann;Hello there\n1,5;2,0;Bob;and you\n",
    "a.tsv": "start\tend\ttext\tspeaker\n0\t1000\tHello there\tAnn\n1000\t2000\tand you\tBob\n",
}


@pytest.mark.parametrize("name", SHORT)
def test_names_and_times_of_short_talks_are_no_words(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SHORT[name])
    read = read_words(tmp_path / name)
    assert (" ".join(read.words.split()), read.notes) == ("Hello there and you", (TWO,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Question: who are you?\n", "Question: who are you?"),
        ("Hello: world\nthis is a test\n", "Hello: world\nthis is a test"),
        ("We met at 10:30\nand left  at 11:00\nthen more\n", "We met at 10:30"),
    ],
)
def test_colons_and_times_in_sentences_stay(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert read_words(tmp_path / "a.txt").words.startswith(words)


def test_a_table_of_clips_is_no_talk_and_a_row_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("clip,start,end,text\na.mp4,0,1,hello\n")
    assert not holds_words(tmp_path / "clips.csv")
    (tmp_path / "cut.tsv").write_text("start\tend\ttext\n0\t1000\n")
    with pytest.raises(ClipError, match="row 1 ends before its words"):
        read_words(tmp_path / "cut.tsv")
