"""``traitscope fuse``: several evaluated systems as one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import run_named

if TYPE_CHECKING:
    from traitscope.evaluation.report import Report

app = typer.Typer(rich_markup_mode=None)


@app.command()
def fuse(
    systems: Annotated[list[Path], typer.Argument(help="Evaluated runs.", parser=run_named)],
    to: Annotated[Path, typer.Option(help="Folder of the fusion.")],
    method: Annotated[
        Literal["mean", "fitted", "seeds"],
        typer.Option(
            help="Mean; non-negative weights fitted on the validation clips; or seeds: keep runs "
            "of one recipe apart, as replicates of one system."
        ),
    ] = "mean",
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split.")] = "test",
    labels: Annotated[
        str | None, typer.Option(help="Their corpus, where a module of your own reads it.")
    ] = None,
    aggregate: Annotated[
        Literal["clip", "subject"] | None,
        typer.Option(help="Score clips, or people (mean of their clips); as the corpus says."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Join predictions by clip, and print members, their mean and sd, and the fusion.

    traitscope fuse runs/audio runs/video --to runs/both --method fitted

    traitscope fuse runs/a-0 runs/a-1 runs/a-2 --to runs/a --method seeds
    """
    from traitscope.cli._shared import refuse_missing, say, write_json
    from traitscope.evaluation.fusion import fuse as fuse_systems
    from traitscope.evaluation.report import Scoring, to_json

    refuse_missing(systems)
    scoring = Scoring(aggregate=aggregate)
    how: Any = {"method": method, "split": split, "labels": labels, "scoring": scoring}
    report = fuse_systems(systems, to=to, **how)
    if json:
        write_json(to_json(report))
    else:
        # The same words as of a single run: a fusion is a system like others.
        from traitscope.cli.evaluate import print_reports

        _print_members(report)
        print_reports([report])
    say(f"written to {to}; look at it with: traitscope report {to}")
    # A clip that one member could not score is not in the fusion either.
    if report.failures:
        raise typer.Exit(1)


def _print_members(report: "Report") -> None:
    """Each member with its weight, then their mean and sd, then what came out."""
    from traitscope.cli._shared import write_table
    from traitscope.evaluation.scoring import COLUMNS, short

    members, fused = report.members, report.everything.model
    assert members is not None  # every fusion has them
    scores = members.scores.metrics

    def cells(read: Any) -> list[str]:
        values = [read(metric) for metric in COLUMNS]
        return ["undefined" if value is None else short(value) for value in values]

    rows = [
        [name, _weights(members.weights[name]), *cells(lambda m, i=i: scores[m].values[i])]
        for i, name in enumerate(members.members)
    ]
    rows.append(["mean of members", "", *cells(lambda metric: scores[metric].mean)])
    rows.append(["sd of members", "", *cells(lambda metric: scores[metric].sd)])
    rows.append([report.name, "", *cells(lambda metric: fused.macro(metric).value)])
    write_table(["", "weight", *COLUMNS], rows, title=f"members and fusion ({members.method})")


def _weights(weights: Mapping[str, float]) -> str:
    low, high = min(weights.values()), max(weights.values())
    # Weights are fitted per target; shown as one number where they do not differ in print.
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
