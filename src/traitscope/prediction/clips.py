"""A trained run + media, words or a table -> Predictions with coverage, or the reason for none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitscope.data.examples import collate, draw_example
from traitscope.errors import ClipError
from traitscope.extract.transcript import read_words
from traitscope.features.extraction import extract_clip
from traitscope.media import Tracks
from traitscope.prediction.inputs import named_clips, named_paths
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
    tracks: Tracks | None = None,
    model: str | None = None,
    hook: Hook | None = None,
) -> list[Prediction]:
    """Estimate the traits of clips with a trained run.

    Args:
        run: a run folder, or a loaded checkpoint.
        media: video or audio files, folders of images, text files, or tables with the columns
            of the run's imported features (or ``transcript``) and one or more rows per clip.
        text: a .txt, .srt or .vtt file with the words of the one clip, alone if there is none.
        tracks: which tracks of the files; their default ones if not said.
        model: the dotted path of an outside model the run was trained with.
        hook: called as hook(done, total, name).

    Returns:
        One prediction per clip, in order; one that cannot be scored has a status and a reason.

    Raises:
        DataError: the run is damaged or unfinished, or a table lacks columns.
        MissingError: its backend needs a file or package that is not here.

    Example:
        ``predict("runs/a", "clip.mp4")[0].scores["openness"]``
    """
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model)
    predictions = []
    for done, path in enumerate(paths := named_paths(media, text)):
        if hook:
            hook(done, len(paths), path.name)
        for clip, given in named_clips(checkpoint, path):
            if tracks is not None:
                clip = replace(clip, video_track=tracks.video, audio_track=tracks.audio)
            if text is not None and media:
                clip = replace(clip, transcript=read_words(Path(text)))
            predictions.append(predict_clip(checkpoint, clip, given=given))
    if hook and paths:
        hook(len(paths), len(paths), "")
    return predictions


def predict_clip(
    checkpoint: Checkpoint, clip: Clip, *, given: Mapping[str, Stream] | None = None
) -> Prediction:
    """Extract what the run needs from one clip, beside the streams that are given, and score it."""
    given = given or {}
    requests = checkpoint.facts.requests
    found = extract_clip(clip, [r for name, r in requests.items() if name not in given])
    streams: dict[str, Stream] = {}
    for name, request in requests.items():
        result = given[name] if name in given else found[request.key]
        if isinstance(result, ClipError):
            return _failed(clip, result, streams, checkpoint)
        streams[name] = result
    try:
        example = draw_example(
            clip, streams, checkpoint.draws, rng=None, scalers=checkpoint.scalers
        )
    except ClipError as error:
        return _failed(clip, error, streams, checkpoint)
    targets = checkpoint.facts.targets
    batch = collate([example], [t.name for t in targets], columns=checkpoint.facts.columns)
    scores = checkpoint.predict(batch)[0]
    return Prediction(
        clip=clip.id,
        scores={t.name: float(score) for t, score in zip(targets, scores, strict=True)},
        coverage=_coverage(streams),
        backend=checkpoint.backend,
    )


def explain_use(checkpoint: Checkpoint) -> str:
    """Say in one sentence what the numbers of a run are not."""
    facts = checkpoint.facts
    return NOT.format(what=KINDS[facts.kind].split(":")[0], corpus=facts.corpus)


def as_tree(checkpoint: Checkpoint, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Predictions with what a reader must know of them, as JSON values."""
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
                "status": p.status,
                "reason": p.reason,
                "scores": dict(p.scores),
                "coverage": dict(p.coverage),
            }
            for p in predictions
        ],
    }


def _failed(
    clip: Clip, error: ClipError, streams: Mapping[str, Stream], checkpoint: Checkpoint
) -> Prediction:
    return Prediction(
        clip=clip.id,
        status=error.status,
        reason=str(error),
        coverage=_coverage(streams),
        backend=checkpoint.backend,
    )


def _coverage(streams: Mapping[str, Stream]) -> dict[str, float]:
    return {name: round(stream.coverage, 4) for name, stream in streams.items()}
