"""``traitscope features export`` and ``sheet``: what was extracted, for other programs and eyes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from traitscope.features.store import Store

CorpusOption = Annotated[
    str | None, typer.Option("--corpus", help="Whose clips, where several corpora share ids.")
]
Clips = Annotated[list[str] | None, typer.Option("--clip", help="Only this clip; repeatable.")]


def export(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    feature: Annotated[str, typer.Argument(help="Such as signals, or its whole key.")],
    csv: Annotated[Path | None, typer.Option(help="Write a table, columns with units.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    images: Annotated[Path | None, typer.Option(help="Write pictures into this folder.")] = None,
    clip: Clips = None,
    corpus: CorpusOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a feature as a table, or as pictures, for other programs.

    traitscope features export store signals --csv signals.csv

    traitscope features export store faces --images faces --clip interview_07.mp4
    """
    from traitscope.cli._shared import progress, write_json
    from traitscope.errors import ConfigError
    from traitscope.features import exports

    given = [
        (write, path)
        for write, path in (
            (exports.write_csv, csv),
            (exports.write_parquet, parquet),
            (exports.write_images, images),
        )
        if path is not None
    ]
    # To no file at all there is nothing to do, and doing nothing would look like success.
    if not given:
        raise ConfigError("Say where to: --csv FILE, --parquet FILE or --images FOLDER.")
    # Found once: each of the files is of the same feature.
    opened = _opened(store, corpus)
    key = exports.find_key(opened, feature)
    written = []
    for write, path in given:
        with progress("clips") as hook:
            rows = write(opened, key, path, clips=clip or (), hook=hook)
        written.append({"file": str(path), "rows": rows})
    if json:
        write_json({"key": key, "written": written})
        return
    for entry in written:
        typer.echo(f"{key}: {entry['rows']} rows in {entry['file']}")


def sheet(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    to: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("sheet.png"),
    clip: Clips = None,
    corpus: CorpusOption = None,
    clips: Annotated[int, typer.Option(min=1, max=20, help="How many, without --clip.")] = 4,
) -> None:
    """Draw faces, landmarks, signals and sound over time, to see what was extracted.

    traitscope features sheet store --to sheet.png

    traitscope features sheet store --clip interview_07.mp4 --to interview_07.png
    """
    from traitscope.features.sheet import draw_sheet

    drawn = draw_sheet(_opened(store, corpus), to, clips=clip or (), count=clips)
    typer.echo(f"{to}: {', '.join(drawn)}")


def _opened(folder: Path, corpus: str | None) -> "Store":
    """The store; with a corpus only what was made of its clips."""
    from traitscope.features.remote import open_store

    store = open_store(folder)
    # Without a corpus everything there is: labels need not be at hand to look at features.
    if corpus is None:
        return store
    from traitscope.corpora import load_corpus
    from traitscope.features.origins import serving

    loaded = load_corpus(corpus)
    return serving(store, loaded.clips, corpus=loaded.name)
