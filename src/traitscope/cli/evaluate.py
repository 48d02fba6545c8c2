"""``traitscope evaluate``: a run, or anyone's predictions, beside honest baselines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import Model, Stream, run_named

if TYPE_CHECKING:
    from traitscope.evaluation.report import Repeated, Report

app = typer.Typer(rich_markup_mode=None)
Aggregate = Annotated[
    Literal["clip", "subject"] | None,
    typer.Option(help="Score clips, or people (mean of their clips); as the corpus says."),
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read features; 0 for none.")]
RunName = Annotated[
    Path | None, typer.Argument(help="A trained run, or hf:owner/name.", parser=run_named)
]

_NAMED = 10  # clips without a score; the report names all


@app.command()
def evaluate(
    run: RunName = None,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split.")] = "test",
    predictions: Annotated[Path | None, typer.Option(help="Predictions of any system.")] = None,
    labels: Annotated[str | None, typer.Option(help="Corpus of --predictions.")] = None,
    fit_on: Annotated[
        Literal["train", "train+validation"],
        typer.Option(help="What the baselines of --predictions are fitted on."),
    ] = "train",
    corpus: Annotated[
        str | None,
        typer.Option(help="Another corpus than the run's own; or that, if your module reads it."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Store of --corpus.")] = None,
    aggregate: Aggregate = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    model: Model = None,
    stream: Stream = None,
    workers: Workers = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print every number beside the constant and the look-up, with 95 % intervals.

    traitscope evaluate runs/a --split test

    traitscope evaluate --predictions theirs.csv --labels fi:/data/fi --fit-on train+validation

    traitscope evaluate --predictions folds.csv --labels table:clips.csv (with a column fold)
    """
    from traitscope.cli._shared import log_to_stderr, progress, warn_unfinished, write_json
    from traitscope.errors import ConfigError

    log_to_stderr()
    if (run is None) == (predictions is None):
        raise ConfigError("Name either a run, or --predictions FILE with --labels CORPUS.")
    from traitscope.evaluation.report import Scoring, to_json

    scoring = Scoring(aggregate=aggregate)
    if run is not None:
        from traitscope.evaluation.trained_runs import evaluate as evaluate_run

        warn_unfinished(run)
        where: Any = {"split": split, "corpus": corpus, "store": store, "to": to}
        where |= {"model": model, "streams": stream or (), "workers": workers}
        with progress("clips") as hook:
            report = evaluate_run(run, **where, scoring=scoring, hook=hook)
    elif labels is None or predictions is None:
        raise ConfigError("--predictions needs --labels, such as --labels fi:/data/fi")
    else:
        how: Any = {"split": split, "fit_on": fit_on, "scoring": scoring}
        report = _outside_predictions(predictions, labels, to, **how)
    if json:
        write_json(to_json(report))
    else:
        print_reports([report])
    _name_failures(report)
    if report.failures:
        raise typer.Exit(1)


def _name_failures(report: "Report") -> None:
    """Say why the first clips without a score have none."""
    from traitscope.cli._shared import say

    for failure in report.failures[:_NAMED]:
        say(f"not scored: {failure.clip}: {failure.reason}")


def _outside_predictions(
    predictions: Path, labels: str, to: Path | None, **settings: Any
) -> "Report":
    """Score a table; ``to`` gets a copy of it beside the report, for compare and fuse."""
    from shutil import copyfile

    from traitscope.corpora import load_corpus
    from traitscope.evaluation.assessment import evaluate_predictions
    from traitscope.evaluation.report import save_report

    report = evaluate_predictions(predictions, load_corpus(labels), address=labels, **settings)
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        # Scored in the folder of its results it is there already.
        if predictions.resolve() != (to / "predictions.csv").resolve():
            copyfile(predictions, to / "predictions.csv")
        save_report(report, to / "report.json")
    return report


def print_reports(reports: Sequence["Report"]) -> None:
    """Print what the numbers say, then each part once with its baselines, then warnings."""
    from traitscope.cli._shared import say, write_table
    from traitscope.errors import counted
    from traitscope.evaluation.scoring import COLUMNS, table_rows

    first = reports[0]
    kind = first.corpus.kind.replace("_", "-")
    for verdict in dict.fromkeys(v.text for report in reports for v in report.verdicts):
        typer.echo(f"- {verdict}")
    what = "people" if first.scoring.aggregate == "subject" else "clips"
    for name, part in first.parts.items():
        cells: dict[str, list[str]] = {}
        for report in reports:
            # Baselines are the same for systems on the same clips: printed once.
            cells |= {label: row for label, row in table_rows(report, name) if label not in cells}
        systems = {
            row.name
            for report in reports
            for row in report.parts[name].rows
            if row.role in {"model", "ensemble", "seed"}
        }
        order = sorted(cells, key=lambda label: label not in systems)
        groups = f", {part.clusters} groups of sources and people" if part.clusters else ""
        title = (
            f"{part.title}: {part.clips} {what}, {counted(part.sources, 'source')}{groups} "
            f"({kind}; macro over {len(first.corpus.targets)} targets)"
        )
        write_table(["", *COLUMNS], [[label, *cells[label]] for label in order], title=title)
        for line in [*_seeds(reports, name), *(_folds(reports) if name == "all" else [])]:
            typer.echo(line)
        if part.reason:
            say(part.reason)
    for manifest in dict.fromkeys(r.manifest for r in reports if r.manifest):
        typer.echo(f"splits as given: {manifest}")
    for ceiling in dict.fromkeys(report.ceiling.text for report in reports):
        typer.echo(f"ceiling of the labels: {ceiling}")
    for report in reports:
        typer.echo("".join(f"{line}\n" for line in _limits(report)), nl=False)
    for warning in dict.fromkeys(w for report in reports for w in report.warnings):
        say(f"warning: {warning}")


def _seeds(reports: Sequence["Report"], part: str) -> list[str]:
    """For a system trained several times: each metric's mean and sd over the trainings."""
    rows = (row for report in reports for row in report.parts[part].rows)
    return [f"{row.name}, seeds apart: {_apart(row.seeds.metrics)}" for row in rows if row.seeds]


def _limits(report: "Report") -> list[str]:
    """What the labels allow, target by target, and how much is one general impression."""
    from traitscope.evaluation.scoring import shown

    labels = {target.name: target.label for target in report.corpus.targets}
    lines = [
        f"{labels[each.target]}: ICC({each.basis}) {shown(each.icc[each.basis])}, r max "
        f"{shown(each.r_max)}, r disattenuated {shown(each.disattenuated)}, best accuracy "
        f"{shown(each.accuracy)}"
        for each in report.ceiling.targets
    ]
    return [*lines, f"{report.name}, halo: {report.halo.text}"] if report.halo else lines


def _folds(reports: Sequence["Report"]) -> list[str]:
    """For a run per fold: each metric's mean and sd over the folds."""
    return [f"{each.name}, folds apart: {_apart(each.folds)}" for each in reports if each.folds]


def _apart(metrics: Mapping[str, "Repeated"]) -> str:
    from traitscope.evaluation.scoring import COLUMNS, short

    scores = {metric: metrics[metric] for metric in COLUMNS}
    return ", ".join(
        f"{metric} {short(score.mean)} (sd {short(score.sd)})"
        for metric, score in scores.items()
        if score.mean is not None and score.sd is not None
    )
