"""Clips that were seen -> their streams: upstream first, encoders over all clips at once.

    clip a   faces -> embedding        short_term
    clip b   faces -> embedding        short_term
             each alone  | all clips   each alone

What finishes a clip alone does so at once, so that its sound can go; what computes many clips at a
time (an extractor with ``finish_all``) waits until the last of them is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from traitscope.errors import ClipError, ConfigError, MissingError
from traitscope.features._jobs import Job, guard
from traitscope.media import Sound, is_silent, read_sound
from traitscope.media.limits import Limits
from traitscope.types import Clip, Inputs, Stream

Seen = tuple[Clip, Sequence[Job]]
"""A clip whose pictures were shown, and its jobs, upstream first."""


def finish_alone(clip: Clip, jobs: Sequence[Job], limits: Limits) -> None:
    """Finish what needs no other clip; sound is decoded once per sample rate."""
    sounds, later = Sounds(clip, limits), _later(jobs)
    for job in jobs:
        if job.request.key not in later:
            _finish(clip, job, jobs, sounds)


def finish_together(seen: Sequence[Seen], limits: Limits) -> None:
    """Finish what waited, one extractor after another, each over all clips at once."""
    later = _later(seen[0][1]) if seen else set()
    for place, first in enumerate(seen[0][1] if seen else ()):
        if first.request.key not in later:
            continue
        column = [(clip, jobs[place], jobs) for clip, jobs in seen]
        if not first.waits:  # it stands on something that waited
            for clip, job, jobs in column:
                _finish(clip, job, jobs, Sounds(clip, limits))
            continue
        waiting: list[tuple[Clip, Job, Inputs]] = []
        for clip, job, jobs in column:
            given = _inputs(clip, job, jobs, Sounds(clip, limits)) if job.alive else None
            if given is None:
                job.settle(None)
            else:
                waiting.append((clip, job, given))
        _finish_all(waiting)


def _later(jobs: Sequence[Job]) -> set[str]:
    """Keys of what waits for other clips, and of what stands on it."""
    later: set[str] = set()
    for job in jobs:  # upstream first
        if job.waits or any(request.key in later for request in job.request.upstream):
            later.add(job.request.key)
    return later


def _finish_all(waiting: Sequence[tuple[Clip, Job, Inputs]]) -> None:
    if not waiting:
        return
    extractor = waiting[0][1].extractor
    try:
        results = extractor.finish_all([given for _, _, given in waiting])
    # These would be the same for every clip, and are the user's to mend.
    except (ConfigError, MissingError):
        raise
    except Exception:  # of one of them, or of memory: each pays for itself alone
        for clip, job, given in waiting:
            alone = guard(clip, [job], partial(extractor.finish_all, [given]))
            job.settle(None if alone is None else alone[0])
        return
    for (_, job, _), result in zip(waiting, results, strict=True):
        job.settle(result)


def _finish(clip: Clip, job: Job, jobs: Sequence[Job], sounds: "Sounds") -> None:
    result = None
    if job.alive:
        given = _inputs(clip, job, jobs, sounds)
        if given is not None:
            result = guard(clip, [job], partial(job.extractor.finish, given))
    job.settle(result)


def _inputs(clip: Clip, job: Job, jobs: Sequence[Job], sounds: "Sounds") -> Inputs | None:
    """What a job reads of a clip; None if some of it is not there, which is then its outcome."""
    return guard(clip, [job], partial(_gather, clip, job, jobs, sounds))


def _gather(clip: Clip, job: Job, jobs: Sequence[Job], sounds: "Sounds") -> Inputs:
    waveform = None
    if job.needs("audio"):
        sound = sounds.at(job.request.config.sample_rate_hz)  # type: ignore[attr-defined]
        waveform = sound.waveform
        job.facts.setdefault("duration_seconds", round(waveform.duration_seconds, 6))
        job.notice(sound.notes, sound.share)
    streams: dict[str, Stream] = {}
    for request in job.request.upstream:
        # A handful of jobs: looking through them takes less than to keep a second index right.
        outcome = next(other.outcome for other in jobs if other.request.key == request.key)
        if isinstance(outcome, ClipError):
            raise outcome.again()
        assert outcome is not None
        job.notice_all(outcome.info)
        streams[request.short_name] = outcome
    return Inputs(clip=clip, waveform=waveform, streams=streams)


@dataclass
class Sounds:
    """The sound of a clip at each rate that is asked for, decoded once."""

    clip: Clip
    limits: Limits
    decoded: dict[int, Sound | ClipError] = field(default_factory=dict)

    def at(self, rate: int) -> Sound:
        """Sound in which nothing can be heard is none."""
        # An error is kept as well, or a broken file would be decoded again by each that listens.
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
        # No samples at all are for each extractor to judge, which knows how many it needs.
        if len(sound.waveform.samples) and is_silent(sound.waveform):
            raise ClipError(
                f"The sound of clip {clip.id!r} is silent: its track holds no signal. Use "
                f"extractors that need none, or a recording with sound.",
                status="silent",
                notes=sound.notes,
            )
        return sound
