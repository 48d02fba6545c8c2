"""Words with structure around them -> cues: JSON, TSV and CSV of recognisers, TextGrid, TTML.

Whisper, WhisperX, faster-whisper, whisper.cpp and Hugging Face's pipelines name the same things
differently; what is none of these is refused, so that keys and times never become words.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

from traitscope.errors import ClipError
from traitscope.extract._cues import Cue
from traitscope.extract._subtitles import seconds

_LISTS = ("segments", "chunks", "transcription", "utterances", "word_segments", "words")
_WORDS = ("text", "word", "transcript")
_NOT_WORDS = re.compile(r"phone|syllab|pos\b|gesture|gaze|comment", re.IGNORECASE)
_PRAAT_SILENCE = {"", "sp", "sil", "spn", "<eps>", "<sil>", "<unk>", "_", "#"}


def _refused(what: str) -> ClipError:
    return ClipError(what, status="no_text")


def is_json(text: str) -> bool:
    """Tell JSON, whole or damaged, and one JSON value per line."""
    return bool(re.match(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\]])", text))


def read_json(text: str) -> list[Cue]:
    """Read segments, or words where there are no segments.

    Raises:
        ClipError: it is damaged, or no recogniser's (status ``no_text``).
    """
    try:
        tree = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            tree = [json.loads(line) for line in lines]
        except (json.JSONDecodeError, RecursionError):
            raise _refused(f"it is damaged JSON ({error}). Write it again.") from error
    rows = tree
    if isinstance(tree, dict):
        rows = next((tree[key] for key in _LISTS if isinstance(tree.get(key), list)), None)
        if rows is None and isinstance(tree.get("text"), str):
            return [Cue(tree["text"])]
    if not isinstance(rows, list) or not all(_is_segment(row) for row in rows):
        keys = f" (its keys: {', '.join(list(tree)[:6])})" if isinstance(tree, dict) else ""
        raise _refused(
            f"it is JSON without the segments of Whisper, WhisperX or faster-whisper{keys}. Write "
            f"the words as .srt or .txt."
        )
    return [cue for row in rows for cue in _of_segment(row)]


def _is_segment(row: Any) -> bool:
    return isinstance(row, dict) and any(isinstance(row.get(key), str) for key in _WORDS)


def _of_segment(row: Mapping[str, Any]) -> list[Cue]:
    """One cue of a segment, or one for each speaker in it."""
    start, end = _times(row)
    speaker = _name(row)
    words = [word for word in row.get("words") or () if _is_segment(word)]
    voices = {_name(word) or speaker for word in words}
    if len(voices) < 2:
        return [Cue(_text(row), start, end, speaker)]
    found = []
    for voice, group in groupby(words, key=lambda word: _name(word) or speaker):
        each = list(group)
        spans = [_times(word) for word in each]
        begins = [first for first, _ in spans if first is not None]
        ends = [last for _, last in spans if last is not None]
        said = " ".join(_text(word).strip() for word in each)
        found.append(
            Cue(said, min(begins, default=start or 0.0), max(ends, default=end or 0.0), voice)
        )
    return found


def _text(row: Mapping[str, Any]) -> str:
    return next(str(row[key]) for key in _WORDS if isinstance(row.get(key), str))


def _name(row: Mapping[str, Any]) -> str | None:
    name = row.get("speaker", row.get("speaker_id"))
    return None if name is None or name == "" else str(name)


def _times(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Seconds of a segment in any of the ways they are written."""
    pair: Any = (row.get("start"), row.get("end"))
    scale = 1.0
    if isinstance(row.get("timestamp"), list) and len(row["timestamp"]) == 2:  # Hugging Face
        pair = row["timestamp"]
    elif isinstance(row.get("offsets"), dict):  # whisper.cpp, milliseconds
        pair, scale = (row["offsets"].get("from"), row["offsets"].get("to")), 0.001
    first, last = pair
    if isinstance(first, bool) or not isinstance(first, int | float):
        return None, None
    start = float(first) * scale
    return start, float(last) * scale if isinstance(last, int | float) else start


def is_tabular(text: str) -> bool:
    """Tell Whisper's TSV or CSV, by its header, and label tracks: two times and words per line."""
    lines = [line for line in text.split("\n") if line.strip()]
    # A table of clips may have intervals and words, too.
    if lines and {"start", "end", "text"} <= {*(names := _names(lines[0]))}:
        return "clip" not in names
    return bool(lines) and all(re.match(r"-?\d+[.,]\d+\t-?\d+[.,]\d+(?:\t|$)", ln) for ln in lines)


def read_tabular(text: str) -> list[Cue]:
    """Read rows of start, end and words, in milliseconds where they are whole numbers.

    Raises:
        ClipError: a row has no times (status ``no_text``).
    """
    lines = [line for line in text.split("\n") if line.strip()]
    names = _names(lines[0])
    separator = _separator(lines[0])
    if separator == "\t":  # Whisper does not quote
        rows = [line.split("\t") for line in lines]
    else:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    if "start" in names:
        rows = rows[1:]
    else:  # a label track has no header
        names = ["start", "end", "text"]
    places = [names.index(name) for name in ("start", "end")]
    cells = [row[place].strip() for row in rows for place in places if place < len(row)]
    scale = 0.001 if all(cell.lstrip("-").isdigit() for cell in cells) else 1.0
    words, voice = names.index("text"), names.index("speaker") if "speaker" in names else None
    found = []
    for number, row in enumerate(rows, 1):
        try:
            start, end = (float(row[place].replace(",", ".")) for place in places)
        except (ValueError, IndexError) as error:
            raise _refused(
                f"its row {number} has not two times: {row[:3]}. Write start, end, text."
            ) from error
        if len(row) <= words:
            raise _refused(f"its row {number} ends before its words: {row[:3]}.")
        speaker = row[voice].strip() or None if voice is not None and voice < len(row) else None
        last = words == len(names) - 1  # words at the end may hold the separator
        said = separator.join(row[words:]) if last else row[words]
        found.append(Cue(said, start * scale, end * scale, speaker))
    return found


def _separator(header: str) -> str:
    return max("\t,;", key=header.count)


def _names(header: str) -> list[str]:
    return [name.strip(' "').lower() for name in header.split(_separator(header))]


def is_textgrid(text: str) -> bool:
    """Tell Praat's TextGrid, long or short."""
    return "ooTextFile" in text[:200]


def read_textgrid(text: str) -> list[Cue]:
    """Read the tiers of words: those named so, else all but phones and gestures, one per speaker.

    Raises:
        ClipError: it is cut off, or another object of Praat's (status ``no_text``).
    """
    tokens = re.findall(r'"(?:[^"]|"")*"|\S+', re.sub(r"^File type.*$", "", text, flags=re.M))
    # Only strings and numbers that stand alone count: the rest (xmin =, [1]:) is for the eye.
    kept = iter(
        [t for t in tokens if t[0] == '"' or re.fullmatch(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", t)]
    )
    tiers: dict[str, list[Cue]] = {}
    try:
        while next(kept) != '"TextGrid"':
            pass
        next(kept), next(kept)  # the times of the whole
        for number in range(int(next(kept))):
            intervals = next(kept) == '"IntervalTier"'
            name = _unquoted(next(kept)) or f"tier {number + 1}"
            next(kept), next(kept)  # the times of the tier
            cues = tiers.setdefault(name, [])
            for _ in range(int(next(kept))):
                start = float(next(kept))
                end = float(next(kept)) if intervals else start
                cues.append(Cue(_unquoted(next(kept)), start, end))
    except (StopIteration, ValueError) as error:
        raise _refused("it is a TextGrid that is cut off. Save it again in Praat.") from error
    named = {name: cues for name, cues in tiers.items() if re.search(r"words?\b", name, re.I)}
    chosen = named or {n: cues for n, cues in tiers.items() if not _NOT_WORDS.search(n)}
    found = []
    for name, cues in chosen.items():
        speaker = re.sub(r"[\s_-]*words?$", "", name, flags=re.I) if named else name
        voice = speaker if len(chosen) > 1 and speaker else None
        said = [cue for cue in cues if cue.text.strip().lower() not in _PRAAT_SILENCE]
        found += [Cue(cue.text, cue.start, cue.end, voice) for cue in said]
    return sorted(found, key=lambda cue: cue.start or 0.0)


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"')


def is_xml(text: str) -> bool:
    """Tell XML and what is written like it."""
    return bool(
        re.match(r"\s*<(?:\?xml|!|tt\b|transcript\b|timedtext\b|sami\b|html\b)", text, re.I)
    )


def read_xml(text: str) -> list[Cue]:
    """Read TTML (DFXP) and YouTube's timed text.

    Raises:
        ClipError: it is damaged, or XML of another kind (status ``no_text``).
    """
    if re.search(r"<!(?:doctype|entity)", text, re.IGNORECASE) or not re.search(
        r"<(?:\w+:)?(?:tt|transcript|timedtext)\b", text
    ):
        raise _refused("it is a page or XML of another kind. Write the words as .srt or .txt.")
    try:
        root = ElementTree.fromstring(text.strip())
    except (ElementTree.ParseError, ValueError) as error:
        raise _refused(f"it is damaged XML ({error}). Write it again.") from error
    try:
        return _of_timed_text(root)
    except (ValueError, ZeroDivisionError) as error:
        raise _refused(f"its times cannot be read ({error}). Write it again.") from error


def _of_timed_text(root: ElementTree.Element) -> list[Cue]:
    names = {
        _attribute(agent, "id"): " ".join("".join(agent.itertext()).split())
        for agent in root.iter()
        if _tag(agent) == "agent"
    }
    ticks = float(_attribute(root, "tickRate") or 1)
    found = []
    for part in root.iter():
        if _tag(part) == "p" or (_tag(part) == "text" and _tag(root) == "transcript"):
            start, end = _xml_times(part, ticks)
            agent = _attribute(part, "agent")
            found.append(Cue(_xml_words(part), start, end, names.get(agent) or agent or None))
    return found


def _tag(part: ElementTree.Element) -> str:
    return part.tag.rpartition("}")[2]


def _attribute(part: ElementTree.Element, name: str) -> str:
    return next((v for k, v in part.attrib.items() if k.rpartition("}")[2] == name), "")


def _xml_words(part: ElementTree.Element) -> str:
    pieces = [part.text or ""]
    for child in part:
        pieces += ["\n" if _tag(child) == "br" else _xml_words(child), child.tail or ""]
    return "".join(pieces)


def _xml_times(part: ElementTree.Element, ticks: float) -> tuple[float | None, float | None]:
    if "t" in part.attrib:  # YouTube, milliseconds
        start = float(part.attrib["t"]) / 1000
        return start, start + float(part.attrib.get("d", 0)) / 1000
    begin = _clock(_attribute(part, "begin") or _attribute(part, "start"), ticks)
    end = _clock(_attribute(part, "end"), ticks)
    if begin is not None and end is None:
        end = begin + (_clock(_attribute(part, "dur"), ticks) or 0.0)
    return begin, end


def _clock(text: str, ticks: float) -> float | None:
    """Read a time of TTML: a clock, or a number with its unit."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)(h|m|s|ms|t|)", text.strip()):
        unit = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0, "ms": 0.001, "t": 1 / ticks}[match[2]]
        return float(match[1]) * unit
    return seconds(text) if re.fullmatch(r"\d+(?::\d+){1,3}(?:\.\d+)?", text.strip()) else None
