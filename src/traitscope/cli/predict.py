"""``traitscope predict``: scores of new clips, or the reason for none."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Prediction

app = typer.Typer(rich_markup_mode=None)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    media: Annotated[
        list[Path] | None,
        typer.Argument(help="Media, folders of them, text files, or tables of features."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="Words of the clip (.txt, .srt, .vtt), or words alone.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON (the default in a pipe).")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write a table to this file.")] = None,
    label_rows: Annotated[
        Path | None,
        typer.Option(help="Write the one OpenFace table again, with the traits in every row."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Dotted path of the run's own model.")] = None,
) -> None:
    """Estimate apparent or self-reported traits of clips; exit 1 if some could not be scored.

    traitscope predict runs/a clip.mp4

    traitscope predict runs/a clips --csv scores.csv

    traitscope predict runs/text --text speech.txt

    traitscope predict runs/motion openface.csv --label-rows labelled.csv
    """
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.errors import ConfigError
    from traitscope.prediction.clips import as_tree
    from traitscope.prediction.clips import predict as predict_media
    from traitscope.prediction.openface import label_rows as label_table
    from traitscope.runs.checkpoint import load

    log_to_stderr()
    if not media and text is None:
        raise ConfigError("Nothing to score: name a media file or a table, or give --text FILE.")
    checkpoint = load(run, model=model)
    _look_at(checkpoint, text)
    media = [file for path in media or () for file in _files_of(path)]
    if label_rows and (text is not None or len(media) != 1):
        raise ConfigError("--label-rows takes one OpenFace table, and no --text.")
    with progress("clips") as hook:
        if label_rows:
            predictions = label_table(checkpoint, media[0], label_rows, hook=hook)
        else:
            predictions = predict_media(checkpoint, *media, text=text, hook=hook)
    if json or not sys.stdout.isatty():
        write_json(as_tree(checkpoint, predictions))
    else:
        _write_table(checkpoint, predictions)
    if csv:
        _write_csv(csv, checkpoint, predictions)
    failed = [p for p in predictions if p.status != "ok"]
    for prediction in failed:
        say(f"not scored: {prediction.clip}: {prediction.reason}")
    if failed:
        raise typer.Exit(1)


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


def _files_of(path: Path) -> list[Path]:
    """The media in a folder of them; any other path, a folder of images too, is one clip."""
    if not path.is_dir():
        return [path]
    from traitscope.media import images
    from traitscope.media.folders import SUFFIXES

    files = sorted(file for file in path.iterdir() if file.name[0] != ".")
    if any(file.suffix.lower() in images.SUFFIXES for file in files):
        return [path]
    return [file for file in files if file.suffix.lower() in SUFFIXES] or [path]


def _write_table(checkpoint: "Checkpoint", predictions: list["Prediction"]) -> None:
    from traitscope.cli._shared import write_table
    from traitscope.prediction.clips import explain_use

    targets = checkpoint.facts.targets
    rows = []
    for p in predictions:
        scores = [f"{p.scores[t.name]:.3f}" if p.scores else "-" for t in targets]
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


def _write_csv(path: Path, checkpoint: "Checkpoint", predictions: list["Prediction"]) -> None:
    import csv

    names = [target.name for target in checkpoint.facts.targets]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "status", "reason", *[f"predicted_{name}" for name in names]])
        for p in predictions:
            writer.writerow([p.clip, p.status, p.reason, *[p.scores.get(n, "") for n in names]])
