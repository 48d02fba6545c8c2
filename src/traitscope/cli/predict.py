"""``traitscope predict``: scores of new clips, or the reason for none."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import Limit, Model, Ray, Run, Speaker, Stream, Track, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from traitscope.media.folders import LeftOut
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Prediction

app = typer.Typer(rich_markup_mode=None)
Media = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Media, folders of them, patterns, text files, tables, or - for a list on stdin."
    ),
]
Text = Annotated[
    Path | None, typer.Option(help="Words of the clip (.txt, .srt, .json ...), or words alone.")
]
Asr = Annotated[
    str | None,
    typer.Option(help="Hear the words: a recogniser, such as whisper:base.en, pypi:NAME, FOLDER."),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Look into the folders of a folder too.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (the default in a pipe).")]
Csv = Annotated[
    Path | None,
    typer.Option(help="Also a table, row by row; the same command again goes on where it stopped."),
]
Parquet = Annotated[
    Path | None, typer.Option(help="The same as Parquet, which grows in a CSV beside it.")
]
Members = Annotated[
    list[Path] | None,
    typer.Option("--with", help="Another run of the same targets: scores are the mean of all."),
]
People = Annotated[
    Literal["one", "all"],
    typer.Option(help="Whom to score: the one whom the run's rule chooses, or everybody."),
]
Timeline = Annotated[bool, typer.Option(help="Score long recordings in windows; off: as one clip.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.99, help="Share the intervals cover.")]
Least = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Refuse clips of which less was read; as the run says."),
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
    asr: Asr = None,
    recursive: Recursive = False,
    json: Json = False,
    csv: Csv = None,
    parquet: Parquet = None,
    people: People = "one",
    timeline: Timeline = True,
    level: Level = 0.9,
    least_coverage: Least = None,
    with_: Members = None,
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

    traitscope predict --onnx model clip.mp4
    """
    from traitscope.cli._predict_frames import predict_frames
    from traitscope.cli._shared import log_to_stderr
    from traitscope.media import Tracks, parse_limits
    from traitscope.prediction.clips import predict as predict_media
    from traitscope.prediction.ensembles import open_members
    from traitscope.prediction.halves import Wishes
    from traitscope.prediction.inputs import media_in

    if frames or store is not None:
        return predict_frames(run, media or (), store if frames else None, model=model, json=json)
    log_to_stderr()
    _check(media, text, tables=(csv, parquet), exported=run if onnx else None)
    how: dict[str, Any] = {"text": text, "speaker": speaker, "recogniser": asr}
    how |= {"workers": workers, "ray": ray, "table": csv or parquet}
    wishes, tracks = Wishes(level, timeline, least_coverage, people), (video_track, audio_track)
    how |= {"wishes": wishes, "tracks": Tracks(*tracks), "limits": parse_limits(limit or ())}
    opening: Any = {"model": model, "streams": stream or (), "apart": not (csv or parquet)}
    members = open_members([run, *(with_ or ())], **opening)
    _look_at(members[0], text)
    listing = media_in(_named(media or ()), recursive=recursive)
    score = partial(predict_media, members, *listing.files, **how)
    scored = _scored(members[0], listing.files, label_rows, how, score)
    _hand_out(members, scored, listing.left_out, json=json, level=level)
    if any(one.status != "ok" for one in scored):
        raise typer.Exit(1)


def _check(
    media: "Sequence[Path] | None",
    text: Path | None,
    *,
    tables: tuple[Path | None, Path | None],
    exported: Path | None,
) -> None:
    """Refuse what goes wrong whatever is scored, before a run is loaded, which takes a while."""
    from traitscope.errors import ConfigError
    from traitscope.runs.exported import check_exported

    if None not in tables:
        raise ConfigError("Both --csv and --parquet: name one table, the other follows from it.")
    if not media and text is None:
        raise ConfigError("Nothing to score: name a media file or a table, or give --text FILE.")
    if exported is not None:
        check_exported(exported)


def _named(media: "Sequence[Path]") -> list[Path]:
    """What was typed, with the lines of stdin in the place of ``-``."""
    named: list[Path] = []
    for path in media:
        lines = sys.stdin.read().splitlines() if str(path) == "-" else [str(path)]
        named += [Path(line) for line in lines if line.strip()]
    return named


def _scored(
    checkpoint: "Checkpoint",
    files: "Sequence[Path]",
    label_rows: Path | None,
    how: "Mapping[str, Any]",
    score: "Callable[..., list[Prediction]]",
) -> list["Prediction"]:
    """Score, with progress; into the rows of the one table where that is wanted."""
    from traitscope.cli._shared import progress
    from traitscope.errors import ConfigError
    from traitscope.prediction.openface import label_rows as label_table

    # Rows of one table are labelled; words, or a second file, have no rows in it.
    if label_rows and (how["text"] or how["speaker"] is not None or len(files) != 1):
        raise ConfigError("--label-rows takes one OpenFace table, and no --text or --speaker.")
    with progress("clips") as hook:
        if label_rows:
            return label_table(checkpoint, files[0], label_rows, scores=how["table"], hook=hook)
        return score(hook=hook)


def _look_at(checkpoint: "Checkpoint", text: Path | None) -> None:
    """Say that a training was stopped; refuse words that would be taken for a video."""
    from traitscope.cli._shared import warn_unfinished
    from traitscope.errors import ConfigError

    warn_unfinished(checkpoint.folder)
    requests = checkpoint.facts.requests
    needs = {need for r in requests.values() for each in (r, *r.upstream) for need in each.needs}
    if text is not None and "text" not in needs:
        if any(getattr(r.config, "source", "") == "asr" for r in requests.values()):
            raise ConfigError(
                f"{checkpoint.folder} hears its words itself (transcript.from=asr). Leave --text "
                f"out."
            )
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
    doubts = [f"warning: {p.clip}: {doubt.sentence}" for p in predictions for doubt in p.warnings]
    for line in doubts[:_NAMED]:
        say(line)
    if len(doubts) > _NAMED:
        say(f"and {len(doubts) - _NAMED} more warnings; --json and --csv give all of them.")
    for prediction in predictions:
        if prediction.status != "ok":
            say(f"not scored: {prediction.clip}: {prediction.reason}")


def _hand_out(
    members: "Sequence[Checkpoint]",
    predictions: list["Prediction"],
    left_out: "Sequence[LeftOut]",
    *,
    json: bool,
    level: float,
) -> None:
    from traitscope.cli._predict_table import write_predictions
    from traitscope.cli._shared import write_json
    from traitscope.prediction.documents import to_document

    # In a pipe another program reads: a table is drawn for people alone.
    if json or not sys.stdout.isatty():
        write_json(to_document(members, predictions, left_out, level=level))
    else:
        write_predictions(members, predictions, level=level)
    _tell(predictions, left_out)
