"""``traitscope compare``: systems on the same clips, with paired tests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import run_named

if TYPE_CHECKING:
    from traitscope.evaluation.comparison import Comparison, PairedDifference

app = typer.Typer(rich_markup_mode=None)


@app.command()
def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(help="Evaluated runs, or CSV files of predictions.", parser=run_named),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Corpus, where only CSV files are compared or a module of yours reads it."
        ),
    ] = None,
    fit_on: Annotated[
        Literal["train", "train+validation"] | None,
        typer.Option(help="What the constant is fitted on; as the runs say, or train."),
    ] = None,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split.")] = "test",
    metric: Annotated[
        list[str], typer.Option(help="What to compare; may be given several times.")
    ] = ["skill", "ccc"],  # noqa: B006
    margin: Annotated[
        float, typer.Option(help="Differences within it count as none: systems are equivalent.")
    ] = 0.02,
    targets: Annotated[bool, typer.Option(help="A row for each target as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print differences with 95 % intervals and p-values, paired and clustered by person.

    Seeds of one system (a column "seed") are replicates: their mean scores are compared.

    traitscope compare runs/a runs/b runs/ab

    traitscope compare runs/a theirs.csv --metric ccc --targets
    """
    from traitscope.cli._shared import refuse_missing, say, write_json
    from traitscope.errors import ConfigError
    from traitscope.evaluation.comparison import compare_systems
    from traitscope.statistics.metrics import FORMULAS

    refuse_missing(systems)
    # Before the systems are read, which takes a while.
    unknown = [name for name in metric if name not in FORMULAS]
    if unknown:
        raise ConfigError(f"There is no metric {unknown[0]!r}. There are: {', '.join(FORMULAS)}.")
    how: dict[str, Any] = {"split": split, "metrics": metric, "margin": margin}
    comparison = compare_systems(systems, labels=labels, fit_on=fit_on, **how)
    if json:
        write_json(comparison.model_dump(mode="json"))
        return
    _print(comparison, metric, every_target=targets)
    for note in comparison.notes:
        say(f"note: {note}")


def _print(comparison: "Comparison", metrics: list[str], *, every_target: bool) -> None:
    from traitscope.cli._shared import write_table
    from traitscope.evaluation.scoring import short

    what = "people" if comparison.aggregate == "subject" else "clips"
    where = (
        f"{comparison.split}, {comparison.clips} {what} that all have, "
        f"{comparison.clusters} clusters"
    )
    seeds = {name: f" (mean of {n} seeds)" if n > 1 else "" for name, n in comparison.seeds.items()}
    rows = [
        [
            name + seeds[name],
            *[_value(comparison.scores[name][metric]["macro"], short) for metric in metrics],
        ]
        for name in comparison.systems
    ]
    write_table(["", *[f"{metric} (macro)" for metric in metrics]], rows, title=where)
    write_table(
        [
            *("first", "second", "metric", "target", "first - second [95 %]", "p", "p (Holm)"),
            f"p (not within {comparison.margin:g})",
        ],
        [
            [
                *(d.first, d.second, d.metric, comparison.labels.get(d.target, d.target)),
                _difference(d, short),
                _probability(d.p),
                _probability(d.p_holm),
                _probability(d.p_equivalent),
            ]
            for d in comparison.differences
            if every_target or d.target == "macro"
        ],
        title=f"paired differences; skill against the mean of {comparison.fit}",
    )
    typer.echo(
        f"{comparison.families} The last column is two one-sided tests: below .05 the systems are "
        f"equivalent within {comparison.margin:g}."
    )


def _difference(row: "PairedDifference", short: Any) -> str:
    if row.value is None:
        return "undefined"
    if row.low is None:
        return f"{short(row.value)} (too few clusters)"
    return f"{short(row.value)} [{short(row.low)}, {short(row.high)}]"


def _value(value: float | None, short: Any) -> str:
    return "undefined" if value is None else str(short(value))


def _probability(p: float | None) -> str:
    return "" if p is None else ("<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0"))
