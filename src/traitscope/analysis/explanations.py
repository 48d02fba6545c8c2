"""One clip and a run in, an Explanation out: `explain`, and what the test over a split shares.

A clip is drawn as for its score. Then each part of the input gets its number (`attribution`), whole
streams and seconds are taken out, and the deletion test says whether the numbers mean anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.attribution import alone, attribute, scores_of
from traitscope.analysis.deletion import delete
from traitscope.analysis.evidence import Explanation, Strip
from traitscope.analysis.joining import MOST, joined, spread
from traitscope.analysis.parts import SEGMENTS, Part, parts_of
from traitscope.analysis.references import Reference, reference_of
from traitscope.analysis.regions import padding_of, region_of
from traitscope.data.batches import is_pictures
from traitscope.data.drawing import Example, draw_example
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.features.extraction import Extraction, extract_clip
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction import judging
from traitscope.prediction.inputs import tasks_of
from traitscope.prediction.windows import Window, cut, windows_of
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.types import Clip, Stream

Array = NDArray[np.float64]

SHORTEST = 0.5
"""Seconds of a stretch that is taken out of a pooled stream: less hardly moves a mean."""
_ORDERS, _FEWER = 20, 6
"""Random orders of the deletion test; the fewer ones of windows, and where pictures are large."""
_DEAR = 2_000_000  # pixels of a clip's pictures


@dataclass(frozen=True)
class Subject:
    """A clip as a model gets it.

    Attributes:
        clip: the clip.
        streams: all of its rows.
        example: what is drawn of them.
        seconds: its length.
    """

    clip: Clip
    streams: Mapping[str, Stream]
    example: Example
    seconds: float


def explain(
    run: Checkpoint | Path | str,
    clip: Path | str,
    *,
    text: Path | str | None = None,
    store: Path | str | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    limits: Limits = DEFAULTS,
    seed: int = 0,
) -> Explanation:
    """Say what in a clip moves the scores of a run: streams, seconds, regions, columns, words.

    Args:
        run: a run folder, or a loaded checkpoint.
        clip: a media file, a folder of images, or a text file.
        text: a file with the words of the clip.
        store: features of the run's own corpus, whose mean the clip is held against; by default
            the store that it was trained from, if that is still there.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        limits: of what a clip may take.
        seed: of the random orders of the deletion test.

    Raises:
        ConfigError: several clips were named, as by a folder of videos.
        DataError: the clip cannot be scored; the message says why.
        MissingError: the run's backend needs a file or package that is not here.

    Example:
        ``explain("runs/a", "clip.mp4").top("extraversion")``
    """
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model, streams=streams)
    tasks = tasks_of(checkpoint, [clip], text=text)
    if len(tasks) != 1:
        raise ConfigError(f"{clip} names {len(tasks)} clips; explain takes one at a time.")
    (task,) = tasks
    reference = reference_of(checkpoint, store)
    try:
        with Extraction(limits) as extraction:
            how: dict[str, Any] = {"given": task.given, "extraction": extraction, "seed": seed}
            made = explain_clip(checkpoint, task.clip, reference, **how)
    except ClipError as error:
        raise DataError(
            f"{task.clip.id} has no score to explain ({error.status}): {error}"
        ) from error
    path = str(task.path or task.clip.path or "")
    return replace(made, path=path, notes=tuple(dict.fromkeys([*task.notes, *made.notes])))


def explain_clip(
    checkpoint: Checkpoint,
    clip: Clip,
    reference: Reference,
    *,
    given: Mapping[str, Stream] | None = None,
    extraction: Extraction,
    seed: int = 0,
) -> Explanation:
    """Extract what the run needs from one clip and explain its scores.

    Args:
        checkpoint: the loaded run.
        clip: the clip.
        reference: from `reference_of`; it is the same for all clips of a run.
        given: streams that need no extraction, by name.
        extraction: trackers kept open from clip to clip.
        seed: of the random orders of the deletion test.

    Raises:
        ClipError: the clip cannot be scored.
        DataError: the model gives no number for what it is explained against.
        MissingError: the run's backend needs a file or package that is not here.
    """
    streams = _extracted(checkpoint, clip, given or {}, extraction)
    # `Extraction` has watched until here; what follows asks the model again and again.
    extraction.watch("explaining", 0.0)
    notes = [note for one in streams.values() for note in one.info.get("notes", ())]
    usual = judging.reference_of([checkpoint]).window_seconds
    if windows := windows_of(streams, usual):
        # `predict` cuts it, see docs/decisions/0048-a-long-recording-is-its-windows.md.
        made = _explain_windows(checkpoint, clip, streams, windows, reference, seed)
        notes.append(
            f"it is as long as {len(windows)} usual clips, and its scores are means over them"
            + (f"; explained are {MOST}, evenly spread." if len(windows) > MOST else ".")
        )
    else:
        subject = subject_of(checkpoint, clip, streams)
        made = explain_subject(checkpoint, subject, reference, seed=seed)
    return replace(made, notes=tuple(dict.fromkeys(notes)))


def _explain_windows(
    checkpoint: Checkpoint,
    clip: Clip,
    streams: Mapping[str, Stream],
    windows: Sequence[Window],
    reference: Reference,
    seed: int,
) -> Explanation:
    """Explain windows of a recording, each as a clip, and join what was found."""
    made, where = [], []
    for place in spread(windows):
        window = windows[place]
        rows = cut(streams, window, last=place == len(windows) - 1)
        try:
            subject = subject_of(checkpoint, clip, rows)
        except ClipError:  # nobody was seen, or nothing was heard, in this part alone
            continue
        subject = replace(subject, seconds=window.end - window.start)
        # Random orders of one window are those of another: their means are of as many orders.
        made.append(explain_subject(checkpoint, subject, reference, seed=seed, orders=_FEWER))
        where.append(window)
    if not made:
        why = "No window of the recording has a usable row of every stream."
        raise ClipError(why, status="empty")
    coverage = {name: round(one.coverage, 4) for name, one in streams.items()}
    whole = joined(made, where, seconds=windows[-1].end)
    return replace(whole, coverage=coverage)


def explain_subject(
    checkpoint: Checkpoint,
    subject: Subject,
    reference: Reference,
    *,
    seed: int = 0,
    orders: int = _ORDERS,
) -> Explanation:
    """Explain a clip that was drawn already.

    Args:
        checkpoint: the run.
        subject: the clip.
        reference: what it is held against.
        seed: of the random orders of the deletion test.
        orders: how many of them, at most.

    Raises:
        DataError: the model gives no number for what it is explained against.
    """
    facts, example = checkpoint.facts, subject.example
    parts = parts_of(example, facts.columns, subject.seconds)
    empty = reference.of(example, standardised(checkpoint))
    found = attribute(checkpoint, example, parts, empty)
    orders = orders if pixels(example) < _DEAR else min(orders, _FEWER)
    deletion = delete(checkpoint, example, parts, found.values, empty, orders=orders, seed=seed)
    if not np.isfinite(deletion.empty).all():
        raise DataError(
            f"{checkpoint.folder} gives no score for {reference.words}. Name its features with "
            f"--store."
        )
    return Explanation(
        clip=subject.clip.id,
        path=str(subject.clip.path or ""),
        run=str(checkpoint.folder),
        model=str(checkpoint.config.model["name"]),
        kind=facts.kind,
        corpus=facts.corpus,
        targets=facts.targets,
        scores=deletion.whole,
        seconds=subject.seconds,
        parts=parts,
        values=found.values,
        alone=alone(checkpoint, example, empty),
        strips=_strips(checkpoint, subject, parts, found.values),
        cells=_cells(checkpoint, parts),
        pictures=_pictures(example),
        deletion=deletion,
        method=found.method,
        against=reference.words,
        coverage={name: round(one.coverage, 4) for name, one in subject.streams.items()},
    )


def subject_of(checkpoint: Checkpoint, clip: Clip, streams: Mapping[str, Stream]) -> Subject:
    """Draw a clip as in evaluation.

    Raises:
        ClipError: a stream has no row.
    """
    draws, scalers = checkpoint.draws, checkpoint.scalers
    example = draw_example(clip, streams, draws, rng=None, scalers=scalers)
    ends = [float(s.info.get("duration_seconds") or 0) for s in streams.values()]
    last = [float(s.time[-1]) for s in streams.values() if len(s.time)]
    return Subject(clip, streams, example, max([*ends, *last, 0.0]))


def standardised(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Streams whose columns have mean 0 over the fitting clips."""
    return tuple(checkpoint.scalers)


def pixels(example: Example) -> int:
    """Pixels of a clip's pictures: what trying once more costs."""
    return sum(a.size // 3 for a in example.streams.values() if is_pictures(a))


def _extracted(
    checkpoint: Checkpoint, clip: Clip, given: Mapping[str, Stream], extraction: Extraction
) -> dict[str, Stream]:
    requests = {n: r for n, r in checkpoint.facts.requests.items() if n not in given}
    outcomes = extract_clip(clip, list(requests.values()), extraction=extraction)
    streams = dict(given)
    for name, request in requests.items():
        outcome = outcomes[request.key]
        if isinstance(outcome, ClipError):
            if checkpoint.draws[name].optional:
                continue
            raise outcome.again()
        streams[name] = outcome
    return streams


def _strips(
    checkpoint: Checkpoint, subject: Subject, parts: tuple[Part, ...], values: Array
) -> dict[str, Strip]:
    """What seconds add, stream by stream: sums of parts, or pooled anew without them."""
    strips: dict[str, Strip] = {}
    for name in subject.example.streams:
        if name not in subject.example.times:
            pooled = _pooled_strip(checkpoint, subject, name) if name in subject.streams else None
            if pooled is not None:
                strips[name] = pooled
            continue
        sums: dict[tuple[float, float], Array] = {}
        for part, one in zip(parts, values, strict=True):
            if part.stream == name and part.start is not None and part.end is not None:
                stretch = part.start, part.end
                sums[stretch] = sums.get(stretch, 0.0) + one
        if sums:
            edges = np.array(list(sums))
            strips[name] = Strip(edges[:, 0], edges[:, 1], np.array(list(sums.values())))
    return strips


def _pooled_strip(checkpoint: Checkpoint, subject: Subject, name: str) -> Strip | None:
    """What the scores lose when the rows of some seconds are left out of a pooled stream."""
    stream = subject.streams[name]
    count = int(np.clip(subject.seconds / SHORTEST, 1, SEGMENTS))
    edges = np.linspace(0, subject.seconds, count + 1)
    variants, kept = [], []
    for at in range(count):
        # The last stretch has its end, too: a row may lie there.
        last = np.inf if at == count - 1 else edges[at + 1]
        gone = (stream.time >= edges[at]) & (stream.time < last)
        valid = stream.mask & ~gone
        if not valid.any() or not (stream.mask & gone).any():
            continue
        streams = {**subject.streams, name: replace(stream, valid=valid)}
        variants.append(subject_of(checkpoint, subject.clip, streams).example)
        kept.append(at)
    if len(kept) < 2:
        return None
    scores = scores_of(checkpoint, [subject.example, *variants])
    return Strip(edges[kept], edges[np.array(kept) + 1], scores[0] - scores[1:])


def _cells(
    checkpoint: Checkpoint, parts: tuple[Part, ...]
) -> dict[str, dict[tuple[int, int], str]]:
    """The region of each cell, stream by stream."""
    regions: dict[str, dict[tuple[int, int], str]] = {}
    for part in parts:
        if part.cell is None or part.cell in regions.setdefault(part.stream, {}):
            continue
        config: Any = checkpoint.facts.requests[part.stream].config
        padding = padding_of(part.stream, config.model_dump())
        regions[part.stream][part.cell] = region_of(part.cell, padding=padding)
    return regions


def _pictures(example: Example) -> dict[str, tuple[tuple[float, bytes], ...]]:
    """The pictures that were looked at, as JPEG, with their seconds."""
    import cv2

    shown: dict[str, tuple[tuple[float, bytes], ...]] = {}
    for name, array in example.streams.items():
        if is_pictures(array):
            rows = np.flatnonzero(example.masks[name])
            coded = [cv2.imencode(".jpg", array[row][..., ::-1])[1].tobytes() for row in rows]
            times = example.times[name][rows].tolist()
            shown[name] = tuple(zip(times, coded, strict=True))
    return shown
