"""A trained run and its clips -> what new clips are held against, see `runs.reference`.

Made once, at the end of training: nobody has to calibrate anything before the first prediction.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from traitscope.data.describing import described, known_share, words_of
from traitscope.data.drawing import Example
from traitscope.data.examples import Examples
from traitscope.data.protocols import cluster_numbers
from traitscope.runs.checkpoint import Checkpoint, Estimate
from traitscope.runs.reference import Reference, Residuals, clip_hash
from traitscope.statistics.familiarity import familiar
from traitscope.types import Clip, Draw

_SAMPLE = 200
"""Clips of each kind that are looked at: a share of one in a hundred needs no more."""
_PICTURED = 60  # of which pictures are decoded, which is what takes time
_WORDS = 300  # of a language: its most frequent ones are half of what is said in it
_USUAL = 0.01
"""Share of fitted clips that are called unusual."""

Array = NDArray[np.float64]


def refer(
    checkpoint: Checkpoint, fitting: Examples, selection: Examples, predicted: Estimate
) -> Reference:
    """Gather what new clips are held against.

    Args:
        checkpoint: the finished run.
        fitting: the fitted clips.
        selection: the validation clips; empty without validation.
        predicted: what the run says of the latter.
    """
    few = _PICTURED if any(_shows(draw) for draw in checkpoint.draws.values()) else _SAMPLE
    seen = checkpoint.examples(_some(fitting.clips, few), fitting.store)
    new = checkpoint.examples(_some(selection.clips, few), selection.store)
    fitted, held_out = ([each[n] for n in range(len(each))] for each in (seen, new))
    vectors = [[described(example) for example in some] for some in (fitted, held_out)]
    known = None
    if vectors[0] and len(vectors[0][0]):
        width = len(vectors[0][0])
        known = familiar(*(np.array(some).reshape(len(some), width) for some in vectors))
    words, least = _words(fitted)
    return Reference(
        residuals=_residuals(selection, predicted) if len(selection) else None,
        quantiles=_quantiles(fitting.labels()),
        least_coverage=_least_coverage(fitting),
        window_seconds=_usual_seconds(seen),
        familiar=known,
        words=words,
        least_known=least,
        language=_language(checkpoint) if words else "",
    )


def _shows(draw: Draw) -> bool:
    return draw.size is not None


def _some(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Clips at even steps: those of one source stand side by side, and say the same."""
    places = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    return [clips[place] for place in dict.fromkeys(places.tolist())]


def _residuals(selection: Examples, predicted: Estimate) -> Residuals:
    return Residuals(
        truth=selection.labels(),
        predicted=predicted.scores,
        group=np.asarray(cluster_numbers(selection.clips), dtype=np.int64),
        clip=np.array([clip_hash(clip.id) for clip in selection.clips], dtype=np.int64),
        sd=None if predicted.variance is None else np.sqrt(predicted.variance),
    )


def _quantiles(labels: Array) -> Array:
    """(101, targets) percentiles of labels; NaN for a target without any."""
    known = [column[np.isfinite(column)] for column in labels.T]
    grid = np.linspace(0, 1, 101)
    return np.stack(
        [np.quantile(c, grid) if len(c) else np.full(101, np.nan) for c in known], axis=1
    )


def _least_coverage(fitting: Examples) -> dict[str, float]:
    least = {}
    for stream, key in fitting.keys.items():
        rows = fitting.store.statuses(key)
        # An optional stream that failed says nothing of how much of the others could be read.
        shares = [rows[c.id].coverage for c in fitting.clips if rows[c.id].status == "ok"]
        if not shares:
            continue
        # Lower, not between two: the clip at the edge was fitted on, and is not unusual.
        least[stream] = round(float(np.quantile(shares, _USUAL, method="lower")), 4)
    return least


def _usual_seconds(examples: Examples) -> float | None:
    """Median length of clips in seconds; None where no stream has rows along the clip."""
    lengths = []
    for clip in examples.clips:
        there = [name for name in examples.keys if not examples.lacks(clip, name)]
        streams = [examples.stream(name, clip.id) for name in there]
        stated = [stream.info.get("duration_seconds") for stream in streams]
        ends = [float(stream.time[-1]) for stream in streams if len(stream.time) > 1]
        spans = [float(one) for one in stated if isinstance(one, int | float)] + ends
        if spans and ends:
            lengths.append(max(spans))
    return round(float(np.median(lengths)), 3) if lengths else None


def _words(fitted: Sequence[Example]) -> tuple[frozenset[str], float]:
    """The most frequent words, and a share of them that is low for a fitted clip."""
    said_in = [words_of(example.streams) for example in fitted]
    if not any(said_in):
        return frozenset(), 0.0
    # In how many clips, not how often: one who repeats a name does not make it a common word.
    counts = Counter(word for words in said_in for word in set(words))
    often = max(2, math.ceil(_USUAL * len(said_in)))
    frequent = frozenset(word for word, count in counts.most_common(_WORDS) if count >= often)
    shares = [known_share(words, frequent) for words in said_in if words]
    return frequent, round(float(np.quantile(shares, _USUAL, method="lower")), 4)


def _language(checkpoint: Checkpoint) -> str:
    requests = checkpoint.facts.requests.values()
    configs = [one.config for request in requests for one in (request, *request.upstream)]
    return next((str(c.language) for c in configs if hasattr(c, "language")), "")
