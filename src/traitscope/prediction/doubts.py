"""Streams and examples of a clip, and what its run was trained on -> reasons to doubt its scores.

A clip of which far less could be read than in training gets no score; others get warnings.
"""

import math
from collections.abc import Mapping

import numpy as np

from traitscope.data.describing import described, known_share, words_of
from traitscope.data.drawing import Example
from traitscope.errors import ClipError
from traitscope.runs.reference import Reference
from traitscope.types import Caution, Stream

_SIDEWAYS = math.radians(35)
"""Turn of the head, from where on half of the mouth and one eye are hidden to a camera."""
_HARDLY = 0.2  # of the sound: fewer frames than this with a signal are hardly any
_HEARD = 1e-6
"""Mean square of a frame in which something is heard: -60 dB of full scale."""
_FEWEST_WORDS = 12  # below which a share of frequent words says nothing
_USUAL = 0.8  # a clip of which this much was read needs no warning, however whole the others were


def check_coverage(
    reference: Reference, coverage: Mapping[str, float], least: float | None = None
) -> None:
    """Refuse a clip of which too little could be read.

    Args:
        reference: of the run, which states what too little is.
        coverage: stream -> share of its rows that are there.
        least: instead, the least share of every stream.

    Raises:
        ClipError: names the stream (status ``low_coverage``).
    """
    for name, share in coverage.items():
        needed = reference.refused_coverage.get(name, 0.0) if least is None else least
        if share < needed:
            whose = "this run needs" if least is None else "--least-coverage asks for"
            raise ClipError(
                f"Only {share:.0%} of {name} could be read, and {whose} {needed:.0%}. Use a "
                f"recording in which more is seen and heard, or score it all the same with "
                f"--least-coverage 0.",
                status="low_coverage",
            )


def doubts(
    reference: Reference,
    streams: Mapping[str, Stream],
    coverage: Mapping[str, float],
    examples: "Evidence",
) -> tuple[Caution, ...]:
    """Warnings about one clip.

    Args:
        reference: of the run.
        streams: of the clip.
        coverage: stream -> share of its rows that are there.
        examples: what was drawn of it.
    """
    noticed = [
        _unfamiliar(reference, examples),
        _language(reference, streams, examples),
        _side_view(streams),
        _silence(streams),
        *(_incomplete(reference, name, share) for name, share in coverage.items()),
    ]
    return tuple(one for one in noticed if one is not None)


class Evidence:
    """What is kept of the examples of a clip, which are many in a long recording."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self.distances: list[float] = []
        self.words: list[str] = []

    def add(self, example: Example) -> None:
        """Look at one example."""
        if not self.words and self._reference.words:
            self.words = words_of(example.streams)
        known = self._reference.familiar
        if known is None:
            return
        vector = described(example)
        # Features of another width are those of another extractor, which is refused elsewhere.
        if len(vector) == len(known.mean):
            self.distances.append(float(known.distance(vector[None])[0]))


def _unfamiliar(reference: Reference, examples: Evidence) -> Caution | None:
    known = reference.familiar
    if known is None or not examples.distances:
        return None
    # Of a long recording what is usual counts, not its strangest moment.
    distance = float(np.median(examples.distances))
    if distance <= known.threshold:
        return None
    return Caution(
        "out-of-distribution",
        f"The clip is unlike those the run was trained on: its features lie "
        f"{distance / known.threshold:.1f} times as far away as 99 % of those do.",
    )


def _language(
    reference: Reference, streams: Mapping[str, Stream], examples: Evidence
) -> Caution | None:
    ours = reference.language.partition("-")[0].casefold()
    # A recogniser says what it heard; words alone are held against the frequent ones.
    heard = next((s.info["language"] for s in streams.values() if "language" in s.info), "")
    if heard and ours and str(heard).casefold() != ours:
        return Caution(
            "language", f"The language spoken is {heard!r}; the run was trained on {ours!r}."
        )
    share = known_share(examples.words, reference.words)
    if heard or len(examples.words) < _FEWEST_WORDS or not share < reference.least_known:
        return None
    return Caution(
        "language",
        f"Only {share:.0%} of the words are frequent ones of the training clips"
        f"{f', whose language is {ours!r}' * bool(ours)}: is this another language?",
    )


def _side_view(streams: Mapping[str, Stream]) -> Caution | None:
    for stream in streams.values():
        turn = _turn(stream)
        if turn is not None and turn > _SIDEWAYS:
            return Caution(
                "side-view",
                f"The face is turned by {math.degrees(turn):.0f} degrees to the side for most of "
                f"the time: half of what it shows is hidden.",
            )
    return None


def _turn(stream: Stream) -> float | None:
    """How far a face is turned to the side as a rule, in radians."""
    if stream.values is not None and "pose_Ry" in stream.columns:
        turns = np.abs(stream.values[stream.mask, stream.columns.index("pose_Ry")])
        turns = turns[np.isfinite(turns)]
        return float(np.median(turns)) if len(turns) else None
    ends = stream.info.get("pose_range", {}).get("pose_Ry")
    # Of chips only the range is kept: turned all the time is what both ends say.
    return max(float(ends[0]), -float(ends[1]), 0.0) if ends else None


def _silence(streams: Mapping[str, Stream]) -> Caution | None:
    for stream in streams.values():
        if stream.values is None or "energy" not in stream.columns or not stream.mask.any():
            continue
        energy = stream.values[stream.mask, stream.columns.index("energy")]
        share = float(np.mean(energy > _HEARD))
        if share < _HARDLY:
            return Caution(
                "silence", f"Something is heard in {share:.0%} of the clip: the rest is silent."
            )
    return None


def _incomplete(reference: Reference, name: str, share: float) -> Caution | None:
    usual = min(reference.least_coverage.get(name, 0.0), _USUAL)
    if share >= usual:
        return None
    return Caution(
        "low-coverage",
        f"{share:.0%} of {name} could be read; of 99 % of the training clips it was {usual:.0%} "
        f"or more.",
    )
