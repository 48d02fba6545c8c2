"""``traitscope features import``: a table of anybody's features becomes a stream."""

from pathlib import Path
from typing import Annotated

import typer

_NAMED = 10


def import_table(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store; made when needed.")],
    table: Annotated[Path, typer.Argument(help="CSV or Parquet with a column 'clip'.")],
    name: Annotated[str, typer.Option(help="What models call the stream, such as egemaps.")],
    corpus: Annotated[str, typer.Option(help="Whose clips they are, such as fi:/data/fi.")],
    columns: Annotated[
        str | None, typer.Option(help="Features to take, such as F0,loudness; all by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring a table in as a stream: one row per clip, or rows with a column 'time' in seconds.

    A column 'pitch [Hz]' becomes 'pitch' with the unit Hz; a model takes it by the stream's name.

    traitscope features import store egemaps.csv --name egemaps --corpus table:clips.csv

    traitscope features import store gaze.parquet --name gaze --corpus fi:/data/fi --columns x,y
    """
    from traitscope.cli._shared import say, write_json
    from traitscope.preparation.imports import import_features

    wanted = [part.strip() for part in (columns or "").split(",") if part.strip()]
    found = import_features(store, table, name=name, corpus=corpus, columns=wanted)
    if json:
        write_json(
            {
                "key": found.request.key,
                "name": name,
                "columns": list(found.columns),
                "units": dict(found.units),
                "clips": found.clips,
                "without": list(found.without),
                "ignored": list(found.ignored),
            }
        )
    else:
        width = f"{len(found.columns)} column{'s' if len(found.columns) > 1 else ''}"
        typer.echo(f"{name}: {width} for {found.clips} clips, stored as {found.request.key}")
    if found.ignored:
        say(f"{len(found.ignored)} clips of the table are not in the corpus{_some(found.ignored)}")
    if found.without:
        say(f"{len(found.without)} clips of the corpus are not in the table{_some(found.without)}")
        raise typer.Exit(1)


def _some(names: tuple[str, ...]) -> str:
    return f": {', '.join(names[:_NAMED])}" + (", ..." if len(names) > _NAMED else "")
