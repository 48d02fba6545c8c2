"""``traitscope features import``: anybody's table, or images and points, become streams."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from traitscope.features.imports import Imported


def import_table(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store; made when needed.")],
    table: Annotated[
        Path,
        typer.Argument(help="CSV or Parquet with a column 'clip', HDF5, .npz, or image folders."),
    ],
    name: Annotated[
        str, typer.Option(help="What models call the stream: egemaps; faces or frames of images.")
    ],
    corpus: Annotated[str, typer.Option(help="Whose clips they are, such as fi:/data/fi.")],
    columns: Annotated[
        str | None,
        typer.Option(help="Features to take, such as F0,loudness; all but labels by default."),
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="Of images: folder of their points, per clip or image.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Images per second, where fps.txt is lacking.", min=0.001)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring a table in as a stream (one row per clip, or rows with a column 'time' in seconds).

    A column 'pitch [Hz]' becomes 'pitch' with the unit Hz; a model takes it by the stream's name.
    A folder with a folder of images per clip is read as it is, with 68 or 478 points per image.

    traitscope features import store egemaps.csv --name egemaps --corpus table:clips.csv

    traitscope features import store fi.h5 --name wavlm --corpus fi:/data/fi

    traitscope features import store frames --name faces --landmarks points --corpus fi:/data/fi
    """
    from traitscope.cli._shared import progress, write_json
    from traitscope.errors import ConfigError
    from traitscope.features.imports import import_features, import_images

    wanted = [part.strip() for part in (columns or "").split(",") if part.strip()]
    # Refused, not ignored: whoever typed it believes that it did something.
    if table.is_dir() and wanted:
        raise ConfigError("--columns goes with a table, not with a folder of images.")
    if not table.is_dir() and (landmarks or fps):
        raise ConfigError("--landmarks and --fps go with a folder of images, not with a table.")
    if table.is_dir():
        more: dict[str, Any] = {"name": name, "corpus": corpus, "points": landmarks, "fps": fps}
        with progress("import") as hook:
            every = import_images(store, table, **more, hook=hook)
    else:
        every = [import_features(store, table, name=name, corpus=corpus, columns=wanted)]
    if json:
        # One stream is the rule: its facts stand at the top, others under their names.
        first, *others = map(_as_tree, every)
        write_json(first | {tree["name"]: tree for tree in others})
    _say(every, quiet=json)


def _as_tree(found: "Imported") -> dict[str, Any]:
    return {
        "key": found.request.key,
        "name": found.name,
        "columns": list(found.columns),
        "units": dict(found.units),
        "clips": found.clips,
        "without": list(found.without),
        "ignored": list(found.ignored),
        "left_out": list(found.left_out),
    }


def _say(every: "list[Imported]", *, quiet: bool) -> None:
    """Tell what was brought in; exit 1 if clips of the corpus are lacking."""
    from traitscope.cli._shared import say
    from traitscope.errors import some

    # As JSON all of it was printed; what follows is for people in both cases.
    for found in () if quiet else every:
        count = len(found.columns)
        what = f"{count} column{'s' if count > 1 else ''}" if count else "images"
        typer.echo(f"{found.name}: {what} for {found.clips} clips, stored as {found.request.key}")
    # All streams come from one reading of the table, so the first speaks for all.
    left_out = every[0].left_out
    if left_out:
        say(f"no features, so left out: {some(left_out)}. To take them, name them with --columns")
    for note in every[0].notes:
        say(note)
    ignored = every[0].ignored
    if ignored:
        say(f"{len(ignored)} given clips are not in the corpus: {some(ignored)}")
    lacking = [found for found in every if found.without]
    for found in lacking:
        many = f"{len(found.without)} clips of the corpus"
        say(f"{found.name}: {many} were not imported: {some(found.without)}")
    if lacking:
        raise typer.Exit(1)
