"""Corpus x extractors -> store: one decode and one detection per clip, many clips at a time.

What is finished is not done again; a clip that fails is a row with a reason, and the others go on.
"""

import gc
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.features.dealing import Crew, crew_of, deal, failure_of, is_short_of_memory
from traitscope.features.extraction import Extraction, clips_at_once, extract_clips, is_short
from traitscope.features.forecast import Forecast, try_clips
from traitscope.features.origins import Served, serving
from traitscope.features.remote import open_store
from traitscope.features.request import Request, make_request
from traitscope.features.stock import Stock
from traitscope.features.store import OK, Origin, StatusRow, Store
from traitscope.features.summary import Summary, summarise
from traitscope.media import Tracks, cores
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.notes import joined
from traitscope.types import Clip, Corpus, Hook, Stream

__all__ = ["Forecast", "Requests", "Summary", "estimate", "prepare"]

Requests = Sequence[Request] | Mapping[str, Mapping[str, Any]]
Rows = list[tuple[str, StatusRow]]


@dataclass(frozen=True)
class _Task:
    """One clip, and for each key of a feature to make, what identifies that which is read."""

    clip: Clip
    origins: Mapping[str, Origin]


@dataclass(frozen=True)
class _Work:
    """What a worker does with a task: extract, write, and hand back the status rows."""

    store: Store
    requests: Mapping[str, Request]
    extraction: Extraction
    again: bool = False
    """Whether it is tried once more: memory may be enough when the others have finished."""

    def __call__(self, tasks: Sequence[_Task]) -> list[Rows]:
        rows: list[Rows] = []
        # Clips of one call lack the same features as a rule; those that do not are done apart.
        for keys, same in groupby(tasks, key=lambda task: tuple(task.origins)):
            rows += self._extract(list(same), [self.requests[key] for key in keys])
        return rows

    def _extract(self, tasks: Sequence[_Task], requests: Sequence[Request]) -> list[Rows]:
        clips = [task.clip for task in tasks]
        every = extract_clips(clips, requests, extraction=self.extraction)
        # Nothing of the clip is written then: its second try begins from nothing.
        if self.again and any(is_short(outcome) for one in every for outcome in one.values()):
            raise MemoryError
        return [
            [(key, self._keep(key, task, streams[key])) for key in task.origins]
            for task, streams in zip(tasks, every, strict=True)
        ]

    def _keep(self, key: str, task: _Task, result: Any) -> StatusRow:
        origin = task.origins[key]
        if isinstance(result, Stream):
            return self.store.write(key, task.clip.id, result, origin=origin)
        return _row(task.clip, result, origin)


@dataclass
class _Plan:
    """What is to be done.

    Attributes:
        tasks: clips to extract, with the features to make.
        absent: rows of clips whose media is not there.
        confirmed: rows of finished clips that did not say yet whose they are.
        untried: how many clips failed before for a reason that lasts, and lack nothing else.
        skipped: how many clips have nothing to do.
        changed: ids whose stored features are of other media.
    """

    tasks: list[_Task] = field(default_factory=list)
    absent: list[tuple[str, StatusRow]] = field(default_factory=list)
    confirmed: list[tuple[str, StatusRow]] = field(default_factory=list)
    untried: int = 0
    skipped: int = 0
    changed: list[str] = field(default_factory=list)


def prepare(
    corpus: Corpus | str,
    requests: Requests,
    *,
    store: Store | Path | str,
    workers: int | None = None,
    ray: str | None = None,
    retry: bool = False,
    hook: Hook | None = None,
    limits: Limits = DEFAULTS,
) -> Summary:
    """Extract features from the media of a corpus into a store.

    Finished clips are skipped, so that the same call resumes an interrupted one. Failed ones are
    tried again where another outcome is possible: not those without a face, sound or words in the
    same media (see ``retry``). A clip whose media differs in content (size and both ends), interval
    or chosen track from what its features were made of is extracted again. Clips of another corpus
    with the same ids stay beside them.

    Args:
        corpus: a corpus, or its address such as ``table:clips.csv``.
        requests: extractions, or extractor -> settings: ``{"faces": {"rate": 5}}``.
        store: the folder of features.
        workers: processes; one per core by default, 0 to work in this process.
        ray: address of a Ray cluster whose cores are the workers, ``local`` to start one here;
            media and store are in a folder that all its machines see.
        retry: try all failed clips again.
        hook: called with (done, total, clip) after each clip.
        limits: of what one clip may take; a clip beyond fails.

    Raises:
        MissingError: an extractor needs a model file or a package that is not there.
        TraitscopeError: the store cannot be written.

    Example:
        >>> import traitscope
        >>> summary = traitscope.prepare(
        ...     "table:study/clips.csv", "store", {"faces": {"rate": 5}}
        ... )  # doctest: +SKIP
    """
    started = time.monotonic()
    given = workers
    corpus, wanted, store, workers = _settled(corpus, requests, store, workers)
    # Before any work: a store that cannot be written is told now, not after the first clip.
    for key, request in wanted.items():
        store.add(key, request.fingerprint)
    with _uncollected():
        plan = _plan(corpus, wanted, store, retry=retry)
    with crew_of(ray if plan.tasks else None, given, workers) as crew:
        _work_off(plan, store, wanted, crew, hook, limits)
    with _uncollected():
        summary = summarise(corpus, wanted, store)
    return replace(
        summary,
        extracted=len(plan.tasks),
        skipped=plan.skipped,
        untried=plan.untried,
        changed=tuple(plan.changed),
        seconds=time.monotonic() - started,
    )


def with_tracks(corpus: Corpus, tracks: Tracks) -> Corpus:
    """The same corpus, with these tracks of every file instead of its default ones."""
    return corpus.with_clips(
        [replace(clip, video_track=tracks.video, audio_track=tracks.audio) for clip in corpus.clips]
    )


def estimate(
    corpus: Corpus | str,
    requests: Requests,
    *,
    store: Store | Path | str,
    workers: int | None = None,
    retry: bool = False,
    samples: int = 5,
    limits: Limits = DEFAULTS,
) -> Forecast:
    """Estimate time and disk of `prepare` with the same arguments, from a few of the clips.

    Nothing is written into the store.

    Args:
        corpus: a corpus or its address.
        requests: extractions, or extractor -> settings.
        store: where `prepare` would write; what is finished there is not counted.
        workers: processes that `prepare` would have.
        retry: count all failed clips, as `prepare` would try them.
        samples: clips to try.
        limits: of what one clip may take; a clip beyond fails.
    """
    corpus, wanted, store, workers = _settled(corpus, requests, store, workers)
    plan = _plan(corpus, wanted, store, retry=retry)
    # One process: the rate of many is computed, and no worker has to start for five clips.
    with Extraction(limits) as extraction:

        def work(scratch: Store, place: int) -> Rows:
            return _Work(scratch, wanted, extraction)([plan.tasks[place]])[0]

        absent = len({row.clip for _, row in plan.absent})
        counts = (len(corpus.clips), len(plan.tasks), plan.skipped, absent)
        return try_clips(work, counts, keys=list(wanted), samples=samples, workers=workers)


def _settled(
    corpus: Corpus | str, requests: Requests, store: Store | Path | str, workers: int | None
) -> tuple[Corpus, dict[str, Request], Store, int]:
    """Turn what a user gives into what is worked with."""
    # Decoding and tracking scale with processes; a second per core only waits.
    workers = cores() if workers is None else workers
    if workers < 0:
        raise ConfigError(f"The number of workers is {workers}; it must be 0 or more.")
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    wanted = _by_key(requests)
    if not corpus.clips:
        raise DataError(f"{corpus.name} has no clips.")
    store = store if isinstance(store, Store) else open_store(store)
    return corpus, wanted, serving(store, corpus.clips, corpus=corpus.name), workers


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have Python look for no cycles: rows make none, and each search walks all of them again.

    With it, what a clip takes grows with their number: 1.3 times as much of 30,000 as of 1,000.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _by_key(requests: Requests) -> dict[str, Request]:
    if isinstance(requests, Mapping):
        typed = registry.typed(streams=requests)
        requests = [make_request(name, to, typed=typed) for name, to in requests.items()]
    if not requests:
        raise ConfigError("Nothing to extract: name at least one extractor, such as faces.")
    return {request.key: request for request in requests}


def _plan(corpus: Corpus, requests: Mapping[str, Request], store: Store, *, retry: bool) -> _Plan:
    """Compare what is asked for with what is stored."""
    served = store.chooser
    assert isinstance(served, Served)
    stock = {key: Stock(corpus, served, store, key) for key in requests}
    plan = _Plan()
    for clip in corpus.clips:
        states = {key: stock[key].state(clip, request) for key, request in requests.items()}
        done = {key for key, state in states.items() if state.done(retry=retry)}
        to_do = {key: state for key, state in states.items() if key not in done}
        tasks = {key: state.origin for key, state in to_do.items() if state.origin is not None}
        plan.absent += [
            (key, state.missing) for key, state in to_do.items() if state.missing is not None
        ]
        plan.confirmed += [(k, row) for k in sorted(done) if (row := states[k].confirmed())]
        # Nothing is lacking that could be had: either all is there, or it failed for good.
        if not to_do:
            failed = any(
                state.row is not None and state.row.status != OK for state in states.values()
            )
            # Told apart in the summary: finished clips need nothing, these may need a look.
            plan.untried += failed
            plan.skipped += not failed
        if any(state.changed for state in states.values()):
            plan.changed.append(clip.id)
        if tasks:
            path = None if clip.path is None else clip.path.absolute()
            plan.tasks.append(_Task(replace(clip, path=path), tasks))
    return plan


def _work_off(
    plan: _Plan,
    store: Store,
    requests: Mapping[str, Request],
    crew: Crew,
    hook: Hook | None,
    limits: Limits,
) -> None:
    try:
        # First, so that they stand there however long the rest takes.
        _record(store, [*plan.absent, *plan.confirmed])
        _extract(plan.tasks, store, requests, crew, hook, limits)
    # Also when somebody stops it: status.csv is then as tidy as after a whole run.
    finally:
        with _uncollected():
            for key in requests:
                store.settle(key)


def _extract(
    tasks: Sequence[_Task],
    store: Store,
    requests: Mapping[str, Request],
    crew: Crew,
    hook: Hook | None,
    limits: Limits,
) -> None:
    """Do the tasks, and record each as it finishes."""
    with Extraction(limits) as extraction:  # each worker gets its own, empty, opens its trackers
        # The plain store: which of several streams of an id is meant was settled in the plan.
        # By its whole path: another machine begins in another folder.
        work = _Work(Store(store.folder.absolute()), requests, extraction, again=bool(crew[1]))
        together = clips_at_once(requests.values())
        results = _dealt(work, tasks, crew, together=together)
        with closing(results):  # ends the workers when recording fails
            for done, (place, result) in enumerate(results, 1):
                task = tasks[place]
                failure = failure_of(task.clip, result)
                _record(store, _failed(task, failure) if failure is not None else result)
                if hook is not None:
                    hook(done, len(tasks), task.clip.id)


def _dealt(
    work: _Work, tasks: Sequence[_Task], crew: Crew, *, together: int
) -> Generator[tuple[int, Any], None, None]:
    """Deal tasks; where memory was short, once more when no other is at work."""
    short = []
    run, workers = crew
    with closing(deal(work, tasks, workers=workers, together=together, run=run)) as results:
        for place, result in results:
            if is_short_of_memory(result):
                short.append(place)
            else:
                yield place, result
    # Now only what is short fails: other features of the clip are kept.
    again = [tasks[place] for place in short]
    last = replace(work, again=False)
    with closing(deal(last, again, workers=min(1, workers), run=run)) as results:
        for number, result in results:
            yield short[number], result


def _record(store: Store, rows: Iterable[tuple[str, StatusRow]]) -> None:
    for key, row in rows:
        if row.status != OK:
            # of other media: a stream that is there counts
            store.discard(key, row.clip, row.file)
        store.record(key, row)


def _failed(task: _Task, error: ClipError) -> Rows:
    return [(key, _row(task.clip, error, origin)) for key, origin in task.origins.items()]


def _row(clip: Clip, error: ClipError, origin: Origin) -> StatusRow:
    notes = joined(error.notes)
    return StatusRow(clip.id, error.status, str(error), notes=notes, **asdict(origin))
