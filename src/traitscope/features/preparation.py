"""Corpus x extractors -> store: one decode and one detection per clip, many clips at a time.

What is finished is not done again; a clip that fails is a row with a reason, and the others go on.
"""

import time
import zlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from traitscope.corpora import load_corpus
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.extract import table_of
from traitscope.extract.transcript import find_transcript
from traitscope.features import pool as _pool
from traitscope.features.extraction import Extraction, extract_clip, out_of_memory
from traitscope.features.forecast import Forecast, try_clips
from traitscope.features.request import Request, make_request
from traitscope.features.store import OK, StatusRow, Store
from traitscope.features.summary import Summary, summarise
from traitscope.media import Tracks, cores
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.types import Clip, Corpus, Hook, Stream

__all__ = ["Forecast", "Requests", "Summary", "estimate", "prepare"]

Requests = Sequence[Request] | Mapping[str, Mapping[str, Any]]
Rows = list[tuple[str, StatusRow]]

_UNSEEN = (0, "")

_END_BYTES = 2**16
"""Of each end of a file are looked at to tell whether it is what it was."""


@dataclass(frozen=True)
class _Task:
    """One clip, and for each key of a feature to make, what identifies that which is read."""

    clip: Clip
    origins: Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class _Work:
    """What a worker does with a task: extract, write, and hand back the status rows."""

    store: Store
    requests: Mapping[str, Request]
    extraction: Extraction
    again: bool = False
    """Memory may be enough when the other workers have finished: to be tried once more then."""

    def __call__(self, task: _Task) -> Rows:
        requests = [self.requests[key] for key in task.origins]
        streams = extract_clip(task.clip, requests, extraction=self.extraction)
        if self.again and any(_is_short(outcome) for outcome in streams.values()):
            raise MemoryError
        return [(key, self._keep(key, task, streams[key])) for key in task.origins]

    def _keep(self, key: str, task: _Task, result: Any) -> StatusRow:
        media_bytes, span = task.origins[key]
        if isinstance(result, Stream):
            return self.store.write(key, task.clip.id, result, media_bytes=media_bytes, span=span)
        return StatusRow(task.clip.id, result.status, str(result), 0, 0.0, media_bytes, span)


def _is_short(outcome: Stream | ClipError) -> bool:
    return isinstance(outcome, ClipError) and outcome.status == "out_of_memory"


@dataclass
class _Plan:
    """What is to be done.

    Attributes:
        tasks: clips to extract, with the features to make.
        absent: rows of clips whose media is not there.
        skipped: how many clips have nothing to do.
        changed: ids whose stored features are of other media.
    """

    tasks: list[_Task] = field(default_factory=list)
    absent: list[tuple[str, StatusRow]] = field(default_factory=list)
    skipped: int = 0
    changed: list[str] = field(default_factory=list)


def prepare(
    corpus: Corpus | str,
    requests: Requests,
    *,
    store: Store | Path | str,
    workers: int | None = None,
    hook: Hook | None = None,
    limits: Limits = DEFAULTS,
) -> Summary:
    """Extract features from the media of a corpus into a store.

    Finished clips are skipped and failed ones tried again, so that the same call resumes an
    interrupted one. A clip whose media differs in content (size and both ends), interval or
    chosen track from what its features were made of is extracted again.

    Args:
        corpus: a corpus, or its address such as ``table:clips.csv``.
        requests: extractions, or extractor -> settings: ``{"faces": {"rate": 5}}``.
        store: the folder of features.
        workers: processes; one per core by default, 0 to work in this process.
        hook: called with (done, total, clip) after each clip.
        limits: of what one clip may take; a clip beyond fails.

    Raises:
        MissingError: an extractor needs a model file or a package that is not there.
        TraitscopeError: the store cannot be written.

    Example:
        >>> import traitscope
        >>> summary = traitscope.prepare(
        ...     "table:study/clips.csv", {"faces": {"rate": 5}}, store="store"
        ... )  # doctest: +SKIP
        >>> summary.failed  # doctest: +SKIP
        ('clip_17',)
    """
    started = time.monotonic()
    corpus, wanted, store, workers = _settled(corpus, requests, store, workers)
    for key, request in wanted.items():
        store.add(key, request.fingerprint)
    plan = _plan(corpus, wanted, store)
    try:
        _record(store, plan.absent)
        _extract(plan.tasks, store, wanted, workers, hook, limits)
    finally:
        for key in wanted:
            store.settle(key)
    return replace(
        summarise(corpus, wanted, store),
        extracted=len(plan.tasks),
        skipped=plan.skipped,
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
    samples: int = 5,
) -> Forecast:
    """Estimate time and disk of `prepare` with the same arguments, from a few of the clips.

    Nothing is written into the store.

    Args:
        corpus: a corpus or its address.
        requests: extractions, or extractor -> settings.
        store: where `prepare` would write; what is finished there is not counted.
        workers: processes that `prepare` would have.
        samples: clips to try.
    """
    corpus, wanted, store, workers = _settled(corpus, requests, store, workers)
    plan = _plan(corpus, wanted, store)
    with Extraction() as extraction:

        def work(scratch: Store, place: int) -> Rows:
            return _Work(scratch, wanted, extraction)(plan.tasks[place])

        absent = len({row.clip for _, row in plan.absent})
        counts = (len(corpus.clips), len(plan.tasks), plan.skipped, absent)
        return try_clips(work, counts, keys=list(wanted), samples=samples, workers=workers)


def _settled(
    corpus: Corpus | str, requests: Requests, store: Store | Path | str, workers: int | None
) -> tuple[Corpus, dict[str, Request], Store, int]:
    """Turn what a user gives into what is worked with."""
    workers = cores() if workers is None else workers
    if workers < 0:
        raise ConfigError(f"The number of workers is {workers}; it must be 0 or more.")
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    wanted = _by_key(requests)
    if not corpus.clips:
        raise DataError(f"{corpus.name} has no clips.")
    return corpus, wanted, store if isinstance(store, Store) else Store(Path(store)), workers


def _by_key(requests: Requests) -> dict[str, Request]:
    if isinstance(requests, Mapping):
        requests = [make_request(name, to, outside=True) for name, to in requests.items()]
    if not requests:
        raise ConfigError("Nothing to extract: name at least one extractor, such as faces.")
    return {request.key: request for request in requests}


def _plan(corpus: Corpus, requests: Mapping[str, Request], store: Store) -> _Plan:
    """Compare what is asked for with what is stored."""
    stored = {key: store.statuses(key) for key in requests}
    plan = _Plan()
    for clip in corpus.clips:
        media = _media(clip)
        finished = {key: row for key in requests if (row := stored[key].get(clip.id))}
        origins = {key: _origin(clip, request, media) for key, request in requests.items()}
        finished = {key: row for key, row in finished.items() if row.status == OK}
        other = [
            key
            for key, row in finished.items()
            if media != _UNSEEN  # finished features stay where the media is gone or unreadable
            and origins[key] not in (None, (row.media_bytes, row.span))
        ]
        to_do = [key for key in requests if key in other or key not in finished]
        possible = {key: origin for key in to_do if (origin := origins[key]) is not None}
        plan.absent += [(key, _missing(clip)) for key in to_do if key not in possible]
        plan.skipped += not to_do
        if other:
            plan.changed.append(clip.id)
        if possible:
            plan.tasks.append(_Task(clip, possible))
    return plan


def _media(clip: Clip) -> tuple[int, str] | None:
    """Size and checksum of a clip's file, or of the files of its folder; None if it is not there.

    What cannot be looked at is `_UNSEEN`: whoever reads it says what is wrong, and what was made
    of it before stays.
    """
    if clip.path is None:
        return None
    try:
        if not clip.path.is_dir():
            return _file(clip.path)
        sound = clip.path.with_name(f"{clip.path.name}.wav")
        files = [path for path in (*clip.path.iterdir(), sound) if path.is_file()]
        sizes = {path.name: path.stat().st_size for path in sorted(files)}
        return sum(sizes.values()), _checksum(str(sizes))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return _UNSEEN


def _file(path: Path) -> tuple[int, str]:
    """Size and a checksum of both ends: edited sound has the size it had."""
    size = path.stat().st_size
    if not path.is_file():  # opening a pipe would wait for a writer
        return size, ""
    with path.open("rb") as file:
        ends = file.read(_END_BYTES)
        file.seek(max(0, size - _END_BYTES))
        return size, _checksum(ends + file.read())


def _checksum(content: bytes | str) -> str:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return f"{zlib.crc32(data):08x}"


def _origin(clip: Clip, request: Request, media: tuple[int, str] | None) -> tuple[int, str] | None:
    """What identifies that which an extractor reads of a clip; None if it is not there."""
    needs = _needs(request)
    reads_media = bool(needs & {"frames", "tracks", "audio", "table"})
    if "table" in needs:
        table = table_of(clip)
        media = _file(table) if table is not None else None
    if reads_media and media is None:
        return None
    size, content = media if reads_media and media else (0, "")
    span = [content] if content else []
    if reads_media and (clip.start or clip.end is not None or clip.fps):
        end = "" if clip.end is None else f"{clip.end!r}"
        span.append(f"{clip.start or 0.0!r}-{end}" + (f" at {clip.fps!r}" if clip.fps else ""))
    span += [
        f"{kind} track {number}"
        for kind, number, readers in (
            ("video", clip.video_track, {"frames", "tracks"}),
            ("audio", clip.audio_track, {"audio"}),
        )
        if number is not None and needs & readers
    ]
    if "text" in needs:
        span.append(f"text {_checksum(_words(clip, request))}")
    return size, ", ".join(span)


def _needs(request: Request) -> set[str]:
    """What an extractor reads of a clip, itself or through the streams it is made from."""
    return set(request.needs).union(*(_needs(below) for below in request.upstream))


def _words(clip: Clip, request: Request) -> str:
    try:
        config = request.config
        return find_transcript(
            clip,
            language=getattr(config, "language", "en"),
            speaker=getattr(config, "speaker", None),
        ).words
    except ClipError:  # becomes its status row when the clip's turn comes
        return ""


def _missing(clip: Clip) -> StatusRow:
    what = f"There is no file {clip.path}." if clip.path else "No media file was found for it."
    return StatusRow(clip.id, "missing", what)


def _extract(
    tasks: Sequence[_Task],
    store: Store,
    requests: Mapping[str, Request],
    workers: int,
    hook: Hook | None,
    limits: Limits,
) -> None:
    """Do the tasks, and record each as it finishes."""
    with Extraction(limits) as extraction:  # each worker gets its own, empty, opens its trackers
        work = _Work(store, requests, extraction, again=bool(workers))
        results = _pool.run(work, tasks, workers=workers) if workers else _here(work, tasks)
        with closing(results):  # ends the workers when recording fails
            for done, (place, result) in enumerate(results, 1):
                task = tasks[place]
                crashed = isinstance(result, _pool.Crash)
                _record(store, _crashed(task, result) if crashed else result)
                if hook is not None:
                    hook(done, len(tasks), task.clip.id)


def _here(work: _Work, tasks: Sequence[_Task]) -> Generator[tuple[int, Any], None, None]:
    """Do the tasks in this process."""
    for place, task in enumerate(tasks):
        try:
            rows = work(task)
        except MemoryError:  # while its features are written
            failure = out_of_memory(task.clip)
            rows = _failed(task, failure.status, str(failure))
        yield place, rows


def _record(store: Store, rows: Iterable[tuple[str, StatusRow]]) -> None:
    for key, row in rows:
        if row.status != OK:
            store.discard(key, row.clip)  # of other media: a stream that is there counts
        store.record(key, row)


def _crashed(task: _Task, crash: _pool.Crash) -> Rows:
    reason = (
        f"The worker process ended twice on this clip ({crash.how}): short of memory, or a fault "
        f"in a decoder. Re-encode the clip or leave it out."
    )
    return _failed(task, "crashed", reason)


def _failed(task: _Task, status: str, reason: str) -> Rows:
    return [
        (key, StatusRow(task.clip.id, status, reason, 0, 0.0, media_bytes, span))
        for key, (media_bytes, span) in task.origins.items()
    ]
