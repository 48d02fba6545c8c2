"""What was found in one clip: the evidence for every score, to be read, drawn and tabulated.

`Explanation` is what ``traitscope.explain`` returns; ``report.explanation`` draws it as a page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.deletion import Deletion
from traitscope.analysis.parts import Part
from traitscope.types import Target

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

PEAK_SECONDS, PEAK_SHARE = 1.0, 1 / 12
"""Length of the stretch that is named as the top seconds: at least a second, or a twelfth of the
clip; a single picture is less than anybody can look at."""


@dataclass(frozen=True)
class Strip:
    """What stretches of time add.

    Attributes:
        start, end: (stretches,) seconds.
        values: (stretches, targets).
    """

    start: Array
    end: Array
    values: Array

    def peak(self, target: int, sign: float) -> tuple[float, float]:
        """The seconds that hold a score most on one side of the reference."""
        length = max(PEAK_SECONDS, PEAK_SHARE * float(self.end[-1] - self.start[0]))
        middle = (self.start + self.end) / 2
        inside = np.abs(middle[:, None] - middle[None]) <= length / 2
        best = int(np.argmax(inside @ (sign * self.values[:, target])))
        first, *_, last = [*np.flatnonzero(inside[best]), np.flatnonzero(inside[best])[-1]]
        return float(self.start[first]), float(self.end[last])


@dataclass(frozen=True)
class Top:
    """What holds a score on its side of the reference most; name and region in those seconds.

    Attributes:
        stream: whose loss costs most.
        seconds: of that stream; None where it has no time.
        name: the column, action unit or words of that stream; empty where it has none.
        region: of the pictures; empty without pictures.
    """

    stream: str
    seconds: tuple[float, float] | None = None
    name: str = ""
    region: str = ""


@dataclass(frozen=True)
class Explanation:
    """The evidence for the scores of one clip.

    Attributes:
        clip: its id.
        path: of its media; empty for words alone.
        run, model, kind, corpus: what the scores come from, and whose judgement they imitate.
        targets: what is scored.
        scores: (targets,).
        seconds: length of the clip.
        parts: of the input.
        values: (parts, targets) what each adds to each score, see ``method``.
        alone: stream -> (targets,) what the scores lose without it.
        strips: stream -> what its seconds add.
        cells: stream of pictures -> cell -> the region that it lies in.
        pictures: stream -> (seconds, JPEG) of each row.
        deletion: the test of it all.
        method: how the values were computed, in words.
        against: what the reference is, in words.
        coverage: stream -> share of its rows that were there.
        notes: what was noticed in the clip.
    """

    clip: str
    path: str
    run: str
    model: str
    kind: str
    corpus: str
    targets: tuple[Target, ...]
    scores: Array
    seconds: float
    parts: tuple[Part, ...]
    values: Array
    alone: Mapping[str, Array]
    strips: Mapping[str, Strip]
    cells: Mapping[str, Mapping[tuple[int, int], str]]
    pictures: Mapping[str, tuple[tuple[float, bytes], ...]]
    deletion: Deletion
    method: str
    against: str
    coverage: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def target(self, name: str) -> int:
        """The place of a target."""
        return [target.name for target in self.targets].index(name)

    @property
    def regions(self) -> dict[str, dict[str, Array]]:
        """What the regions of pictures add: stream -> region -> (targets,)."""
        every = {stream: self._sums(stream, self._region) for stream in self.cells}
        return {stream: sums for stream, sums in every.items() if sums}

    def names(self, stream: str) -> dict[str, Array]:
        """What the columns or words of a stream add, in the order in which they first occur."""
        return self._sums(stream, lambda part: part.name)

    def _region(self, part: Part) -> str:
        return "" if part.cell is None else self.cells[part.stream][part.cell]

    def _sums(
        self,
        stream: str,
        named: Callable[[Part], str],
        seconds: tuple[float, float] | None = None,
    ) -> dict[str, Array]:
        """What the parts of a stream add, by name; only those that begin in some seconds."""
        first, end = seconds or (-np.inf, np.inf)
        sums: dict[str, Array] = {}
        for part, values in zip(self.parts, self.values, strict=True):
            inside = part.start is None or first <= part.start < end
            if part.stream == stream and inside and (name := named(part)):
                sums[name] = sums.get(name, 0.0) + values
        return sums

    def top(self, name: str) -> Top:
        """What holds the score of a target on its side of the reference most."""
        place = self.target(name)
        sign = float(self.deletion.towards[place])
        stream = max(self.alone, key=lambda one: sign * self.alone[one][place])
        strip = self.strips.get(stream)
        seconds = None if strip is None else strip.peak(place, sign)

        def best(named: Callable[[Part], str]) -> str:
            # In those seconds: what somebody looks like all along adds to every second of a clip,
            # and would drown what is done in some of them.
            of = self._sums(stream, named, seconds)
            return max(of, key=lambda one: sign * of[one][place], default="")

        return Top(
            stream,
            seconds,
            best(lambda part: part.name),
            best(self._region) if stream in self.cells else "",
        )

    def to_frame(self) -> "pd.DataFrame":
        """A row per part: stream, start, end, name, cell, region, then what it adds per target."""
        import pandas as pd

        rows = [
            {
                "stream": part.stream,
                "start": part.start,
                "end": part.end,
                "name": part.name,
                "row": None if part.cell is None else part.cell[0],
                "column": None if part.cell is None else part.cell[1],
                **{t.name: v for t, v in zip(self.targets, values.tolist(), strict=True)},
            }
            for part, values in zip(self.parts, self.values, strict=True)
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values: scores, top evidence and the deletion test per target."""
        traits = []
        for place, target in enumerate(self.targets):
            top, (value, low, high) = self.top(target.name), self.deletion.gain(place)
            traits.append(
                {
                    "target": target.name,
                    "label": target.label,
                    "score": float(self.scores[place]),
                    "reference": float(self.deletion.empty[place]),
                    "stream": top.stream,
                    "seconds": None if top.seconds is None else list(top.seconds),
                    "name": top.name,
                    "region": top.region,
                    "without": {name: float(one[place]) for name, one in self.alone.items()},
                    "deletion": {"value": value, "low": low, "high": high},
                    "verdict": self.deletion.verdict(place, span_of(target)),
                }
            )
        return {
            "clip": self.clip,
            "path": self.path,
            "run": self.run,
            "model": self.model,
            "kind": self.kind,
            "corpus": self.corpus,
            "seconds": self.seconds,
            "method": self.method,
            "against": self.against,
            "coverage": dict(self.coverage),
            "notes": list(self.notes),
            "targets": traits,
        }

    def _repr_html_(self) -> str:
        import pandas as pd

        told = self.to_dict()
        rows = [
            {
                "trait": one["label"],
                "score": round(one["score"], 3),
                "instead of": round(one["reference"], 3),
                "stream": one["stream"],
                "seconds": ""
                if one["seconds"] is None
                else "{:.1f}–{:.1f}".format(*one["seconds"]),
                "what": one["name"] or one["region"],
                "evidence": one["verdict"],
            }
            for one in told["targets"]
        ]
        head = (
            f"<p>{escape(self.kind.replace('_', '-'))} traits of <code>{escape(self.clip)}</code>"
        )
        table = pd.DataFrame(rows).to_html(index=False, border=0)
        return f"{head} against {escape(self.against)}</p>{table}"


def span_of(target: Target) -> float:
    """How wide the range of a target is; 1, its standard deviation, for a z-score."""
    return 1.0 if target.low is None or target.high is None else target.high - target.low
