"""Documents of predictions -> what a page shows of them: words, bars, lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BAR = 400
"""Units across a bar."""
_ACROSS, _UP = 1000, 60
"""Units of a line of the timeline."""


@dataclass(frozen=True)
class Row:
    """One trait: its score, and what places it.

    Attributes:
        at: units across the bar; ``band`` is left and width of the interval.
        words: all of it in a sentence, for those who do not see the bar.
    """

    target: str
    label: str
    score: float
    text: str
    at: float
    band: tuple[float, float] | None
    interval: str
    percentile: str
    words: str


@dataclass(frozen=True)
class Track:
    """One trait along the recording, as a path of an SVG."""

    label: str
    words: str
    path: str
    middle: float


@dataclass(frozen=True)
class Face:
    """A picture of a face that was looked at, a JPEG in base64."""

    picture: str
    words: str


@dataclass(frozen=True)
class View:
    """One person in one recording by one run, ready for the template."""

    name: str
    model: str
    kind: str
    about: str
    note: str
    not_for: Sequence[str]
    covers: str
    status: str
    reason: str
    low: str
    high: str
    rows: Sequence[Row]
    warnings: Sequence[str]
    notes: Sequence[str]
    faces: Sequence[Face]
    facts: Sequence[tuple[str, str]]
    tracks: Sequence[Track]
    windows: Sequence[Sequence[str]]
    seconds: float

    @property
    def has_intervals(self) -> bool:
        """Whether the run says how far off it may be."""
        return any(row.interval for row in self.rows)

    @property
    def has_percentiles(self) -> bool:
        """Whether the run knows the labels that it was trained on."""
        return any(row.percentile for row in self.rows)


def views_of(
    results: Sequence[Mapping[str, Any]], cards: Mapping[str, Mapping[str, Any]]
) -> list[View]:
    """A view for each person in each result of a job."""
    return [
        _view(result, clip, cards.get(result["model"], {}))
        for result in results
        for clip in result["prediction"]["clips"]
    ]


def compare(views: Sequence[View]) -> list[tuple[str, list[str]]]:
    """A line per trait: what each of some views says of it."""
    labels = dict.fromkeys((row.target, row.label) for view in views for row in view.rows)
    lines = []
    for target, label in labels:
        rows = [next((r for r in view.rows if r.target == target), None) for view in views]
        lines.append((label, [_cell(row) for row in rows]))
    return lines


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    return f"{row.text} ({row.interval})" if row.interval else row.text


def _view(result: Mapping[str, Any], clip: Mapping[str, Any], card: Mapping[str, Any]) -> View:
    document = result["prediction"]
    targets = document["targets"]
    kind = document["kind"].replace("_", "-")
    timeline = clip.get("timeline") or {}
    ends = timeline.get("ends") or [0.0]
    first = targets[0] if targets else {}
    person = clip.get("person") or {}
    name = clip["clip"] + (f", person {person['number']}" if person else "")
    return View(
        name=name,
        model=result["model"],
        kind=f"{kind} traits",
        about=card.get("about", f"{kind} traits"),
        note=document["note"],
        not_for=card.get("not_for", ()),
        covers=document.get("covers", ""),
        status=clip["status"].replace("_", " ").capitalize(),
        reason=clip["reason"],
        low=_number(first.get("low")),
        high=_number(first.get("high")),
        rows=[_row(target, clip) for target in targets if target["name"] in clip["scores"]],
        warnings=[one["sentence"] for one in clip.get("warnings", ())],
        notes=clip["notes"],
        faces=_faces(clip, result),
        facts=_facts(document, clip),
        tracks=_tracks(targets, timeline),
        windows=_windows(targets, timeline),
        seconds=ends[-1],
    )


def _row(target: Mapping[str, Any], clip: Mapping[str, Any]) -> Row:
    name, score = target["name"], clip["scores"][target["name"]]
    low, high = target["low"], target["high"]
    found = clip.get("intervals", {}).get(name)
    # z-scores have no ends: five standard deviations hold all that is ever predicted.
    low, high = (-5.0, 5.0) if low is None or high is None else (low, high)
    at = _BAR * _share(score, low, high)
    band, interval = None, ""
    if found is not None:
        left, right = (_BAR * _share(found[end], low, high) for end in ("low", "high"))
        band = (round(left, 1), round(right - left, 1))
        interval = f"{found['low']:.2f} to {found['high']:.2f} ({found['level']:.0%})"
    percentile = clip.get("percentiles", {}).get(name)
    placed = "" if percentile is None else f"higher than {percentile:.0f} % of them"
    words = f"{target['label']} {score:.2f} on a scale from {low:g} to {high:g}"
    return Row(
        target=name,
        label=target["label"],
        score=score,
        text=f"{score:.3f}",
        at=round(at, 1),
        band=band,
        interval=interval,
        percentile=placed,
        words=f"{words}, interval {interval}" if interval else words,
    )


def _faces(clip: Mapping[str, Any], result: Mapping[str, Any]) -> list[Face]:
    """The person where one was picked out of several, else the face at a few moments."""
    person = clip.get("person") or {}
    if person.get("thumbnail"):
        seen = f"in {person['share']:.0%} of the pictures"
        return [Face(person["thumbnail"], f"person {person['number']}, {seen}")]
    return [Face(face["jpeg"], f"at {face['seconds']:.1f} s") for face in result["faces"]]


def _facts(document: Mapping[str, Any], clip: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("model", document["model"]), ("trained on", document["corpus"])]
    if document["backend"]:
        facts.append(("faces found by", document["backend"]))
    for stream, share in clip["coverage"].items():
        facts.append((f"{stream.replace('_', ' ')} read", f"{share:.0%} of the recording"))
    return facts


def _tracks(targets: Sequence[Mapping[str, Any]], timeline: Mapping[str, Any]) -> list[Track]:
    """A line per trait; windows without a score are gaps."""
    tracks = []
    end = (timeline.get("ends") or [0.0])[-1] or 1.0
    for target in targets:
        scores = timeline.get("scores", {}).get(target["name"], [])
        known = [score for score in scores if score is not None]
        if not known:
            continue
        low, high = _reach(known)
        parts, pen = [], "M"
        for start, stop, score in zip(timeline["starts"], timeline["ends"], scores, strict=True):
            if score is None:
                pen = "M"
                continue
            x = _ACROSS * (start + stop) / 2 / end
            parts.append(f"{pen}{x:.1f} {_up(score, low, high):.1f}")
            pen = "L"
        mean = sum(known) / len(known)
        words = f"{min(known):.2f} to {max(known):.2f}"
        path = "".join(parts) + ("h1" if len(known) == 1 else "")
        tracks.append(Track(target["label"], words, path, round(_up(mean, low, high), 1)))
    return tracks


def _windows(targets: Sequence[Mapping[str, Any]], timeline: Mapping[str, Any]) -> list[list[str]]:
    rows = timeline.get("scores", {})
    columns = [rows[target["name"]] for target in targets if target["name"] in rows]
    return [
        [f"{start:.1f}–{stop:.1f}", *(_number(column[place], "–") for column in columns)]
        for place, (start, stop) in enumerate(
            zip(timeline.get("starts", ()), timeline.get("ends", ()), strict=True)
        )
    ]


def _reach(known: Sequence[float]) -> tuple[float, float]:
    """Ends of a line's scale: what it covers, but never so little that noise looks like news."""
    middle = (min(known) + max(known)) / 2
    half = max((max(known) - min(known)) / 2, 0.05) * 1.15
    return middle - half, middle + half


def _up(score: float, low: float, high: float) -> float:
    return _UP * (1.0 - _share(score, low, high))


def _share(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _number(value: float | None, otherwise: str = "low to high") -> str:
    return otherwise if value is None else f"{value:.3g}"
