"""Subtitles written as lines of text -> cues: SRT, WebVTT, SBV, ASS, MicroDVD, MPL2, LRC and alike.

Each kind has a test of the text, which looks at what is written and not at the file's name, and a
reader. A line of times that cannot be read is an error: it must not become words.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from traitscope.errors import ClipError
from traitscope.extract._cues import Cue

_TIME = r"-?\d+(?:\s*:\s*\d+){1,3}(?:\s*[.,]\s*\d+)?|-?\d+[.,]\d+"
_ARROW = re.compile(rf"^\s*(\[?)\s*({_TIME})\s*(?:-+\s*>|→|--&gt;)\s*({_TIME})\s*(\]?)(.*)$")
_LIKE_ARROW = re.compile(r"^\s*\[?\s*\d.*(?:-->|--&gt;)")
_COMMA = re.compile(r"^\s*()(\d+:\d\d:\d\d\.\d+)\s*,\s*(\d+:\d\d:\d\d\.\d+)\s*()()$")
_NOT_CUES = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_FRAMES = re.compile(r"^\{(\d+)\}\{(\d*)\}(.*)$")
_TENTHS = re.compile(r"^\[(\d+)\]\[(\d*)\](.*)$")
_STYLE = re.compile(r"\{[A-Za-z]+:[^}]*\}")
_TURN = re.compile(
    r"^\s*([^\W\d_][^\t\n:]{0,40}?)(?:\s{2,}|\t| ?[\[(])(\d{1,3}(?::\d\d){1,2})[\])]?\s*$"
)
"""A name and a time alone on a line: one space between them may be a sentence."""
_STAMP = re.compile(
    r"^\s*(?:\[\s*((?:\d+:)?\d{1,3}:\d\d(?:[.,:]\d{1,3})?)\s*\]|"
    r"\(\s*((?:\d+:)?\d{1,2}:\d\d(?:[.,]\d{1,3})?)\s*\)|"
    r"((?:\d+:)?\d{1,2}:\d\d(?:[.,]\d{1,3})?)(?=[\s:]|$):?)\s*(?:[-–]\s+)?"
)
_LYRICS_TAG = re.compile(r"^\s*\[(?:ar|al|ti|au|by|re|ve|offset|length|tool|la|#)\s*:[^\]]*\]\s*$")
_FIELDS = ("Layer", "Start", "End", "Style", "Name", "MarginL", "MarginR", "MarginV", "Effect")
"""Of a line of dialogue before its text, unless the file says otherwise."""
_DRAWING = re.compile(r"\{[^}]*\\p[1-9][^}]*\}.*?(?:\{[^}]*\\p0[^}]*\}|$)", re.DOTALL)


def seconds(text: str) -> float:
    """Read a time: hours, minutes and seconds, of which the latter may have a decimal comma."""
    text = re.sub(r"\s", "", text).replace(",", ".")
    parts = text.lstrip("-").split(":")
    if len(parts) == 4:  # thousandths behind a third colon, or frames, of which we know no rate
        parts = [*parts[:2], f"{parts[2]}.{parts[3]}" if len(parts[3]) == 3 else parts[2]]
    total = 0.0
    for part in parts:
        total = total * 60 + float(part)
    return -total if text.startswith("-") else total


def is_subrip(text: str) -> bool:
    """Tell SRT and WebVTT, and what Whisper prints."""
    return text.startswith("WEBVTT") or any(
        _ARROW.match(line) or _LIKE_ARROW.match(line) for line in text.split("\n")
    )


def read_subrip(text: str) -> list[Cue]:
    """Read cues between lines of times with an arrow; an empty line does not end one.

    Raises:
        ClipError: a line of times cannot be read (status ``no_text``).
    """
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if _LIKE_ARROW.match(line) and not _ARROW.match(line):
            raise ClipError(
                f"line {number} is no time that can be read: {line.strip()!r}. Write it as "
                f"00:00:01,000 --> 00:00:02,000.",
                status="no_text",
            )
    return _between(lines, _ARROW, named=text.startswith("WEBVTT"))


def is_subviewer(text: str) -> bool:
    """Tell SBV (YouTube's) and SubViewer."""
    return any(_COMMA.match(line) for line in text.split("\n"))


def read_subviewer(text: str) -> list[Cue]:
    """Read cues below lines of two times with a comma between."""
    return _between(text.split("\n"), _COMMA, named=False)


def _between(lines: Sequence[str], times: re.Pattern[str], *, named: bool) -> list[Cue]:
    """Cues of the lines below each line of times.

    Args:
        lines: of the file.
        times: matches a line of times.
        named: cues may have a name on a line of its own above their times, as in WebVTT.
    """
    places = [number for number, line in enumerate(lines) if times.match(line)]
    numbered = bool(places) and places[0] > 0 and lines[places[0] - 1].strip().isdigit()
    found = []
    for place, following in pairwise([*places, len(lines)]):
        match = times.match(lines[place])
        assert match is not None
        body = list(lines[place + 1 : following])
        if following < len(lines) and body:
            alone = len(body) > 1 and not body[-2].strip()
            if (numbered and body[-1].strip().isdigit()) or (named and alone):
                body.pop()
        if named:
            body = _without_notes(body)
        if match[1]:  # [00:00.000 --> 00:02.000] words
            body.insert(0, match[5])
        found.append(Cue("\n".join(body).strip(), seconds(match[2]), seconds(match[3])))
    return found


def _without_notes(body: Sequence[str]) -> list[str]:
    """Drop the blocks of WebVTT that are no words: they begin below an empty line."""
    kept: list[str] = []
    skipping, before = False, "words"
    for line in body:
        if not line.strip():
            skipping = False
        elif not before.strip() and _NOT_CUES.match(line):
            skipping = True
        if not skipping:
            kept.append(line)
        before = line
    return kept


def is_substation(text: str) -> bool:
    """Tell ASS and SSA."""
    return bool(re.search(r"^(?:\[Script Info\]|Dialogue:\s*\S+?,)", text, re.MULTILINE | re.I))


def read_substation(text: str) -> list[Cue]:
    """Read the lines of dialogue; comments and drawings are none. The field Name is the speaker."""
    names = [*_FIELDS, "Text"]
    found = []
    for line in text.split("\n"):
        key, _, rest = line.partition(":")
        if key.strip() == "Format":
            named = [name.strip() for name in rest.split(",")]
            names = named if "Start" in named and "Text" in named else names
        if key.strip() != "Dialogue":
            continue
        cells = dict(zip(names, rest.split(",", len(names) - 1), strict=False))
        words = re.sub(r"\{[^}]*\}", "", _DRAWING.sub("", cells.get("Text", "")))
        speaker = (cells.get("Name") or cells.get("Actor") or "").strip() or None
        times = [cells.get(name, "").strip() for name in ("Start", "End")]
        if not all(re.fullmatch(r"\d+:\d+:\d+(?:[.,:]\d+)?", time) for time in times):
            raise ClipError(
                f"a line of dialogue has no times that can be read: {line.strip()!r}. Save the "
                f"file again with a subtitle editor.",
                status="no_text",
            )
        found.append(Cue(words, seconds(times[0]), seconds(times[1]), speaker))
    return found


def is_microdvd(text: str) -> bool:
    """Tell MicroDVD (frames in braces) and MPL2 (tenths of seconds in brackets)."""
    lines = [line for line in text.split("\n") if line.strip()]
    matching = sum(bool(_FRAMES.match(line) or _TENTHS.match(line)) for line in lines)
    return matching > len(lines) / 2


def read_microdvd(text: str) -> list[Cue]:
    """Read lines with two numbers in front; frames become times where the file tells their rate."""
    rate, found = None, []
    for number, line in enumerate(line for line in text.split("\n") if line.strip()):
        frames, tenths = _FRAMES.match(line), _TENTHS.match(line)
        match = frames or tenths
        if match is None:
            continue
        first, last, words = match.groups()
        if number == 0 and frames and re.fullmatch(r"\d+(?:[.,]\d+)?", words.strip()):
            rate = float(words.replace(",", "."))  # {1}{1}25 declares the rate
            continue
        per_second = 10.0 if tenths else rate
        words = re.sub(r"^/|(?<=\n)/", "", _STYLE.sub("", words).replace("|", "\n"))
        start = int(first) / per_second if per_second else None
        end = int(last or first) / per_second if per_second else None
        found.append(Cue(words, start, end))
    return found


def is_minutes(text: str) -> bool:
    """Tell the minutes of a meeting (Otter, Teams): a name and a time above what it says."""
    lines = [line for line in text.split("\n") if line.strip()]
    times = [seconds(turn[2]) for line in lines if (turn := _TURN.match(line))]
    return len(times) > 1 and bool(_TURN.match(lines[0])) and times == sorted(times)


def read_minutes(text: str) -> list[Cue]:
    """Read turns with one time and one speaker each; they last until the next."""
    turns: list[tuple[str, float, list[str]]] = []
    for line in text.split("\n"):
        if turn := _TURN.match(line):
            turns.append((turn[1].strip(), seconds(turn[2]), []))
        else:
            turns[-1][2].append(line)
    ends = [start for _, start, _ in turns[1:]] + [turns[-1][1]]
    return [
        Cue("\n".join(words), start, end, name)
        for (name, start, words), end in zip(turns, ends, strict=True)
    ]


def is_stamped(text: str) -> bool:
    """Tell LRC, and text in which times that rise stand before or between the lines."""
    lines = [line for line in text.split("\n") if line.strip() and not _LYRICS_TAG.match(line)]
    stamps = [stamp for line in lines if (stamp := _STAMP.match(line))]
    times = [seconds(next(filter(None, stamp.groups()))) for stamp in stamps]
    many = len(times) > 1 or (len(lines) == 1 and bool(re.match(r"\s*\[", text)))
    return many and len(times) >= len(lines) / 2 and times == sorted(times)


def read_stamped(text: str) -> list[Cue]:
    """Read words with one time in front; they last until the next."""
    blocks: list[tuple[list[float], list[str]]] = []
    for line in text.split("\n"):
        if _LYRICS_TAG.match(line):
            continue
        times, rest = [], line
        while stamp := _STAMP.match(rest):
            times.append(seconds(next(filter(None, stamp.groups()))))
            rest = rest[stamp.end() :]
        if times:
            blocks.append((times, []))
        if blocks:
            blocks[-1][1].append(rest)
    begun = sorted((time, "\n".join(words)) for times, words in blocks for time in times)
    ends = [time for time, _ in begun[1:]] + [time for time, _ in begun[-1:]]
    return [Cue(words, start, end) for (start, words), end in zip(begun, ends, strict=True)]
