"""What a run answers about one person in one recording: scores, how sure, when, and whom it saw.

In: what `prediction` computed. Out: frozen values that a table, a page, a service and a notebook
show without knowing how they came about. All but the clip has a default: an answer may lack any.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from traitscope.answer_picture import drawn

if TYPE_CHECKING:
    import pandas as pd

CAUTIONS = {
    "out-of-distribution": "The features lie farther from the training clips than nearly all do.",
    "language": "The words are in another language than the run was trained on.",
    "side-view": "The face is turned to the side for most of the time.",
    "silence": "There is hardly any sound, though the run listens.",
    "low-coverage": "Less of the clip could be read than of nearly all training clips.",
}
"""Kind of a warning -> what it means."""


class Interval(NamedTuple):
    """Ends between which the label of a new person lies with the probability ``level``."""

    low: float
    high: float
    level: float


class Caution(NamedTuple):
    """A reason to doubt the scores of one clip: its kind, of `CAUTIONS`, and a whole sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Person:
    """Whom of a recording the scores are of.

    Attributes:
        number: from 1; the same person has the same one whenever the recording is scored.
        thumbnail: a small JPEG of the face, or ``b""``.
        share: of the looked-at pictures in which the person was seen, 0 to 1.
        speaks: whether the lips move with the sound; None where that cannot be told.
    """

    number: int
    thumbnail: bytes = b""
    share: float = 0.0
    speaks: bool | None = None


@dataclass(frozen=True)
class Timeline:
    """Scores of windows along a recording.

    Attributes:
        starts, ends: (windows,) seconds from the start of the clip; half open, rising.
        scores: target -> (windows,), NaN where a window could not be scored.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    scores: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        lengths = {len(self.starts), len(self.ends), *map(len, self.scores.values())}
        if len(lengths) > 1:
            raise ValueError(f"The parts of a timeline differ in length: {sorted(lengths)}.")

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def spread(self) -> dict[str, float]:
        """Target -> standard deviation over the windows that could be scored; 0 with fewer."""
        known = {name: row[np.isfinite(row)] for name, row in self.scores.items()}
        return {name: float(row.std()) if len(row) > 1 else 0.0 for name, row in known.items()}


@dataclass(frozen=True)
class Prediction:
    """The scores of one clip, or the reason why there are none.

    Attributes:
        clip: id or file name; no two of one call have the same.
        scores: target name -> value; empty when the clip could not be scored.
        status: ``ok`` or the word from ``status.csv`` (``no_face``, ``no_audio`` ...).
        reason: what went wrong, in a sentence.
        coverage: stream -> share of sampled rows that were there.
        backend: the tracking backend used, None when no face was needed.
        notes: what was noticed in the clip, such as that several people speak.
        path: of the file or folder it came from; empty for words alone.
        intervals: target -> where the label lies; empty where the run has none.
        percentiles: target -> 0 to 100, the share of training labels below the score.
        warnings: reasons to doubt the scores.
        person: whom the scores are of, where one was picked out.
        timeline: scores of windows, where they were asked for.
        variance: target -> the model's own, where it has one.
    """

    clip: str
    scores: Mapping[str, float] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""
    coverage: Mapping[str, float] = field(default_factory=dict)
    backend: str | None = None
    notes: tuple[str, ...] = ()
    path: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    percentiles: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[Caution, ...] = ()
    person: Person | None = None
    timeline: Timeline | None = None
    variance: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Whoever made it: NaN beside "ok" is averaged, ranked and plotted as if it were a score.
        odd = [name for name, score in self.scores.items() if not isfinite(score)]
        if odd:
            why = f"the network gave no number for {', '.join(odd)}: is its run damaged?"
            for name, value in (("scores", {}), ("status", "not_finite"), ("reason", why)):
                object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON values, as one entry of ``clips`` in the published schema."""
        return {
            "clip": self.clip,
            "path": self.path,
            "status": self.status,
            "reason": self.reason,
            "scores": dict(self.scores),
            "coverage": dict(self.coverage),
            "notes": list(self.notes),
            "backend": self.backend,
            "intervals": {name: one._asdict() for name, one in self.intervals.items()},
            "percentiles": dict(self.percentiles),
            "warnings": [one._asdict() for one in self.warnings],
            "person": _person_tree(self.person) if self.person else None,
            "timeline": _timeline_tree(self.timeline) if self.timeline else None,
            "variance": dict(self.variance),
        }

    def to_frame(self) -> "pd.DataFrame":
        """One row per target: score, ends of the interval, percentile and spread, where known."""
        import pandas as pd

        spread = self.timeline.spread if self.timeline else {}
        rows = [
            {
                "target": name,
                "score": score,
                "low": self.intervals[name].low if name in self.intervals else np.nan,
                "high": self.intervals[name].high if name in self.intervals else np.nan,
                "percentile": self.percentiles.get(name, np.nan),
                "spread": spread.get(name, np.nan),
            }
            for name, score in self.scores.items()
        ]
        return pd.DataFrame(
            rows, columns=["target", "score", "low", "high", "percentile", "spread"]
        )

    def _repr_html_(self) -> str:
        """The answer as a notebook shows it: the face, if there is one, and a bar per target."""
        head = f"<p><b>{escape(self.clip)}</b></p>"
        if self.person and self.person.thumbnail:
            picture = b64encode(self.person.thumbnail).decode("ascii")
            head = f'<img alt="" height="72" src="data:image/jpeg;base64,{picture}">{head}'
        if not self.scores:
            return f"{head}<p>{escape(self.status)}: {escape(self.reason)}</p>"
        known = self.to_frame().dropna(axis="columns", how="all")
        table = known.round(3).to_html(index=False, border=0, na_rep="")
        doubts = "".join(f"<li>{escape(one.sentence)}</li>" for one in self.warnings)
        courses = self.timeline.scores if self.timeline else {}
        picture = drawn(self.scores, self.intervals, courses)
        return f"{head}{picture}{table}" + (f"<ul>{doubts}</ul>" if doubts else "")


def _person_tree(person: Person) -> dict[str, Any]:
    return {
        "number": person.number,
        "share": person.share,
        "speaks": person.speaks,
        "thumbnail": b64encode(person.thumbnail).decode("ascii"),
    }


def _timeline_tree(timeline: Timeline) -> dict[str, Any]:
    # JSON has no NaN: a window without a score is null.
    scores = {
        name: [value if isfinite(value) else None for value in row.tolist()]
        for name, row in timeline.scores.items()
    }
    return {
        "starts": timeline.starts.tolist(),
        "ends": timeline.ends.tolist(),
        "scores": scores,
        "spread": timeline.spread,
    }
