"""A trained run + media, words or a table -> Predictions with coverage, or the reason for none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.card import KINDS
from traitscope.checkpoints import Checkpoint, load
from traitscope.corpora.openface import LONG_COLUMNS, clip_names
from traitscope.data import collate, draw_example
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.extract import extract_clip
from traitscope.extract.imported import read_table
from traitscope.extract.transcript import read_words
from traitscope.runs import IMPORTED
from traitscope.types import Clip, Hook, Prediction, Stream

TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of files that hold one row, or rows with times, for each of many clips."""
NOT = (
    "Not a statement about a person's character: a model's guess at {what}, "
    "trained on {corpus}. Not for decisions about people."
)


def predict(
    run: Checkpoint | Path | str,
    *media: Path | str,
    text: Path | str | None = None,
    model: str | None = None,
    hook: Hook | None = None,
) -> list[Prediction]:
    """Estimate the traits of clips with a trained run.

    Args:
        run: a run folder, or a loaded checkpoint.
        media: video or audio files, folders of images, text files, or tables with the columns
            of the run's imported features (or ``transcript``) and one or more rows per clip.
        text: a .txt, .srt or .vtt file with the words of the one clip, alone if there is none.
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
    for done, path in enumerate(paths := _paths(media, text)):
        if hook:
            hook(done, len(paths), path.name)
        for clip, given in _clips(checkpoint, path):
            if text is not None and media:
                clip = replace(clip, transcript=read_words(Path(text)))
            predictions.append(predict_clip(checkpoint, clip, given=given))
    if hook and paths:
        hook(len(paths), len(paths), "")
    return predictions


def _paths(media: Sequence[Path | str], text: Path | str | None) -> list[Path]:
    if text is not None and len(media) > 1:
        raise ConfigError(
            f"One text ({text}) cannot be of {len(media)} clips. Give one clip, or put the words "
            f"beside each: NAME.txt."
        )
    return [Path(path) for path in media or ([text] if text is not None else [])]


def _clips(checkpoint: Checkpoint, path: Path) -> Iterator[tuple[Clip, dict[str, Stream]]]:
    """The clips of one argument, with the streams that it brings along."""
    if path.suffix.lower() not in TABLES:
        yield clip_of(path), {}
        return
    if reads_openface(checkpoint):
        yield from ((clip, {}) for clip in table_clips(path)[0])
        return
    wanted = {
        stream: tuple(getattr(request.config, "columns", ()))
        for stream, request in checkpoint.facts.requests.items()
        if request.name == IMPORTED
    }
    together = list(dict.fromkeys(column for columns in wanted.values() for column in columns))
    table = read_table(path, columns=together, text=True)
    for clip, rows in table.streams.items():
        given = {stream: _only(rows, columns) for stream, columns in wanted.items()}
        yield Clip(id=clip, transcript=table.transcripts.get(clip)), given


def _only(rows: Stream, columns: Sequence[str]) -> Stream:
    assert rows.values is not None
    places = [rows.columns.index(name) for name in columns]
    values = rows.values[:, places]
    valid = np.isfinite(values).any(axis=1)
    return replace(rows, values=values, columns=tuple(columns), valid=valid)


def reads_openface(checkpoint: Checkpoint) -> bool:
    """Tell whether a run takes its signals from OpenFace's tables."""
    configs = [request.config for request in checkpoint.facts.requests.values()]
    return any(getattr(config, "backend", None) == "openface" for config in configs)


def table_clips(path: Path) -> tuple[list[Clip], list[str]]:
    """The clips of an OpenFace table, in its order, and the id of the clip of each row.

    Raises:
        DataError: the file is missing or no table.
    """
    import pandas as pd

    try:
        header = pd.read_csv(path, nrows=0, skipinitialspace=True).columns
        named = [name for name in header if name.strip().lower() in LONG_COLUMNS]
        text: Any = {"dtype": str, "keep_default_na": False, "skipinitialspace": True}
        rows = pd.read_csv(path, usecols=named or [header[0]], **text)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not readable as a table: {error}") from error
    if not named:
        clip = clip_of(path)
        return [clip], [clip.id] * len(rows)
    names = clip_names(rows).tolist()
    return [Clip(id=name, path=path) for name in dict.fromkeys(names)], names


def clip_of(path: Path) -> Clip:
    """Make a clip of a whole file; its name is its id."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in path.name)
    return Clip(id=name or str(path.resolve().name) or "clip", path=path)


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
