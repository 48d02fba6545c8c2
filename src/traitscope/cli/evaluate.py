"""``traitscope evaluate``: a run, or anyone's predictions, beside honest baselines."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of a trained run.")] = None,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split.")] = "test",
    predictions: Annotated[Path | None, typer.Option(help="Predictions of any system.")] = None,
    labels: Annotated[str | None, typer.Option(help="Corpus of --predictions.")] = None,
    fit_on: Annotated[
        Literal["train", "train+validation"],
        typer.Option(help="What the baselines of --predictions are fitted on."),
    ] = "train",
    corpus: Annotated[
        str | None, typer.Option(help="Evaluate the run on another corpus than its own.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Store of --corpus.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    model: Annotated[str | None, typer.Option(help="Dotted path of the run's own model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print every number beside the constant and the look-up, with 95 % intervals.

    traitscope evaluate runs/a --split test

    traitscope evaluate --predictions theirs.csv --labels fi:/data/fi --fit-on train+validation
    """
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.errors import ConfigError

    log_to_stderr()
    if (run is None) == (predictions is None):
        raise ConfigError("Name either a run, or --predictions FILE with --labels CORPUS.")
    if run is not None:
        from traitscope.evaluation import evaluate as evaluate_run

        with progress("clips") as hook:
            report = evaluate_run(
                run, split=split, corpus=corpus, store=store, to=to, model=model, hook=hook
            )
    else:
        report = _outside_predictions(predictions, labels, split, fit_on, to)
    if json:
        write_json(report)
    else:
        print_report(report)
    for failure in report["failures"][:10]:
        say(f"not scored: {failure['clip']}: {failure['reason']}")
    if report["failures"]:
        raise typer.Exit(1)


def _outside_predictions(
    predictions: Path | None, labels: str | None, split: str, fit_on: Any, to: Path | None
) -> dict[str, Any]:
    from traitscope.corpora import load_corpus
    from traitscope.errors import ConfigError
    from traitscope.evaluation import evaluate_predictions, write_results

    if labels is None or predictions is None:
        raise ConfigError("--predictions needs --labels, such as --labels fi:/data/fi")
    report = evaluate_predictions(predictions, load_corpus(labels), split=split, fit_on=fit_on)
    if to is not None:
        write_results(report, to)
    return report


def print_report(report: dict[str, Any]) -> None:
    """Print the table of each part of a report, then its warnings."""
    from traitscope.cli._shared import say, write_table
    from traitscope.scoring import HEADER, table_rows

    kind = report["corpus"]["kind"].replace("_", "-")
    for name, part in report["parts"].items():
        title = f"{part['title']}: {part['clips']} clips, {part['sources']} sources ({kind})"
        rows = [[label, *cells] for label, cells in table_rows(report, name)]
        write_table([*HEADER], rows, title=title)
    for warning in report["warnings"]:
        say(f"warning: {warning}")
