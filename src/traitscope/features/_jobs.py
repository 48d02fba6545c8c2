"""A request on its way through a clip: what came of it, what was noticed, and who pays for errors.

In: a clip and a request. Out: a Job whose outcome is a stream or the reason why there is none.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from traitscope.errors import ClipError, ConfigError, MissingError, lacks_memory
from traitscope.extract import moments
from traitscope.features.request import Request
from traitscope.media import Rate, Spread
from traitscope.media.opening import unreadable
from traitscope.tracking import Detail
from traitscope.types import Clip, Stream

_log = logging.getLogger(__name__)

Pass = tuple[str, Rate | Spread]
"""A tracker pass: backend (empty for frames alone) and rate, or moments over the clip."""

Result = TypeVar("Result")


@dataclass
class Job:
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
        """Whether it is still under way."""
        return self.outcome is None

    @property
    def waits(self) -> bool:
        """Whether its clips are finished together with others, once all were seen."""
        return hasattr(self.extractor, "finish_all")

    def tracking_pass(self, clip_id: str) -> Pass:
        """The tracker and the moments at which it wants to see the clip."""
        backend = self.request.backend if "tracks" in self.request.needs else ""
        return backend, moments(self.request.config, clip_id)

    @property
    def detail(self) -> Detail:
        """What is asked of the faces: all that there is, where an extractor does not say."""
        detail: Detail = getattr(self.request.module, "DETAIL", "mesh")
        return detail

    def notice(self, notes: Iterable[str], share: float = 1.0) -> None:
        """Keep what was noticed on the way, each note once, and the smallest share read."""
        known = tuple(dict.fromkeys((*self.noticed.get("notes", ()), *notes)))
        if known:
            self.noticed["notes"] = list(known)
        # Of whole media nothing is said: most are whole, and every stream would carry the number.
        if share < 1:
            # Sound and pictures may end at different times; what was seen of both is what counts.
            least = min(share, self.noticed.get("read_share", 1.0))
            self.noticed["read_share"] = round(least, 6)

    def notice_all(self, info: Mapping[str, Any]) -> None:
        """Keep what a stream says that was noticed."""
        self.notice(info.get("notes", ()), info.get("read_share", 1.0))

    def needs(self, *kinds: str) -> bool:
        """Whether it reads one of these."""
        return any(kind in self.request.needs for kind in kinds)

    def settle(self, result: Stream | ClipError | None) -> None:
        """Take what came of it, with all that was noticed; None for what failed before."""
        if isinstance(result, Stream):
            self.notice_all(result.info)
            result = replace(result, info={**self.facts, **result.info, **self.noticed})
        self.outcome = result if result is not None else self.outcome
        # A new one for each job: one exception object in many jobs would gather all their traces.
        if isinstance(self.outcome, ClipError):
            self.outcome = self.outcome.again(self.noticed.get("notes", ()))


def make_job(clip: Clip, request: Request) -> Job:
    """Begin a request on a clip; without media, what reads media has failed already."""
    job = Job(request, request.module.Extractor(request.config))
    if clip.path is None and job.needs("frames", "tracks", "audio"):
        job.outcome = ClipError(
            f"Clip {clip.id!r} has no media file. Give the folder of the media, or use extractors "
            f"that read text.",
            status="missing",
        )
    return job


def guard(clip: Clip, jobs: Sequence[Job], work: Callable[[], Result]) -> Result | None:
    """Do work for some jobs; what goes wrong with this clip becomes their outcome."""
    try:
        return work()
    except (ConfigError, MissingError):  # would go wrong with every clip
        raise
    except ClipError as error:
        failure = error
    except PermissionError as error:
        failure = unreadable(error, clip.path)
    except Exception as error:
        failure = out_of_memory(clip) if lacks_memory(error) else _unexpected(clip, jobs, error)
    # Those that had an outcome keep it: the first reason is the one that can be mended.
    for job in jobs:
        if job.alive:
            job.outcome = failure
    return None


def _unexpected(clip: Clip, jobs: Sequence[Job], error: Exception) -> ClipError:
    """What nobody foresaw costs one clip, and is told with its kind."""
    names = ", ".join(job.request.short_name for job in jobs)
    _log.debug("%s failed on clip %r", names, clip.id, exc_info=True)
    return ClipError(
        f"{names} failed on clip {clip.id!r}: {type(error).__name__}: {error}. "
        f"Leave the clip out and report this.",
        status="error",
    )


def out_of_memory(clip: Clip) -> ClipError:
    """Make the failure of a clip that needs more memory than there is."""
    return ClipError(
        f"Clip {clip.id!r} needs more memory than there is. Shorten it (start, end), lower the "
        f"rate, or use fewer workers or a larger machine.",
        status="out_of_memory",
    )
