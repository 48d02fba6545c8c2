"""``traitscope predict``: scores of new clips, or the reason for none."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from traitscope.checkpoints import Checkpoint
    from traitscope.types import Prediction

app = typer.Typer(rich_markup_mode=None)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    media: Annotated[
        list[Path] | None,
        typer.Argument(help="Video, audio or text files, or tables of imported features."),
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

    traitscope predict runs/a clips/*.mp4 --csv scores.csv

    traitscope predict runs/text --text speech.txt

    traitscope predict runs/motion openface.csv --label-rows labelled.csv
    """
    from traitscope.checkpoints import load
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.errors import ConfigError
    from traitscope.labelling import label_rows as label_table
    from traitscope.prediction import as_tree
    from traitscope.prediction import predict as predict_media

    log_to_stderr()
    if not media and text is None:
        raise ConfigError("Nothing to score: name a media file or a table, or give --text FILE.")
    checkpoint = load(run, model=model)
    if label_rows and (text is not None or len(media or ()) != 1):
        raise ConfigError("--label-rows takes one OpenFace table, and no --text.")
    with progress("clips") as hook:
        if media and label_rows:
            predictions = label_table(checkpoint, media[0], label_rows, hook=hook)
        else:
            predictions = predict_media(checkpoint, *(media or ()), text=text, hook=hook)
    if csv:
        _write_csv(csv, checkpoint, predictions)
    if json or not sys.stdout.isatty():
        write_json(as_tree(checkpoint, predictions))
    else:
        _write_table(checkpoint, predictions)
    failed = [p for p in predictions if p.status != "ok"]
    for prediction in failed:
        say(f"not scored: {prediction.clip}: {prediction.reason}")
    if failed:
        raise typer.Exit(1)


def _write_table(checkpoint: "Checkpoint", predictions: list["Prediction"]) -> None:
    from traitscope.cli._shared import write_table
    from traitscope.prediction import explain_use

    targets = checkpoint.facts.targets
    rows = []
    for p in predictions:
        scores = [f"{p.scores[t.name]:.3f}" if p.scores else "-" for t in targets]
        coverage = ", ".join(f"{name} {share:.0%}" for name, share in p.coverage.items())
        rows.append([p.clip, *scores, coverage or "-", p.status])
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
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "status", "reason", *[f"predicted_{name}" for name in names]])
        for p in predictions:
            writer.writerow([p.clip, p.status, p.reason, *[p.scores.get(n, "") for n in names]])
