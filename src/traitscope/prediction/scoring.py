"""Clips and a run -> predictions: extraction as for its training, then the model, in one process.

`Scorer` is what a process does with the clips it gets: the run is loaded and each tracker opened
once, for all of them. Whatever finds clips (files, tables, later people or windows of a recording)
hands them over as Tasks, and need not know how they are dealt out.
"""

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from traitscope import registry
from traitscope.data.batches import collate
from traitscope.data.drawing import Example, draw_example
from traitscope.data.examples import first_lacking
from traitscope.errors import ClipError, lacks_memory
from traitscope.features.dealing import crew_of, deal, failure_of, processes_for
from traitscope.features.extraction import Extraction, clips_at_once, extract_clips, is_short
from traitscope.features.request import Request
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction.doubts import Evidence, check_coverage, doubts
from traitscope.prediction.halves import USUAL, Half, Wishes, made_by_first_stage
from traitscope.prediction.judging import Judge, judge_of
from traitscope.prediction.people import deal_out, everybody, voice_notes
from traitscope.prediction.series import FirstStage, extracted, first_stage_of, made_here
from traitscope.prediction.windows import cut, timeline, windows_of
from traitscope.runs.checkpoint import Checkpoint, open_run
from traitscope.types import Clip, Prediction, Stream

_MEDIA = frozenset({"frames", "tracks", "audio"})

WITHOUT_MEDIA = 64
"""Clips scored at once where no media are decoded: words are few milliseconds each, and a text
encoder that gets many of them, sorted by length, pads little."""

_SCORED = 32
"""Clips that a model sees at once, as in evaluation: memory of the longest, times this."""

_WINDOWS = 8
"""Windows of a recording that a model sees at once: a long one takes no more memory than these."""


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
        wishes: what is asked beside scores.
        judge: what is known of the run's scores; None to find out when the first clip comes.
        stage: the first stage of a run that is a second one, loaded with it.
    """

    folder: Path
    typed: registry.Typed
    requests: Mapping[str, Request]
    extraction: Extraction
    again: bool = False
    checkpoint: Checkpoint | None = None
    wishes: Wishes = USUAL
    judge: Judge | None = None
    stage: FirstStage | None = None

    def __call__(self, tasks: Sequence[Task]) -> list[list[Prediction]]:
        """Score some clips together; each has one prediction, or one for each person in it.

        Raises:
            MissingError: the run's backend needs a file or package that is not here.
            MemoryError: there is too little, and others may give some back.
        """
        if self.checkpoint is None:
            # Not sent along: a network on a GPU cannot be, and files are read faster than they are
            # pickled.
            self.checkpoint = open_run(self.folder, self.typed)
            self.stage = first_stage_of(self.checkpoint)
        if self.judge is None:
            self.judge = judge_of([self.checkpoint], self.wishes.level)
        halves = [some for part in self._extracted(tasks) for some in part]
        every = [one for some in halves for one in some]
        if self.again and any(is_short(error) for one in every for error in one.errors):
            raise MemoryError
        # A clip that failed has nothing to score, and must not be a row of zeros among the others.
        ready = [one for one in every if one.example is not None]
        for first in range(0, len(ready), _SCORED):
            self._fill_in_or_less(ready[first : first + _SCORED])
        for one in every:
            if one.windows:
                self._fill_in_or_less([one])
        return [[self._judged(one) for one in some] for some in halves]

    def _extracted(self, tasks: Sequence[Task]) -> Iterable[list[list["Half"]]]:
        # Clips of one call bring the same streams along as a rule; those that do not are apart.
        for given, same in groupby(tasks, key=lambda task: tuple(task.given)):
            some = list(same)
            asked = everybody(self.requests) if self.wishes.people == "all" else None
            requests = asked.requests if asked else self.requests
            wanted = {name: one for name, one in requests.items() if name not in given}
            made = made_here(wanted) if self.stage is not None else []
            # Two names may stand for one extraction: what a second stage reads beside its series
            # may be the pictures of the first.
            lacking = extracted(wanted, self.stage if made else None).values()
            every = {one.key: one for one in (*lacking, *(asked.added if asked else ()))}
            clips = [task.clip for task in some]
            results = extract_clips(clips, list(every.values()), extraction=self.extraction)
            for task, found in zip(some, results, strict=True):
                own: dict[str, Stream | ClipError] = {**task.given}
                if made and self.stage is not None:
                    own |= made_by_first_stage(self.stage, task.clip, made, found)
                outcomes = {n: own[n] if n in own else found[r.key] for n, r in requests.items()}
                if asked is None:
                    yield [[self._half(task, outcomes, found.values())]]
                else:
                    looks = {name: found[one.key] for name, one in asked.seen.items()}
                    yield [self._people(task, outcomes, found.values(), looks)]

    def _people(
        self,
        task: Task,
        outcomes: Mapping[str, Stream | ClipError],
        extracted: Iterable[Stream | ClipError],
        looks: Mapping[str, Stream | ClipError],
    ) -> list["Half"]:
        """A half for each person of a clip; one for a clip that failed, with its reason."""
        streams = {name: one for name, one in outcomes.items() if isinstance(one, Stream)}
        seen = {name: one for name, one in looks.items() if isinstance(one, Stream)}
        if len(seen) < len(looks):  # nobody was seen
            return [self._half(task, outcomes, extracted)]
        halves = []
        for one in deal_out(task.clip, streams, seen, limits=self.extraction.limits):
            named = replace(task.clip, id=f"{task.clip.id}#{one.person.number}")
            notes = (*task.notes, *voice_notes(one.person, self.requests.values()))
            half = self._half(
                replace(task, clip=named, notes=notes), {**outcomes, **one.streams}, extracted
            )
            half.prediction = replace(half.prediction, person=one.person)
            halves.append(half)
        return halves

    def _half(
        self,
        task: Task,
        outcomes: Mapping[str, Stream | ClipError],
        extracted: Iterable[Stream | ClipError],
    ) -> "Half":
        """Draw what the model takes of a clip, or say why there is nothing to draw."""
        checkpoint = self.checkpoint
        assert checkpoint is not None
        assert self.judge is not None
        reference = self.judge.reference
        notes = [*task.notes, *_notes([*task.given.values(), *extracted])]
        half = Half(Prediction(task.clip.id), task.clip, Evidence(reference))
        failed: dict[str, ClipError] = {}
        failure: ClipError | None = None
        coverage: dict[str, float] = {}
        try:
            for name, stream in outcomes.items():
                if isinstance(stream, ClipError):
                    failed[name] = stream
                else:
                    half.streams[name] = stream
                    coverage[name] = round(stream.coverage, 4)
            lacking = first_lacking(failed, checkpoint.draws, self.requests)
            if lacking is not None:
                raise lacking.again()
            notes += [f"scored without {name}: {why}" for name, why in failed.items()]
            check_coverage(reference, coverage, self.wishes.least_coverage)
            if self.wishes.timeline:
                half.windows = windows_of(half.streams, reference.window_seconds)
            if not half.windows:
                half.example = self._drawn(task.clip, half.streams)
        except ClipError as error:
            failure, half.windows = error, []
        half.prediction = Prediction(
            clip=task.clip.id,
            status="ok" if failure is None else failure.status,
            reason="" if failure is None else str(failure),
            coverage=coverage,
            backend=_backend(checkpoint, self.stage),
            notes=tuple(dict.fromkeys(notes)),
            path=str(task.path or task.clip.path or ""),
        )
        # Also those of streams that come after the one that failed first: memory may be short
        # there.
        half.errors = [one for one in extracted if isinstance(one, ClipError)]
        return half

    def _drawn(self, clip: Clip, streams: Mapping[str, Stream]) -> Example:
        assert self.checkpoint is not None
        draws, scalers = self.checkpoint.draws, self.checkpoint.scalers
        return draw_example(clip, streams, draws, rng=None, scalers=scalers)

    def _fill_in_or_less(self, ready: Sequence["Half"]) -> None:
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
            failure = failure_of(one.clip, MemoryError())
            assert failure is not None
            one.fail(failure)

    def _fill_in(self, ready: Sequence["Half"]) -> None:
        if ready[0].windows:  # comes alone
            return self._fill_in_windows(ready[0])
        examples = [one.example for one in ready if one.example is not None]
        scores, variances = self._scores(examples)
        for one, example, *rows in zip(ready, examples, scores, variances, strict=True):
            one.evidence.add(example)
            score, variance = (dict(zip(self._names, row, strict=False)) for row in rows)
            one.prediction = replace(one.prediction, scores=score, variance=variance)
        return None

    def _fill_in_windows(self, half: "Half") -> None:
        """Score a recording window by window; few are in memory together."""
        scores: list[list[float]] = []
        every: list[list[float]] = []
        for first in range(0, len(half.windows), _WINDOWS):
            places = range(first, min(first + _WINDOWS, len(half.windows)))
            drawn = [self._window(half, place) for place in places]
            examples = [one for one in drawn if one is not None]
            for one in examples:
                half.evidence.add(one)
            known, variances = self._scores(examples) if examples else ([], [])
            rows, every = iter(known), every + variances
            scores += [[math.nan] * len(self._names) if d is None else next(rows) for d in drawn]
        along = timeline(half.windows, self._names, iter(scores))
        if not all(np.isfinite(row).any() for row in along.scores.values()):
            why = "No window of the recording has a usable row of every stream."
            return half.fail(ClipError(why, status="empty"))
        means = {name: float(np.nanmean(row)) for name, row in along.scores.items()}
        # Errors about one person go together: more windows do not make a mean surer than they are.
        sure = np.mean(every, axis=0).tolist() if any(every) else []
        variance = dict(zip(self._names, sure, strict=False))
        half.prediction = replace(half.prediction, scores=means, timeline=along, variance=variance)
        return None

    def _window(self, half: "Half", place: int) -> Example | None:
        window, last = half.windows[place], place == len(half.windows) - 1
        try:
            return self._drawn(half.clip, cut(half.streams, window, last=last))
        except ClipError:  # nobody was seen, or nothing was heard, in this part alone
            return None

    def _scores(self, examples: Sequence[Example]) -> tuple[list[list[float]], list[list[float]]]:
        """Score examples side by side: batches are padded and masked as in training.

        Returns:
            Scores of each, and variances, which are empty where the run states none.
        """
        assert self.checkpoint is not None
        columns = self.checkpoint.facts.columns
        made = self.checkpoint.estimate(collate(examples, self._names, columns=columns))
        variance = made.variance
        none: list[list[float]] = [[] for _ in examples]
        return made.scores.tolist(), none if variance is None else variance.tolist()

    @property
    def _names(self) -> list[str]:
        assert self.checkpoint is not None
        return [target.name for target in self.checkpoint.facts.targets]

    def _judged(self, half: "Half") -> Prediction:
        """Say of scores how sure and how usual they are, and what speaks against them."""
        assert self.judge is not None
        if not half.prediction.scores:
            return half.prediction
        seen = half.streams, half.prediction.coverage, half.evidence
        warnings = doubts(self.judge.reference, *seen)
        return replace(self.judge.judged(half.prediction), warnings=warnings)


def score(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    requests: Mapping[str, Request],
    *,
    workers: int | None = 0,
    ray: str | None = None,
    limits: Limits = DEFAULTS,
    wishes: Wishes = USUAL,
    extraction: Extraction | None = None,
) -> Generator[tuple[int, list[Prediction]], None, None]:
    """Score clips; yield (place, its predictions) as they come: one, or one for each person.

    Args:
        checkpoint: the loaded run; other processes load it themselves.
        tasks: the clips.
        requests: how streams are extracted.
        workers: processes; None for one per core where there is enough to read, 0 to work here.
        ray: address of a Ray cluster whose actors are the processes; ``local`` starts one here.
        limits: of what one clip may take.
        wishes: what is asked beside scores.
        extraction: trackers kept open between calls, where there are no workers; None opens and
            closes its own.

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
    kept = nullcontext(extraction) if extraction is not None and not (workers or ray) else None
    crew = crew_of(ray if tasks else None, given_workers, workers)
    with kept or Extraction(limits) as context, crew as (run, workers):
        # By its whole path: another machine begins in another folder.
        folder = checkpoint.folder.absolute() if ray else checkpoint.folder
        tasks = [_from_anywhere(task) for task in tasks] if ray else tasks
        scorer = Scorer(folder, checkpoint.typed, requests, context)
        # Alone in the machine, a process would lack the memory the second time as well.
        scorer.again, scorer.wishes = bool(workers), wishes
        if not workers:
            scorer.checkpoint, scorer.stage = checkpoint, stage
        together = clips_at_once(lacking) if reads_media else WITHOUT_MEDIA
        dealt = deal(scorer, tasks, workers=workers, together=together, run=run)
        with closing(dealt) as results:
            for place, result in results:
                failure = failure_of(tasks[place].clip, result)
                yield (
                    place,
                    result if failure is None else [_failed(checkpoint, tasks[place], failure)],
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
