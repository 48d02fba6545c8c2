"""One clip and several requests -> their streams, from one decode and one tracker pass each.

A failure belongs to the extractors it stops: no audio fails those that listen, no face those that
look at faces. In this room alone an unexpected exception becomes a recorded failure, see
`_jobs.guard`.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from traitscope.errors import ClipError
from traitscope.features._finishing import finish_alone, finish_together
from traitscope.features._jobs import Job, Pass, guard, make_job
from traitscope.features.request import Request
from traitscope.media import FrameReader, read_frames
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.tracking import DETAILS, Detail, FaceTracker, open_tracker
from traitscope.types import Clip, Face, Frame, Stream

_log = logging.getLogger(__name__)


class Extraction:
    """Trackers that stay open from clip to clip; one per process, closed at the end.

    A tracker is told to forget before each clip, so a result never depends on the clips before.

    Attributes:
        limits: of what a clip may take.
        watch: called as watch(stage, share) while a clip is at work: ``decoding`` with the share of
            it that was seen, then ``sound`` and ``scoring``.
    """

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
        self.watch: Callable[[str, float], None] = _unwatched
        self._trackers: dict[str, list[FaceTracker]] = {}

    def trackers(self, passes: Mapping[Pass, Detail]) -> dict[Pass, FaceTracker]:
        """Give each pass that tracks its tracker, fresh for the next clip.

        Args:
            passes: each with what is asked of its faces.
        """
        given: dict[Pass, FaceTracker] = {}
        taken: Counter[str] = Counter()
        for key, detail in passes.items():
            backend = key[0]
            # Frames alone: nobody is tracked in this pass.
            if not backend:
                continue
            opened = self._trackers.setdefault(backend, [])
            # Passes of one backend at other rates need a tracker each: a tracker follows faces from
            # one picture to the next, and two rates would mix their times.
            if taken[backend] == len(opened):
                _log.debug("Opening tracker %d of %s.", len(opened) + 1, backend)
                opened.append(open_tracker(backend))
            given[key] = opened[taken[backend]]
            given[key].restart(detail)
            taken[backend] += 1
        return given

    def close(self) -> None:
        """Close all trackers."""
        # Popped first: what fails to close is not closed a second time.
        while self._trackers:
            for tracker in self._trackers.popitem()[1]:
                tracker.close()

    def __enter__(self) -> "Extraction":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def extract_clip(
    clip: Clip, requests: Sequence[Request], *, extraction: Extraction | None = None
) -> dict[str, Stream | ClipError]:
    """Compute the streams of one clip: one decode, one tracker pass per backend and rate.

    Args:
        clip: the clip.
        requests: from `make_request`; what they need upstream is computed with them.
        extraction: trackers kept open between clips; None opens and closes its own.

    Returns:
        Request key -> stream, or the ClipError that says why there is none.

    Raises:
        MissingError: a backend lacks a file, package or system library.
        ConfigError: a setting does not go with the others, or names what is not there.
    """
    return extract_clips([clip], requests, extraction=extraction)[0]


def extract_clips(
    clips: Sequence[Clip], requests: Sequence[Request], *, extraction: Extraction | None = None
) -> list[dict[str, Stream | ClipError]]:
    """Compute the streams of some clips: each decoded by itself, encoders over all at once.

    The streams of all of them are held until the last clip was seen; `clips_at_once` says how
    many are worth it. Arguments, results and errors otherwise as of `extract_clip`.
    """
    context = extraction if extraction is not None else Extraction()
    seen: list[tuple[Clip, list[Job]]] = []
    try:
        for clip in clips:
            jobs = [make_job(clip, request) for request in _with_upstream(requests)]
            _see_frames(clip, [j for j in jobs if j.alive and j.needs("frames", "tracks")], context)
            context.watch("sound", 0.0)
            finish_alone(clip, jobs, context.limits)
            seen.append((clip, jobs))
        finish_together(seen, context.limits)
        context.watch("scoring", 0.0)
    finally:
        if extraction is None:
            context.close()
    # What was computed only because something stands on it is not handed out.
    asked = {request.key for request in requests}
    return [
        {job.request.key: _outcome(job) for job in jobs if job.request.key in asked}
        for _, jobs in seen
    ]


def clips_at_once(requests: Iterable[Request]) -> int:
    """How many clips are worth extracting together: what an encoder gains, and 1 without one.

    Where media are decoded for something else too, that takes far longer than the encoder, and a
    run that is stopped should not lose the work of many clips: then it is 1 as well.
    """
    worth = []
    for request in requests:
        extractor = request.module.Extractor
        if hasattr(extractor, "finish_all"):
            worth.append(int(extractor(request.config).together))
        # Somebody else decodes this clip, so there is nothing to gain from more clips at once.
        elif {"frames", "tracks", "audio"} & request.all_needs:
            return 1
    return min(worth, default=1)


def is_short(outcome: Stream | ClipError) -> bool:
    """Whether a clip failed for want of memory, of which there may be enough later."""
    return isinstance(outcome, ClipError) and outcome.status == "out_of_memory"


def _with_upstream(requests: Iterable[Request]) -> list[Request]:
    """All requests once each, upstream first."""
    by_key: dict[str, Request] = {}
    for request in requests:
        for one in (*_with_upstream(request.upstream), request):
            by_key.setdefault(one.key, one)
    return list(by_key.values())


def _see_frames(clip: Clip, jobs: Sequence[Job], context: Extraction) -> None:
    """Decode once and show each frame to the extractors that want it."""
    if not jobs:
        return
    assert clip.path is not None
    passes: dict[Pass, list[Job]] = {}
    for job in jobs:
        passes.setdefault(job.tracking_pass(clip.id), []).append(job)
    # What one of them needs, all get: they share the faces.
    trackers = context.trackers(
        {
            key: max((job.detail for job in group), key=DETAILS.index)
            for key, group in passes.items()
        }
    )
    rates = list(dict.fromkeys(rate for _, rate in passes))

    def run(path: Path) -> None:
        reader = read_frames(
            path,
            rates=rates,
            start=clip.start,
            end=clip.end,
            fps=clip.fps,
            track=clip.video_track,
            limits=context.limits,
        )
        for frame, flags in reader:
            whole = _stop_of(clip, reader) - (clip.start or 0.0)
            context.watch("decoding", frame.time / whole if whole > 0 else 0.0)
            wanted = {rate for rate, flag in zip(rates, flags, strict=True) if flag}
            for key, group in passes.items():
                if key[1] in wanted:
                    _show(clip, frame, trackers.get(key), [job for job in group if job.alive])
            # All have failed, such as by a tracker that gave up: the rest of the clip is not
            # decoded.
            if not any(job.alive for job in jobs):
                break
        facts = _media_facts(clip, reader)
        for key, group in passes.items():
            seen = trackers[key].notes() if key in trackers else ()
            for job in group:
                job.facts.update(facts)
                job.notice((*reader.notes, *seen), reader.share)

    guard(clip, jobs, partial(run, clip.path))


def _show(clip: Clip, frame: Frame, tracker: FaceTracker | None, jobs: Sequence[Job]) -> None:
    if not jobs:
        return
    faces: tuple[Face, ...] | None = ()
    if tracker is not None:
        faces = guard(clip, jobs, partial(tracker.track, frame))
    # The tracker failed here, and with it all jobs of the pass.
    if faces is None:
        return
    for job in jobs:
        guard(clip, [job], partial(job.extractor.see, frame, faces))


def _media_facts(clip: Clip, reader: FrameReader) -> dict[str, Any]:
    return {
        "duration_seconds": round(max(0.0, _stop_of(clip, reader) - (clip.start or 0.0)), 6),
        "fps": reader.info.fps,
    }


def _stop_of(clip: Clip, reader: FrameReader) -> float:
    """Seconds into the file where a clip ends."""
    whole = reader.info.duration_seconds
    return whole if clip.end is None else min(whole, clip.end)


def _unwatched(stage: str, share: float) -> None:
    """Nobody wants to know."""


def _outcome(job: Job) -> Stream | ClipError:
    assert job.outcome is not None
    return job.outcome
