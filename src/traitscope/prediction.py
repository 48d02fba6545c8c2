"""A trained run + any media file -> a Prediction with its coverage, or the reason for none."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from traitscope.card import KINDS
from traitscope.checkpoints import Checkpoint, load
from traitscope.data import collate, draw_example
from traitscope.errors import ClipError
from traitscope.extract import extract_clip
from traitscope.types import Clip, Prediction, Stream

Hook = Callable[[int, int, str], None]

NOT = (
    "Not a statement about a person's character: a model's guess at {what}, "
    "trained on {corpus}. Not for decisions about people."
)


def predict(
    run: Checkpoint | Path | str,
    *media: Path | str,
    model: str | None = None,
    hook: Hook | None = None,
) -> list[Prediction]:
    """Estimate the traits of media files with a trained run.

    Args:
        run: a run folder, or a loaded checkpoint.
        media: video or audio files, or folders of images.
        model: the dotted path of an outside model the run was trained with.
        hook: called as hook(done, total, name).

    Returns:
        One prediction per file, in order; a file that cannot be scored has a status and a reason.

    Raises:
        DataError: the run is damaged or unfinished.
        MissingError: its backend needs a file or package that is not here.

    Example:
        ``predict("runs/a", "clip.mp4")[0].scores["openness"]``
    """
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model)
    predictions = []
    for done, path in enumerate(map(Path, media)):
        if hook:
            hook(done, len(media), path.name)
        predictions.append(predict_clip(checkpoint, clip_of(path)))
    if hook and media:
        hook(len(media), len(media), "")
    return predictions


def clip_of(path: Path) -> Clip:
    """Make a clip of a whole file; its name is its id."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in path.name)
    return Clip(id=name or str(path.resolve().name) or "clip", path=path)


def predict_clip(checkpoint: Checkpoint, clip: Clip) -> Prediction:
    """Extract what the run needs from one clip and score it."""
    requests = checkpoint.facts.requests
    found = extract_clip(clip, list(requests.values()))
    streams: dict[str, Stream] = {}
    for name, request in requests.items():
        result = found[request.key]
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
    batch = collate([example], [t.name for t in targets], columns=_columns(checkpoint))
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


def _columns(checkpoint: Checkpoint) -> dict[str, tuple[str, ...]]:
    return dict(checkpoint.facts.columns)
