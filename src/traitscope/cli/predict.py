"""``traitscope predict``: scores of new clips, or the reason for none."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from traitscope.cli._options import Limit, Model, Ray, Run, Speaker, Stream, Track, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from traitscope.media.folders import LeftOut
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Prediction

app = typer.Typer(rich_markup_mode=None)
Media = Annotated[
    list[Path] | None,
    typer.Argument(help="Media, folders of them, text files, or tables of features."),
]
Text = Annotated[
    Path | None, typer.Option(help="Words of the clip (.txt, .srt, .json ...), or words alone.")
]
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Look into the folders of a folder too.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (the default in a pipe).")]
Csv = Annotated[
    Path | None,
    typer.Option(help="Also a table, row by row; the same command again goes on where it stopped."),
]
LabelRows = Annotated[
    Path | None,
    typer.Option(help="Write the one OpenFace table again, with the traits in every row."),
]
Frames = Annotated[
    bool, typer.Option("--frames", help="Score every frame of a corpus, for a second stage.")
]
Features = Annotated[
    Path | None, typer.Option("--store", help="Store of the corpus' features, with --frames.")
]

Onnx = Annotated[
    bool, typer.Option("--onnx", help="RUN is what `export` wrote: PyTorch is not loaded.")
]

_NAMED = 10  # notes that are told; the rest is counted


@app.command()
def predict(
    run: Run,
    media: Media = None,
    text: Text = None,
    speaker: Speaker = None,
    recursive: Recursive = False,
    json: Json = False,
    csv: Csv = None,
    label_rows: LabelRows = None,
    video_track: Track = None,
    audio_track: Track = None,
    model: Model = None,
    stream: Stream = None,
    workers: Workers = None,
    ray: Ray = None,
    limit: Limit = None,
    onnx: Onnx = False,
    frames: Frames = False,
    store: Features = None,
) -> None:
    """Estimate apparent or self-reported traits of clips; exit 1 if some could not be scored.

    traitscope predict runs/a clip.mp4

    traitscope predict runs/a clips --recursive --csv scores.csv

    traitscope predict runs/text --text speech.txt

    traitscope predict --onnx model clip.mp4

    traitscope predict runs/motion openface.csv --label-rows labelled.csv

    traitscope predict runs/senet fi:/data/fi --frames --store features
    """
    from traitscope.cli._predict_frames import predict_frames
    from traitscope.cli._shared import log_to_stderr
    from traitscope.errors import ConfigError
    from traitscope.media import Tracks, parse_limits
    from traitscope.prediction.clips import predict as predict_media
    from traitscope.prediction.inputs import media_in

    if frames or store is not None:
        return predict_frames(run, media or (), store if frames else None, model=model, json=json)
    log_to_stderr()
    score = partial(predict_media, text=text, speaker=speaker, workers=workers, ray=ray)
    tracks, limits = Tracks(video=video_track, audio=audio_track), parse_limits(limit or ())
    if not media and text is None:
        raise ConfigError("Nothing to score: name a media file or a table, or give --text FILE.")
    checkpoint = _opened(run, model, stream or (), onnx=onnx)
    _look_at(checkpoint, text)
    listing = media_in(media or (), recursive=recursive)
    # Rows of one table are labelled; words, or a second file, have no rows in it.
    if label_rows and (text is not None or speaker is not None or len(listing.files) != 1):
        raise ConfigError("--label-rows takes one OpenFace table, and no --text or --speaker.")
    score = partial(score, checkpoint, *listing.files, table=csv, tracks=tracks, limits=limits)
    predictions = _scored(checkpoint, listing.files[:1], label_rows, csv, score)
    _hand_out(checkpoint, predictions, listing.left_out, json=json)
    if any(p.status != "ok" for p in predictions):
        raise typer.Exit(1)
    return None


def _opened(run: Path, model: str | None, streams: "Sequence[str]", *, onnx: bool) -> "Checkpoint":
    """Load the run, or refuse one that has to be an exported one and is none."""
    from traitscope.runs.checkpoint import load
    from traitscope.runs.exported import check_exported

    if onnx:
        check_exported(run)
    return load(run, model=model, streams=streams)


def _scored(
    checkpoint: "Checkpoint",
    table: "Sequence[Path]",
    label_rows: Path | None,
    csv: Path | None,
    score: "Callable[..., list[Prediction]]",
) -> list["Prediction"]:
    """Score, with progress; into the rows of the one table where that is wanted."""
    from traitscope.cli._shared import progress
    from traitscope.prediction.openface import label_rows as label_table

    with progress("clips") as hook:
        if label_rows:
            return label_table(checkpoint, table[0], label_rows, scores=csv, hook=hook)
        return score(hook=hook)


def _look_at(checkpoint: "Checkpoint", text: Path | None) -> None:
    """Say that a training was stopped; refuse words that would be taken for a video."""
    from traitscope.cli._shared import warn_unfinished
    from traitscope.errors import ConfigError

    warn_unfinished(checkpoint.folder)
    requests = checkpoint.facts.requests
    needs = {need for r in requests.values() for each in (r, *r.upstream) for need in each.needs}
    if text is not None and "text" not in needs:
        raise ConfigError(
            f"{checkpoint.folder} reads no words (it reads {', '.join(requests)}). Leave --text "
            f"out, or train a model that does, such as text_stack."
        )


def _tell(predictions: list["Prediction"], left_out: "Sequence[LeftOut]") -> None:
    """Say on stderr what was left out, what was noticed in clips, and which have no score."""
    from traitscope.cli._shared import say
    from traitscope.errors import some

    # By reason: a folder may hold thousands of pictures that are no clips, and one line says so.
    reasons: dict[str, list[str]] = {}
    for out in left_out:
        reasons.setdefault(out.reason, []).append(str(out.path))
    for reason, paths in reasons.items():
        say(f"left out ({reason}): {some(paths)}")
    notes = [f"note: {p.clip}: {note}" for p in predictions for note in p.notes]
    # A folder of a thousand clips would bury the scores under what was noticed in them.
    for line in notes[:_NAMED]:
        say(line)
    if len(notes) > _NAMED:
        say(f"and {len(notes) - _NAMED} more notes; --json and --csv give all of them.")
    for prediction in predictions:
        if prediction.status != "ok":
            say(f"not scored: {prediction.clip}: {prediction.reason}")


def _hand_out(
    checkpoint: "Checkpoint",
    predictions: list["Prediction"],
    left_out: "Sequence[LeftOut]",
    *,
    json: bool,
) -> None:
    from traitscope.cli._shared import write_json
    from traitscope.prediction.documents import to_document

    # In a pipe another program reads: a table is drawn for people alone.
    if json or not sys.stdout.isatty():
        write_json(to_document(checkpoint, predictions, left_out))
    else:
        _write_table(checkpoint, predictions)
    _tell(predictions, left_out)


def _write_table(checkpoint: "Checkpoint", predictions: list["Prediction"]) -> None:
    from traitscope.cli._shared import write_table
    from traitscope.prediction.documents import explain_use

    targets = checkpoint.facts.targets
    rows = []
    for p in predictions:
        scores = [f"{p.scores[t.name]:.3f}" if p.scores else "-" for t in targets]
        # The worst of the streams: a score rests on all of them.
        name, share = min(p.coverage.items(), key=lambda item: item[1], default=("", 0.0))
        seen = f"{share:.0%}" + (f" ({name})" if share < 1 else "") if name else "-"
        rows.append([p.clip, *scores, seen, p.status])
    kind = checkpoint.facts.kind.replace("_", "-")
    backend = f", faces by {checkpoint.backend}" if checkpoint.backend else ""
    write_table(
        ["clip", *[target.label for target in targets], "coverage", "status"],
        rows,
        title=f"{kind} traits by {checkpoint.folder} ({checkpoint.config.model['name']}{backend})",
    )
    typer.echo(explain_use(checkpoint))
