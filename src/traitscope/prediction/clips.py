"""A trained run + media, words or a table -> Predictions with coverage, or the reason for none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitscope.data.examples import collate, draw_example
from traitscope.errors import ClipError, lacks_memory
from traitscope.extract.transcript import read_words
from traitscope.features.extraction import Extraction, extract_clip, out_of_memory
from traitscope.features.request import Request, of_speaker
from traitscope.media import Tracks
from traitscope.media.folders import LeftOut
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction.inputs import (
    clip_names,
    named_clips,
    named_paths,
    speaker_of,
    unused,
)
from traitscope.runs.card import KINDS
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.types import Clip, Hook, Prediction, Stream

NOT = (
    "Not a statement about a person's character: a model's guess at {what}, "
    "trained on {corpus}. Not for decisions about people."
)


def predict(
    run: Checkpoint | Path | str,
    *media: Path | str,
    text: Path | str | None = None,
    speaker: str | None = None,
    tracks: Tracks | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    hook: Hook | None = None,
    limits: Limits = DEFAULTS,
) -> list[Prediction]:
    """Estimate the traits of clips with a trained run.

    Args:
        run: a run folder, or a loaded checkpoint.
        media: video or audio files, folders of them or of images, text files, or tables with the
            columns of the run's imported features (or ``transcript``), one or more rows per clip.
        text: a file with the words of the one clip (.txt, .srt, .json ...), alone if there is none.
        speaker: whose words count where speakers are labelled.
        tracks: which tracks of the files; their default ones if not said.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        hook: called as hook(done, total, name).
        limits: of what one clip may take; a clip beyond has no scores.

    Returns:
        One prediction per clip, in order; one that cannot be scored has a status and a reason.

    Raises:
        DataError: the run is damaged or unfinished, or a table lacks columns.
        MissingError: its backend needs a file or package that is not here.

    Example:
        ``predict("runs/a", "clip.mp4")[0].scores["openness"]``
    """
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model, streams=streams)
    requests = checkpoint.facts.requests
    requests = of_speaker(requests, speaker) if speaker is not None else requests
    predictions = []
    paths, taken = named_paths(media, text), set[str]()
    with Extraction(limits) as extraction:
        for done, (path, name) in enumerate(zip(paths, clip_names(paths), strict=True)):
            if hook:
                hook(done, len(paths), path.name)
            for clip, given in named_clips(checkpoint, path, name):
                clip = replace(clip, id=unused(clip.id, taken))
                if tracks is not None:
                    clip = replace(clip, video_track=tracks.video, audio_track=tracks.audio)
                notes: tuple[str, ...] = ()
                if text is not None and media:
                    words = read_words(Path(text), speaker=speaker_of(requests))
                    clip, notes = replace(clip, transcript=words.words), words.notes
                scored = predict_clip(
                    checkpoint, clip, given=given, requests=requests, extraction=extraction
                )
                every = tuple(dict.fromkeys((*notes, *scored.notes)))
                predictions.append(replace(scored, notes=every, path=str(path)))
    if hook and paths:
        hook(len(paths), len(paths), "")
    return predictions


def predict_clip(
    checkpoint: Checkpoint,
    clip: Clip,
    *,
    given: Mapping[str, Stream] | None = None,
    requests: Mapping[str, Request] | None = None,
    extraction: Extraction | None = None,
) -> Prediction:
    """Extract what the run needs from one clip and score it.

    Args:
        checkpoint: the loaded run.
        clip: the clip.
        given: streams that need no extraction, by name, such as the rows of a table.
        requests: how the others are extracted, if not as for the training.
        extraction: trackers kept open from clip to clip; None opens and closes its own.

    Returns:
        The scores, or the status and the reason why there are none.

    Raises:
        MissingError: the run's backend needs a file or package that is not here.
    """
    given = given or {}
    requests = requests if requests is not None else checkpoint.facts.requests
    lacking = [request for name, request in requests.items() if name not in given]
    extracted = extract_clip(clip, lacking, extraction=extraction)
    notes = _notes([*given.values(), *extracted.values()])
    streams: dict[str, Stream] = {}
    for name, request in requests.items():
        stream = given[name] if name in given else extracted[request.key]
        if isinstance(stream, ClipError):
            # with the coverage of those before
            return _failed(clip, stream, notes, streams, checkpoint)
        streams[name] = stream
    try:
        example = draw_example(
            clip, streams, checkpoint.draws, rng=None, scalers=checkpoint.scalers
        )
        # A batch of one: the same path as in training and evaluation, so that no number can differ.
        targets = checkpoint.facts.targets
        batch = collate([example], [t.name for t in targets], columns=checkpoint.facts.columns)
        scores = checkpoint.predict(batch)[0]
    except ClipError as error:
        return _failed(clip, error, notes, streams, checkpoint)
    except Exception as error:
        if not lacks_memory(error):
            raise
        return _failed(clip, out_of_memory(clip), notes, streams, checkpoint)
    return Prediction(
        clip=clip.id,
        scores={t.name: float(score) for t, score in zip(targets, scores, strict=True)},
        coverage=_coverage(streams),
        backend=checkpoint.backend,
        notes=notes,
        path=str(clip.path or ""),
    )


def explain_use(checkpoint: Checkpoint) -> str:
    """Say in one sentence what the numbers of a run are not."""
    facts = checkpoint.facts
    return NOT.format(what=KINDS[facts.kind].split(":")[0], corpus=facts.corpus)


def as_tree(
    checkpoint: Checkpoint, predictions: Sequence[Prediction], left_out: Sequence[LeftOut] = ()
) -> dict[str, Any]:
    """Predictions with what a reader must know of them, as JSON values.

    Args:
        checkpoint: the run.
        predictions: of its clips.
        left_out: files of the folders that are no clips.
    """
    facts = checkpoint.facts
    return {
        "run": str(checkpoint.folder),
        "model": checkpoint.config.model["name"],
        "kind": facts.kind,
        "corpus": facts.corpus,
        "backend": checkpoint.backend,
        "targets": [
            {"name": t.name, "label": t.label, "low": t.low, "high": t.high} for t in facts.targets
        ],
        "note": explain_use(checkpoint),
        "clips": [
            {
                "clip": p.clip,
                "path": p.path,
                "status": p.status,
                "reason": p.reason,
                "scores": dict(p.scores),
                "coverage": dict(p.coverage),
                "notes": list(p.notes),
            }
            for p in predictions
        ],
        "left_out": [{"file": str(out.path), "reason": out.reason} for out in left_out],
    }


def _failed(
    clip: Clip,
    error: ClipError,
    notes: tuple[str, ...],
    streams: Mapping[str, Stream],
    checkpoint: Checkpoint,
) -> Prediction:
    return Prediction(
        clip=clip.id,
        status=error.status,
        reason=str(error),
        coverage=_coverage(streams),
        backend=checkpoint.backend,
        notes=notes,
        path=str(clip.path or ""),
    )


def _notes(outcomes: Iterable[Stream | ClipError]) -> tuple[str, ...]:
    """What was noticed while extracting, also by what failed, once each."""
    every = (
        note
        for one in outcomes
        for note in (one.notes if isinstance(one, ClipError) else one.info.get("notes", ()))
    )
    return tuple(dict.fromkeys(every))


def _coverage(streams: Mapping[str, Stream]) -> dict[str, float]:
    return {name: round(stream.coverage, 4) for name, stream in streams.items()}
