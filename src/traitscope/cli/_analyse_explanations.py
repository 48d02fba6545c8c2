"""``traitscope analyse explanations``: whether a run's explanations mean anything."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from traitscope.cli._options import Model, Stream


def explanations(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    clips: Annotated[int, typer.Option(min=3, help="Clips of the split at most.")] = 100,
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Whose clips.")
    ] = "validation",
    to: Annotated[
        Path | None, typer.Option(help="Folder of JSON, table and picture; RUN/explanations.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Features of the run's corpus, if they were moved.")
    ] = None,
    model: Model = None,
    stream: Stream = None,
    labels: Annotated[
        str | None, typer.Option(help="Its corpus, where a module of your own reads it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of clips and random orders.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete the strongest evidence of many clips, and as much at random: what costs agreement?

    traitscope analyse explanations runs/a --clips 100

    traitscope analyse explanations runs/a --split test --to tested --json
    """
    from traitscope.analysis.deletion_figure import draw
    from traitscope.analysis.explanation_test import (
        measure_explanations,
        tested_path,
        write_table,
    )
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.files import write_json as save_json

    log_to_stderr()
    with progress("clips") as hook:
        result = measure_explanations(
            run,
            split=split,
            clips=clips,
            store=store,
            model=model,
            streams=stream or (),
            labels=labels,
            seed=seed,
            hook=hook,
        )
    place = tested_path(run, split) if to is None else to / f"{split}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    save_json(place, result)
    table = write_table(result, place.with_suffix(".csv"))
    for path in (place, table, draw(result, place.with_suffix(".png"))):
        say(f"saved as {path}")
    if json:
        write_json(result)
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from traitscope.cli._shared import write_table

    rows = [
        [
            result["labels"].get(row["target"], row["target"]),
            _cell(row["agreement"]),
            _cell(row["lost"]),
            row["verdict"],
        ]
        for row in result["rows"]
    ]
    title = (
        f"Deletion test of {result['run']} ({result['model']}): {result['clips']} clips of "
        f"{result['split']} in {result['clusters']} groups"
    )
    header = ["trait", "agreement [95 %]", "lost beyond random [95 %]", "evidence is"]
    write_table(header, rows, title=title)
    typer.echo(f"Explanations of this run are {result['verdict']}.")


def _cell(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "undefined"
    ends = "" if cell["low"] is None else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    return f"{cell['value']:+.3f}{ends}"
