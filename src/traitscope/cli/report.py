"""``traitscope report``: one page of one or several evaluated runs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from traitscope.cli._options import run_named

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Evaluated runs, or report.json files.", parser=run_named),
    ],
    to: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split.")] = "test",
    tables: Annotated[
        Path | None, typer.Option(help="Folder for PNG, CSV, Markdown and LaTeX as well.")
    ] = None,
) -> None:
    """Write one self-contained page: tables with baselines, figures, audits, what failed.

    traitscope report runs/a runs/b --to page.html

    traitscope report runs/a --to page.html --tables figures
    """
    from traitscope.cli._shared import refuse_missing
    from traitscope.evaluation.report import read_report
    from traitscope.report import audits_of, export, histories_of, write_report

    # Before the first is read: a page of half of the runs would be taken for the whole.
    refuse_missing(runs)
    reports = [read_report(run, split=split) for run in runs]
    histories = histories_of(runs, reports)
    audits = audits_of(runs, reports, split=split)
    page = write_report(reports, to, histories=histories, audits=audits)
    if tables is not None:
        export(reports, tables, histories=histories, audits=audits)
    typer.echo(page)
