"""A trained run + media, words or a table -> Predictions with coverage, or the reason for none."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError
from traitscope.features.extraction import Extraction
from traitscope.features.request import Request, of_recogniser, of_speaker
from traitscope.media import Tracks
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction.ensembles import joint, open_members
from traitscope.prediction.halves import USUAL, Wishes
from traitscope.prediction.inputs import speaker_of, tasks_of
from traitscope.prediction.judging import judge_of
from traitscope.prediction.score_table import ScoreTable
from traitscope.prediction.scoring import Scorer, Task, score
from traitscope.prediction.series import extracted, first_stage_of
from traitscope.runs.checkpoint import Checkpoint
from traitscope.types import Clip, Hook, Prediction, Stream


def predict(
    run: Checkpoint | Path | str | Sequence[Checkpoint | Path | str],
    *media: Path | str,
    text: Path | str | None = None,
    speaker: str | None = None,
    recogniser: str | None = None,
    tracks: Tracks | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    table: Path | str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    hook: Hook | None = None,
    limits: Limits = DEFAULTS,
    wishes: Wishes = USUAL,
    extraction: Extraction | None = None,
) -> list[Prediction]:
    """Estimate the traits of clips with a trained run.

    Args:
        run: a run folder, or a loaded checkpoint; or several, whose mean is taken.
        media: files, folders of images, texts, or tables of the run's imported columns.
        text: a file with the words of the one clip (.txt, .srt, .json ...), alone if there is none.
        speaker: whose words count where speakers are labelled.
        recogniser: hears the words, such as ``whisper:base.en``, if the run reads written ones.
        tracks: which tracks of the files; their default ones if not said.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        table: a CSV that gets each clip's row as soon as it is scored; the same call again goes
            on where it was stopped, and scores anew what has changed.
        workers: processes; None for one per core where there are many media, 0 to work here.
        ray: address of a Ray cluster whose cores are the processes, ``local`` to start one here;
            run and media are in folders that all its machines see.
        hook: called as hook(done, total, name) after each clip.
        limits: of what one clip may take.
        wishes: what is asked beside scores: intervals, people, windows.
        extraction: trackers kept open from call to call, where there are no ``workers``.

    Returns:
        One prediction per clip, in order, or one for each person in it; one that cannot be scored
        has a status and a reason.

    Raises:
        DataError: the run is damaged or unfinished, or a table lacks columns.
        MissingError: its backend needs a file or package that is not here.
        ConfigError: ``table`` holds something else.
    """
    members = open_members(run, model=model, streams=streams, apart=table is None)
    if members[1:] and table is not None:
        raise ConfigError("A table of scores is of one run: leave it out, or name one run.")
    how = {"workers": workers, "ray": ray, "limits": limits, "extraction": extraction}
    scoring: dict[str, Any] = {"table": table, "hook": hook, "wishes": wishes, "how": how}
    every = []
    for checkpoint in members:
        requests = _words_of(checkpoint, speaker, recogniser, text)
        tasks = tasks_of(checkpoint, media, text=text, speaker=speaker_of(requests))
        tasks = [_with_tracks(task, tracks or Tracks()) for task in tasks]
        every.append(_score_all(checkpoint, tasks, requests, **scoring))
    return every[0] if not members[1:] else joint(members, every, wishes.level)


def _words_of(
    checkpoint: Checkpoint, speaker: str | None, recogniser: str | None, text: Path | str | None
) -> Mapping[str, Request]:
    """The requests of a run, with the words of one speaker or of a recogniser."""
    requests: Mapping[str, Request] = checkpoint.facts.requests
    if recogniser is not None and (speaker, text) != (None, None):
        raise ConfigError(
            "A recogniser hears all who speak: leave --asr out, or --text and --speaker."
        )
    if recogniser is not None:
        return of_recogniser(requests, recogniser)
    return of_speaker(requests, speaker) if speaker is not None else requests


def _score_all(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    requests: Mapping[str, Request],
    *,
    table: Path | str | None,
    hook: Hook | None,
    wishes: Wishes,
    how: Mapping[str, Any],
) -> list[Prediction]:
    """Score clips, those in the table excepted, and put each into it as it comes."""
    # A second stage follows from the pictures of its first, which its series are made of.
    seen = extracted(requests, first_stage_of(checkpoint))
    saved = _opened(table, checkpoint, seen, tasks, wishes)
    done = {} if saved is None else saved.before()
    # Said before the first clip: loading what it needs takes a while, and so may the clip.
    if hook and tasks:
        hook(len(done), len(tasks), "")
    places = [place for place in range(len(tasks)) if place not in done]
    waiting = [tasks[place] for place in places]
    results = score(checkpoint, waiting, requests, wishes=wishes, **how)
    with closing(results):  # ends the workers when the table cannot be written
        for number, predictions in results:
            # They come in the order in which they finish, which is not that of the clips.
            done[places[number]] = predictions
            if saved is not None:
                saved.add(places[number], predictions)
            if hook:
                hook(len(done), len(tasks), waiting[number].clip.id)
    every = [done[place] for place in range(len(tasks))]
    # Sorted only now: to insert rows in order would be to rewrite the file for each of them.
    if saved is not None:
        saved.finish(every)
    return [one for some in every for one in some]


def _opened(
    table: Path | str | None,
    checkpoint: Checkpoint,
    requests: Mapping[str, Request],
    tasks: Sequence[Task],
    wishes: Wishes,
) -> ScoreTable | None:
    if table is None:
        return None
    judge = judge_of([checkpoint], wishes.level)
    return ScoreTable(Path(table), checkpoint, requests, tasks, judge=judge, wishes=wishes)


def _with_tracks(task: Task, tracks: Tracks) -> Task:
    if tracks == Tracks():
        return task
    clip = replace(task.clip, video_track=tracks.video, audio_track=tracks.audio)
    return replace(task, clip=clip)


def predict_clip(
    checkpoint: Checkpoint,
    clip: Clip,
    *,
    given: Mapping[str, Stream] | None = None,
    extraction: Extraction | None = None,
) -> Prediction:
    """Extract what the run needs from one clip and score it.

    Args:
        checkpoint: the loaded run.
        clip: the clip.
        given: streams that need no extraction, by name, such as the rows of a table.
        extraction: trackers kept open from clip to clip; None opens and closes its own.

    Returns:
        The scores, or the status and the reason why there are none.

    Raises:
        MissingError: the run's backend needs a file or package that is not here.
    """
    task = Task(clip, given=given or {})
    # Whoever scores one clip after another gives an extraction, and keeps its trackers.
    if extraction is None:
        return next(score(checkpoint, [task], checkpoint.facts.requests))[1][0]
    facts = (checkpoint.folder, checkpoint.typed, checkpoint.facts.requests)
    stage = first_stage_of(checkpoint)
    return Scorer(*facts, extraction, checkpoint=checkpoint, stage=stage)([task])[0][0]
