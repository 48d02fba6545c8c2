"""Clips and a run -> predictions: extraction as for its training, then the model, in one process.

`Scorer` is what a process does with the clips it gets: the run is loaded and each tracker opened
once, for all of them. Whatever finds clips (files, tables, later people or windows of a recording)
hands them over as Tasks, and need not know how they are dealt out.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from traitscope import registry
from traitscope.data.batches import collate
from traitscope.data.drawing import Example, draw_example
from traitscope.data.examples import first_lacking
from traitscope.errors import ClipError, lacks_memory
from traitscope.features.dealing import crew_of, deal, failure_of, processes_for
from traitscope.features.extraction import Extraction, clips_at_once, extract_clips, is_short
from traitscope.features.request import Request
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction.series import (
    FirstStage,
    extracted,
    first_stage_of,
    made_here,
    series,
)
from traitscope.runs.checkpoint import Checkpoint, open_run
from traitscope.types import Clip, Prediction, Stream

_MEDIA = frozenset({"frames", "tracks", "audio"})

WITHOUT_MEDIA = 64
"""Clips scored at once where no media are decoded: words are few milliseconds each, and a text
encoder that gets many of them, sorted by length, pads little."""

_SCORED = 32
"""Clips that a model sees at once, as in evaluation: memory of the longest, times this."""


@dataclass(frozen=True)
class Task:
    """One clip to score.

    Attributes:
        clip: the clip.
        path: what the user named it by; empty for one that was named by nothing.
        given: streams that need no extraction, by name, such as the rows of a table.
        notes: what was noticed before it is extracted.
    """

    clip: Clip
    path: Path | None = None
    given: Mapping[str, Stream] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class Scorer:
    """Scores tasks in one process, with one loaded run and trackers that stay open.

    Attributes:
        folder: of the run.
        typed: what the user typed of the run's own code.
        requests: how streams are extracted, by name.
        extraction: the trackers; empty when it is sent to another process.
        again: raise where memory is short, to be tried once more when other processes have ended.
        checkpoint: the loaded run; None to load it when the first clip comes, in this process.
        stage: the first stage of a run that is a second one, loaded with it.
    """

    folder: Path
    typed: registry.Typed
    requests: Mapping[str, Request]
    extraction: Extraction
    again: bool = False
    checkpoint: Checkpoint | None = None
    stage: FirstStage | None = None

    def __call__(self, tasks: Sequence[Task]) -> list[Prediction]:
        """Score some clips together.

        Raises:
            MissingError: the run's backend needs a file or package that is not here.
            MemoryError: there is too little, and others may give some back.
        """
        if self.checkpoint is None:
            # Not sent along: a network on a GPU cannot be, and files are read faster than they are
            # pickled.
            self.checkpoint = open_run(self.folder, self.typed)
            self.stage = first_stage_of(self.checkpoint)
        half = [one for some in self._extracted(tasks) for one in some]
        if self.again and any(is_short(error) for one in half for error in one.errors):
            raise MemoryError
        # A clip that failed has nothing to score, and must not be a row of zeros among the others.
        ready = [one for one in half if one.example is not None]
        for first in range(0, len(ready), _SCORED):
            self._fill_in_or_less(ready[first : first + _SCORED])
        return [one.prediction for one in half]

    def _extracted(self, tasks: Sequence[Task]) -> Iterable[list["_Half"]]:
        # Clips of one call bring the same streams along as a rule; those that do not are apart.
        for given, same in groupby(tasks, key=lambda task: tuple(task.given)):
            some = list(same)
            wanted = {name: one for name, one in self.requests.items() if name not in given}
            stage = self.stage if made_here(wanted) else None
            # Two names may stand for one extraction: what a second stage reads beside its series
            # may be the pictures of the first.
            lacking = {one.key: one for one in extracted(wanted, stage).values()}
            clips = [task.clip for task in some]
            every = extract_clips(clips, list(lacking.values()), extraction=self.extraction)
            yield [self._half(task, one) for task, one in zip(some, every, strict=True)]

    def _half(self, task: Task, outcomes: Mapping[str, Stream | ClipError]) -> "_Half":
        """Draw what the model takes of a clip, or say why there is nothing to draw."""
        checkpoint = self.checkpoint
        assert checkpoint is not None
        notes = [*task.notes, *_notes([*task.given.values(), *outcomes.values()])]
        streams: dict[str, Stream] = {}
        given = {**task.given, **self._series(task, outcomes)}
        failed: dict[str, ClipError] = {}
        example: Example | None = None
        failure: ClipError | None = None
        try:
            draws, scalers = checkpoint.draws, checkpoint.scalers
            for name, request in self.requests.items():
                stream = given[name] if name in given else outcomes[request.key]
                if isinstance(stream, ClipError):
                    failed[name] = stream
                else:
                    streams[name] = stream
            lacking = first_lacking(failed, draws, self.requests)
            if lacking is not None:
                raise lacking.again()
            notes += [f"scored without {name}: {why}" for name, why in failed.items()]
            example = draw_example(task.clip, streams, draws, rng=None, scalers=scalers)
        except ClipError as error:
            failure = error
        prediction = Prediction(
            clip=task.clip.id,
            status="ok" if failure is None else failure.status,
            reason="" if failure is None else str(failure),
            coverage={name: round(stream.coverage, 4) for name, stream in streams.items()},
            backend=_backend(checkpoint, self.stage),
            notes=tuple(dict.fromkeys(notes)),
            path=str(task.path or task.clip.path or ""),
        )
        # Also those of streams that come after the one that failed first: memory may be short
        # there.
        errors = [one for one in outcomes.values() if isinstance(one, ClipError)]
        return _Half(prediction, example, errors)

    def _series(
        self, task: Task, outcomes: Mapping[str, Stream | ClipError]
    ) -> Mapping[str, Stream | ClipError]:
        """Scores of the clip's frames by the first stage, where the run is a second one."""
        lacking = [name for name in made_here(self.requests) if name not in task.given]
        if self.stage is None or not lacking:
            return {}
        pictures: dict[str, Stream] = {}
        try:
            for name, request in self.stage.requests.items():
                outcome = outcomes[request.key]
                if isinstance(outcome, ClipError):
                    raise outcome.again()  # with the coverage of those before
                pictures[name] = outcome
            made = series(self.stage, task.clip, pictures)
        except ClipError as error:
            return dict.fromkeys(lacking, error)
        return {name: made[name] for name in lacking}

    def _fill_in_or_less(self, ready: Sequence["_Half"]) -> None:
        """Score clips side by side; where memory is too short for that, one by one."""
        try:
            self._fill_in(ready)
        except Exception as error:
            if not lacks_memory(error):
                raise
            if len(ready) > 1:
                for one in ready:
                    self._fill_in_or_less([one])
                return
            (one,) = ready
            failure = failure_of(Clip(one.prediction.clip), MemoryError())
            assert failure is not None
            one.prediction = replace(
                one.prediction, status=failure.status, reason=str(failure), scores={}
            )

    def _fill_in(self, ready: Sequence["_Half"]) -> None:
        """Score clips side by side: batches are padded and masked as in training."""
        assert self.checkpoint is not None
        facts = self.checkpoint.facts
        names = [target.name for target in facts.targets]
        examples = [one.example for one in ready if one.example is not None]
        scores = self.checkpoint.predict(collate(examples, names, columns=facts.columns))
        for one, row in zip(ready, scores.tolist(), strict=True):
            one.prediction = replace(one.prediction, scores=dict(zip(names, row, strict=True)))


@dataclass
class _Half:
    """A clip between extraction and model: what is known of it, and what the model gets."""

    prediction: Prediction
    example: Example | None
    errors: Sequence[ClipError]


def score(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    requests: Mapping[str, Request],
    *,
    workers: int | None = 0,
    ray: str | None = None,
    limits: Limits = DEFAULTS,
) -> Generator[tuple[int, Prediction], None, None]:
    """Score clips; yield (place, prediction) as they come.

    Args:
        checkpoint: the loaded run; other processes load it themselves.
        tasks: the clips.
        requests: how streams are extracted.
        workers: processes; None for one per core where there is enough to read, 0 to work here.
        ray: address of a Ray cluster whose actors are the processes; ``local`` starts one here.
        limits: of what one clip may take.

    Raises:
        MissingError: the run's backend needs a file or package that is not here.
    """
    # What only some tasks bring along is extracted for the others, so it counts as lacking.
    given = set.intersection(*(set(task.given) for task in tasks)) if tasks else set()
    wanted = {name: request for name, request in requests.items() if name not in given}
    stage = first_stage_of(checkpoint) if made_here(wanted) else None
    lacking = list(extracted(wanted, stage).values())
    reads_media = any(request.all_needs & _MEDIA for request in lacking)
    given_workers = workers
    if workers is None:
        workers = processes_for(len(tasks)) if reads_media else 0
    crew = crew_of(ray if tasks else None, given_workers, workers)
    with Extraction(limits) as extraction, crew as (run, workers):
        # By its whole path: another machine begins in another folder.
        folder = checkpoint.folder.absolute() if ray else checkpoint.folder
        tasks = [_from_anywhere(task) for task in tasks] if ray else tasks
        scorer = Scorer(folder, checkpoint.typed, requests, extraction)
        # Alone in the machine, a process would lack the memory the second time as well.
        scorer.again = bool(workers)
        if not workers:
            scorer.checkpoint, scorer.stage = checkpoint, stage
        together = clips_at_once(lacking) if reads_media else WITHOUT_MEDIA
        dealt = deal(scorer, tasks, workers=workers, together=together, run=run)
        with closing(dealt) as results:
            for place, result in results:
                failure = failure_of(tasks[place].clip, result)
                yield (
                    place,
                    result if failure is None else _failed(checkpoint, tasks[place], failure),
                )


def _from_anywhere(task: Task) -> Task:
    path = task.clip.path
    if path is None:
        return task
    return replace(task, clip=replace(task.clip, path=path.absolute()), path=task.path or path)


def _backend(checkpoint: Checkpoint, stage: FirstStage | None) -> str | None:
    """What found the faces: of a second stage, in the pictures of the first."""
    return checkpoint.backend or (stage.members[0].backend if stage is not None else None)


def _failed(checkpoint: Checkpoint, task: Task, error: ClipError) -> Prediction:
    return Prediction(
        clip=task.clip.id,
        status=error.status,
        reason=str(error),
        backend=checkpoint.backend,
        notes=tuple(dict.fromkeys((*task.notes, *error.notes))),
        path=str(task.path or task.clip.path or ""),
    )


def _notes(outcomes: Iterable[Stream | ClipError]) -> tuple[str, ...]:
    """What was noticed while extracting, also by what failed."""
    return tuple(
        note
        for one in outcomes
        for note in (one.notes if isinstance(one, ClipError) else one.info.get("notes", ()))
    )
