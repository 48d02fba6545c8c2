"""One clip and several requests -> their streams, from one decode and one tracker pass each.

A failure belongs to the extractors it stops: no audio fails those that listen, no face those that
look at faces. Here, and only here, an unexpected exception becomes a recorded failure.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from traitscope.errors import ClipError, ConfigError, MissingError, lacks_memory
from traitscope.extract import moments
from traitscope.features.request import Request
from traitscope.media import FrameReader, Rate, Sound, Spread, is_silent, read_frames, read_sound
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.media.opening import unreadable
from traitscope.tracking import FaceTracker, open_tracker
from traitscope.types import Clip, Face, Frame, Inputs, Stream

_log = logging.getLogger(__name__)

Pass = tuple[str, Rate | Spread]
"""A tracker pass: backend (empty for frames alone) and rate, or moments over the clip."""

Result = TypeVar("Result")


class Extraction:
    """Trackers that stay open from clip to clip; one per process, closed at the end.

    A tracker is told to forget before each clip, so a result never depends on the clips before.

    Attributes:
        limits: of what a clip may take.
    """

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.limits = limits
        self._trackers: dict[str, list[FaceTracker]] = {}

    def trackers(self, passes: Iterable[Pass]) -> dict[Pass, FaceTracker]:
        """Give each pass that tracks its tracker, fresh for the next clip."""
        given: dict[Pass, FaceTracker] = {}
        taken: Counter[str] = Counter()
        for key in passes:
            backend = key[0]
            if not backend:
                continue
            opened = self._trackers.setdefault(backend, [])
            if taken[backend] < len(opened):
                opened[taken[backend]].restart()
            else:
                opened.append(open_tracker(backend))
            given[key] = opened[taken[backend]]
            taken[backend] += 1
        return given

    def close(self) -> None:
        """Close all trackers."""
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


@dataclass
class _Job:
    """One request on its way through a clip.

    Attributes:
        outcome: what came of it; None while it is under way.
        facts: of the media, for the stream's ``info``.
        noticed: ``notes`` and ``read_share`` of all that it was made of: media, tracker, sound,
            streams below it and its own. They come in through `notice` alone.
    """

    request: Request
    extractor: Any
    outcome: Stream | ClipError | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    noticed: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.outcome is None

    def tracking_pass(self, clip_id: str) -> Pass:
        backend = self.request.backend if "tracks" in self.request.needs else ""
        return backend, moments(self.request.config, clip_id)

    def notice(self, notes: Iterable[str], share: float = 1.0) -> None:
        """Keep what was noticed on the way, each note once, and the smallest share read."""
        known = tuple(dict.fromkeys((*self.noticed.get("notes", ()), *notes)))
        if known:
            self.noticed["notes"] = list(known)
        if share < 1:
            least = min(share, self.noticed.get("read_share", 1.0))
            self.noticed["read_share"] = round(least, 6)

    def notice_all(self, info: Mapping[str, Any]) -> None:
        """Keep what a stream says that was noticed."""
        self.notice(info.get("notes", ()), info.get("read_share", 1.0))

    def needs(self, *kinds: str) -> bool:
        return any(kind in self.request.needs for kind in kinds)


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
    context = extraction if extraction is not None else Extraction()
    jobs = [_job(clip, request) for request in _with_upstream(requests)]
    try:
        _see_frames(clip, [j for j in jobs if j.alive and j.needs("frames", "tracks")], context)
        _finish(clip, jobs, context.limits)
    finally:
        if extraction is None:
            context.close()
    asked = {request.key for request in requests}
    return {j.request.key: _outcome(j) for j in jobs if j.request.key in asked}


def _with_upstream(requests: Iterable[Request]) -> list[Request]:
    """All requests once each, upstream first."""
    by_key: dict[str, Request] = {}
    for request in requests:
        for one in (*_with_upstream(request.upstream), request):
            by_key.setdefault(one.key, one)
    return list(by_key.values())


def _job(clip: Clip, request: Request) -> _Job:
    job = _Job(request, request.module.Extractor(request.config))
    if clip.path is None and job.needs("frames", "tracks", "audio"):
        job.outcome = ClipError(
            f"Clip {clip.id!r} has no media file. Give the folder of the media, or use extractors "
            f"that read text.",
            status="missing",
        )
    return job


def _see_frames(clip: Clip, jobs: Sequence[_Job], context: Extraction) -> None:
    """Decode once and show each frame to the extractors that want it."""
    if not jobs:
        return
    assert clip.path is not None
    passes: dict[Pass, list[_Job]] = {}
    for job in jobs:
        passes.setdefault(job.tracking_pass(clip.id), []).append(job)
    trackers = context.trackers(passes)
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
            wanted = {rate for rate, flag in zip(rates, flags, strict=True) if flag}
            for key, group in passes.items():
                if key[1] in wanted:
                    _show(clip, frame, trackers.get(key), [job for job in group if job.alive])
            if not any(job.alive for job in jobs):
                break
        facts = _media_facts(clip, reader)
        for key, group in passes.items():
            seen = trackers[key].notes() if key in trackers else ()
            for job in group:
                job.facts.update(facts)
                job.notice((*reader.notes, *seen), reader.share)

    _guard(clip, jobs, partial(run, clip.path))


def _show(clip: Clip, frame: Frame, tracker: FaceTracker | None, jobs: Sequence[_Job]) -> None:
    if not jobs:
        return
    faces: tuple[Face, ...] | None = ()
    if tracker is not None:
        faces = _guard(clip, jobs, partial(tracker.track, frame))
    if faces is None:
        return
    for job in jobs:
        _guard(clip, [job], partial(job.extractor.see, frame, faces))


def _media_facts(clip: Clip, reader: FrameReader) -> dict[str, Any]:
    whole = reader.info.duration_seconds
    stop = whole if clip.end is None else min(whole, clip.end)
    return {
        "duration_seconds": round(max(0.0, stop - (clip.start or 0.0)), 6),
        "fps": reader.info.fps,
    }


def _finish(clip: Clip, jobs: Sequence[_Job], limits: Limits) -> None:
    """Let each extractor finish, upstream first; sound is decoded once per sample rate."""
    sounds = _Sounds(clip, limits)
    for job in jobs:
        if job.alive:
            stream = _guard(clip, [job], partial(_finish_one, clip, job, jobs, sounds))
            if stream is not None:
                job.notice_all(stream.info)
                job.outcome = replace(stream, info={**job.facts, **stream.info, **job.noticed})
        if isinstance(job.outcome, ClipError):
            job.outcome = job.outcome.again(job.noticed.get("notes", ()))


def _finish_one(
    clip: Clip,
    job: _Job,
    jobs: Sequence[_Job],
    sounds: "_Sounds",
) -> Stream:
    waveform = None
    if job.needs("audio"):
        sound = sounds.at(job.request.config.sample_rate_hz)  # type: ignore[attr-defined]
        waveform = sound.waveform
        job.facts.setdefault("duration_seconds", round(waveform.duration_seconds, 6))
        job.notice(sound.notes, sound.share)
    streams: dict[str, Stream] = {}
    for request in job.request.upstream:
        outcome = next(other.outcome for other in jobs if other.request.key == request.key)
        if isinstance(outcome, ClipError):
            raise outcome.again()
        assert outcome is not None
        job.notice_all(outcome.info)
        streams[request.short_name] = outcome
    inputs = Inputs(clip=clip, waveform=waveform, streams=streams)
    stream: Stream = job.extractor.finish(inputs)
    return stream


@dataclass
class _Sounds:
    """The sound of a clip at each rate that is asked for, decoded once."""

    clip: Clip
    limits: Limits
    decoded: dict[int, Sound | ClipError] = field(default_factory=dict)

    def at(self, rate: int) -> Sound:
        """Sound in which nothing can be heard is none."""
        if rate not in self.decoded:
            try:
                self.decoded[rate] = self._read(rate)
            except ClipError as error:
                self.decoded[rate] = error
        heard = self.decoded[rate]
        if isinstance(heard, ClipError):
            raise heard.again()
        return heard

    def _read(self, rate: int) -> Sound:
        clip = self.clip
        assert clip.path is not None
        sound = read_sound(
            clip.path,
            sample_rate_hz=rate,
            start=clip.start,
            end=clip.end,
            track=clip.audio_track,
            limits=self.limits,
        )
        if len(sound.waveform.samples) and is_silent(sound.waveform):
            raise ClipError(
                f"The sound of clip {clip.id!r} is silent: its track holds no signal. Use "
                f"extractors that need none, or a recording with sound.",
                status="silent",
                notes=sound.notes,
            )
        return sound


def out_of_memory(clip: Clip) -> ClipError:
    """Make the failure of a clip that needs more memory than there is."""
    return ClipError(
        f"Clip {clip.id!r} needs more memory than there is. Shorten it (start, end), lower the "
        f"rate, or use fewer workers or a larger machine.",
        status="out_of_memory",
    )


def _guard(clip: Clip, jobs: Sequence[_Job], work: Callable[[], Result]) -> Result | None:
    """Do work for some jobs; what goes wrong with this clip becomes their outcome."""
    try:
        return work()
    except (ConfigError, MissingError):
        raise
    except ClipError as error:
        failure = error
    except PermissionError as error:
        failure = unreadable(error, clip.path)
    except Exception as error:
        failure = out_of_memory(clip) if lacks_memory(error) else _unexpected(clip, jobs, error)
    for job in jobs:
        if job.alive:
            job.outcome = failure
    return None


def _unexpected(clip: Clip, jobs: Sequence[_Job], error: Exception) -> ClipError:
    """What nobody foresaw costs one clip, and is told with its kind."""
    names = ", ".join(job.request.short_name for job in jobs)
    _log.debug("%s failed on clip %r", names, clip.id, exc_info=True)
    return ClipError(
        f"{names} failed on clip {clip.id!r}: {type(error).__name__}: {error}. "
        f"Leave the clip out and report this.",
        status="error",
    )


def _outcome(job: _Job) -> Stream | ClipError:
    assert job.outcome is not None
    return job.outcome
