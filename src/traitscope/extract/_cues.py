"""Cues of a file of words -> what is said: no markup, sound notes or speaker labels; rolls undone.

A cue is text between two times, as some program wrote it. Out come the same cues with words alone,
and with the speaker where the file names one. Words that are said again are kept: only captions
that roll (each cue shows the line before once more) lose what they repeat.
"""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True)
class Cue:
    """Words between two times.

    Attributes:
        text: lines as they are written.
        start: seconds; None where the file has no times.
        end: seconds; None where the file has no times.
        speaker: who says it, as the file names them; None where it does not.
    """

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None


_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>|(</v>)", re.IGNORECASE)
_TAGS = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.,]*>|\{\\[^}]*\}")
_ROLLING_TAGS = re.compile(r"<\d[\d:.]*>\s*<c|<c>", re.IGNORECASE)
_BREAKS = re.compile(r"<br\s*/?>|\[br\]|\\[Nn]", re.IGNORECASE)
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_MUSIC = re.compile("[♩♪♫♬]+")

_UNHEARD = "unknown|inaudible|unintelligible|unclear"
"""Square marks of a word that nobody understood are kept: they stand for speech."""
_LABEL_OF = r"speaker|spk|sprecher|locuteur|hablante"
_SQUARE = re.compile(
    rf"\[(?!\s*(?:{_UNHEARD})\b)(?!(?:{_LABEL_OF})[ _-]?\w{{1,2}}\])[^\[\]\n]*\](?!\s*:)",
    re.IGNORECASE,
)
_SOUNDS = (
    "laugh|chuckl|giggl|applau|cheer|clap|music|sigh|cough|sneez|sniff|gasp|groan|scream|cry|sob|"
    "whistl|humm?ing|sing|silence|noise|inhal|exhal|breath|clears|throat|background|beep|static|"
    "lach|musik|seufz|husten|räusper|stille|gelächter|rires?\\b|musique|toux|soupir|risas?\\b|"
    "música|aplauso|suspir|tos\\b"
)
_ROUND = re.compile(
    rf"\((?=[^()]*\b(?:{_SOUNDS}))[^()\n]{{1,40}}\)|（[^（）]*）|【[^【】]*】", re.I
)
_STARS = re.compile(rf"\*(?=[^*]*\b(?:{_SOUNDS}))[^*\n]{{1,40}}\*", re.IGNORECASE)
_ONLY_ROUND = re.compile(r"\s*\([^()]*\)\s*")

_BULLET = r"^\s*(?:>{2,}\s*|[-–—]\s+)?"
_BRACKETED = re.compile(_BULLET + r"[\[(]([^\[\]()]{1,40})[\])]\s*:\s*", re.IGNORECASE)
_NUMBERED = re.compile(
    _BULLET + rf"(?:\[((?:{_LABEL_OF})[ _-]?\w{{1,2}})\]\s*:?\s*|"
    rf"((?:{_LABEL_OF})[ _-]?(?:\d{{1,2}}|[A-Z]))(?:\s*\([^)]*\))?\s*:\s*)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    _BULLET + r"([^\W\d_][\w.'’-]*(?: [\w.'’&-]+){0,2})(?:\s*\([^)]*\))?\s*:(?:\s+|$)"
)
_LABELLED = 0.2
"""Share of lines that begin with a name, from which names of mixed case are labels."""


def spoken(cues: Sequence[Cue]) -> list[Cue]:
    """Keep the words of cues, in order, each cue with its speaker where there is one."""
    plain = [clean for cue in cues for clean in _cleaned(cue)]
    # Some programs write a cue twice with the same times; without times, a word said twice
    # would look the same.
    once = list(dict.fromkeys(plain)) if all(cue.start is not None for cue in plain) else plain
    # Word-by-word times are only written by programs whose captions roll.
    tagged = any(_ROLLING_TAGS.search(cue.text) for cue in cues)
    return [cue for cue in _attributed(_unrolled(once, tagged=tagged)) if cue.text.strip()]


def speakers_of(cues: Sequence[Cue]) -> list[str]:
    """Names of the speakers, in the order in which they speak first."""
    return list(dict.fromkeys(cue.speaker for cue in cues if cue.speaker))


def _cleaned(cue: Cue) -> list[Cue]:
    """Split a cue where the voice changes, and drop markup and sound notes."""
    found, speaker, text = [], cue.speaker, ""
    pieces = _VOICE.split(cue.text)  # text, name or None, end or None, text ...
    for place in range(0, len(pieces), 3):
        text = _without_markup(pieces[place])
        if text.strip() or len(pieces) == 1:
            found.append(replace(cue, text=text, speaker=speaker))
        if place + 1 < len(pieces):
            name = pieces[place + 1]
            speaker = " ".join(html.unescape(name).split()) if name else cue.speaker
    return found


def _without_markup(text: str) -> str:
    text = _TAGS.sub("", _BREAKS.sub("\n", text))
    text = _MUSIC.sub(" ", _UNSEEN.sub("", html.unescape(text)).replace("\\h", " "))
    # A cue that is nothing but a bracket is a note, whatever stands in it.
    if _ONLY_ROUND.fullmatch(text):
        return ""
    for notes in (_SQUARE, _ROUND, _STARS):
        text = notes.sub(" ", text)
    lines = (re.sub(r"^\s*>{2,}\s*", "", line) for line in text.split("\n"))
    return "\n".join(re.sub(r"[ \t\xa0]+", " ", line).strip() for line in lines)


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _unrolled(cues: Sequence[Cue], *, tagged: bool) -> list[Cue]:
    """Take from each cue what the one before showed already, if the captions roll."""
    shown = [_lines(cue.text) for cue in cues]
    fresh = [_new(before, now) for before, now in pairwise(shown)]
    repeating = [new != now for new, now in zip(fresh, shown[1:], strict=True)]
    # A refrain repeats lines too, but adds nothing to them.
    growing = [rep and bool(new) for rep, new in zip(repeating, fresh, strict=True)]
    least = 1 if tagged else 2
    if sum(repeating) < max(least, len(fresh) / 2) or sum(growing) < max(1, len(fresh) / 4):
        return list(cues)
    rest = [replace(cue, text="\n".join(new)) for cue, new in zip(cues[1:], fresh, strict=True)]
    return [*cues[:1], *rest]


def _new(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Lines, or the end of a line, that were not shown before."""
    longest = min(len(before), len(now))
    # One new line below the old ones is what rolls do, also where lines are alike.
    for kept in [len(now) - 1, *range(longest, 0, -1)]:
        if 0 < kept <= longest and list(before[-kept:]) == list(now[:kept]):
            return list(now[kept:])
    old, new = " ".join(before).split(), " ".join(now).split()
    if old and len(new) > len(old) and new[: len(old)] == old:
        return [" ".join(new[len(old) :])]
    for kept in range(min(len(old), len(new)) - 1, 1, -1):
        if old[-kept:] == new[:kept]:
            return [" ".join(new[kept:])]
    return list(now)


def _attributed(cues: Sequence[Cue]) -> list[Cue]:
    """Turn labels at the beginning of lines into the speakers of what follows."""
    names = _labels([line for cue in cues for line in _lines(cue.text)])
    found: list[Cue] = []
    speaker: str | None = None
    for cue in cues:
        # A file that names its speakers is believed over what lines look like.
        if cue.speaker is not None:
            speaker = None
        said: list[tuple[str | None, list[str]]] = [(cue.speaker or speaker, [])]
        for line in cue.text.split("\n"):
            name, rest = _split_label(line, names)
            if name:
                speaker = name
                said.append((name, []))
            said[-1][1].append(rest)
        found += [
            replace(cue, text="\n".join(lines), speaker=who)
            for who, lines in said
            if any(line.strip() for line in lines)
        ]
    return found


def _labels(lines: Sequence[str]) -> frozenset[str]:
    """Names that are labels because they recur, as JOHN: or as John:, or begin every line."""
    heads = Counter(match[1] for line in lines if (match := _NAMED.match(line)))
    # Shouted names are labels in scripts of broadcasts; others need to be frequent as well.
    capitals = Counter({n: count for n, count in heads.items() if n.isupper() and len(n) > 1})
    mixed = Counter({n: count for n, count in (heads - capitals).items() if not n[0].islower()})
    if len(heads) > 1 and heads.total() == len(lines):  # short, but nothing else begins a line
        return frozenset(heads)
    found = set(capitals) if max(capitals.values(), default=0) > 1 else set()
    if max(mixed.values(), default=0) > 1 and mixed.total() >= _LABELLED * len(lines):
        found |= set(mixed)
    return frozenset(found)


def _split_label(line: str, names: frozenset[str]) -> tuple[str, str]:
    for pattern in (_NUMBERED, _BRACKETED):
        if match := pattern.match(line):
            name = next(group for group in match.groups() if group)
            return name.strip(), line[match.end() :]
    match = _NAMED.match(line)
    if match and match[1] in names:
        return match[1], line[match.end() :]
    return "", re.sub(r"^\s*[-–]\s+", "", line)
