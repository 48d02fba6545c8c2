"""``traitscope analyse``: what signals have to do with traits."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from traitscope.cli._analyse_explanations import explanations
from traitscope.cli._analyse_importance import importance

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command("importance")(importance)
app.command("explanations")(explanations)

_SHOWN = 25
Address = Annotated[str, typer.Argument(help="Such as fi:/data/fi or table:clips.csv.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _analyse() -> None:
    """Correlate signals with traits, or train on subsets of them."""


@app.command()
def signals_traits(
    corpus: Address,
    store: Annotated[Path, typer.Option(help="Store with the signals.")],
    to: Annotated[Path | None, typer.Option(help="Folder for CSV, JSON and heat maps.")] = None,
    stream: Annotated[str, typer.Option(help="Extractor, or key where there are several.")] = (
        "signals"
    ),
    split: Annotated[
        Literal["train", "validation", "test"] | None, typer.Option(help="Only these clips.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A run or a table: its predictions instead of labels.")
    ] = None,
    circular: Annotated[
        bool, typer.Option("--circular", help="Allow a run that reads these signals.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Correlate mean and sd of every signal with every target, corrected for their number.

    traitscope analyse signals-traits fi:/data/fi --store S --to signals

    traitscope analyse signals-traits table:clips.csv --store S --predictions runs/a
    """
    from traitscope.analysis.correlations import correlate_signals, write_table
    from traitscope.cli._shared import say, write_json
    from traitscope.corpora import load_corpus

    result = correlate_signals(
        load_corpus(corpus),
        store,
        stream=stream,
        split=split,
        predictions=predictions,
        circular=circular,
    )
    if to is not None:
        # Plots take a second to import, which a table on the screen need not wait for.
        from traitscope.analysis.heat_maps import draw
        from traitscope.files import write_json as save_json

        to.mkdir(parents=True, exist_ok=True)
        save_json(to / "signals-traits.json", result)
        for path in (write_table(result, to / "signals-traits.csv"), *draw(result, to)):
            say(f"saved as {path}")
    if json:
        write_json(result)
    else:
        _print_correlations(result)
    for note in result["notes"]:
        say(f"note: {note}")


@app.command()
def ablation(
    corpus: Address,
    store: Annotated[Path, typer.Option(help="Store with the signals.")],
    to: Annotated[Path, typer.Option(help="Folder of the runs and the table.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="Settings such as features.signals.backend=dlib.")
    ] = None,
    split: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Scored clips; choose signals on validation, not on test."),
    ] = "validation",
    json: AsJson = False,
) -> None:
    """Train the functionals model on action units, gaze and rotation, alone and together.

    traitscope analyse ablation fi:/data/fi --store S --to ablation

    traitscope analyse ablation table:clips.csv --store S --to ablation features.signals.rate=10
    """
    from traitscope.cli._shared import progress, say, write_json
    from traitscope.experiments.ablations import ablate, write_table
    from traitscope.files import write_json as save_json

    with progress("feature sets") as hook:
        result = ablate(corpus, store, to=to, settings=settings or [], split=split, hook=hook)
    save_json(to / "ablation.json", result)
    say(f"saved as {write_table(result, to / 'ablation.csv')}")
    if json:
        write_json(result)
    else:
        _print_ablation(result)


def _print_correlations(result: dict[str, Any]) -> None:
    from traitscope.cli._shared import write_table

    kind = result["kind"].replace("_", "-")
    labels = {target["name"]: target["label"] for target in result["targets"]}
    # Corrected for their number: hundreds of signals against five traits find some by chance.
    held = [
        r for r in result["rows"] if min(_q(r["pearson"]), _q(r["spearman"])) <= result["level"]
    ]
    held.sort(key=lambda row: -abs(row["pearson"]["value"]))
    title = (
        f"Signals against {result['against']} ({kind} traits), {result['corpus']}: {len(held)} of "
        f"{len(result['rows'])} hold after correction"
    )
    # The run reads these signals, so the correlations are of the run with itself.
    if result["circular"]:
        title = f"CIRCULAR. {title}"
    rows = [
        [row["name"], row["statistic"], labels[row["target"]], *map(_cell, _methods(row)), row["n"]]
        for row in held[:_SHOWN]
    ]
    header = ["signal", "of a clip", "target", "Pearson [95 %], q", "Spearman [95 %], q", "clips"]
    write_table(header, rows, title=title)
    if len(held) > _SHOWN:
        typer.echo(f"and {len(held) - _SHOWN} more; all of them with --json or --to DIR")


def _methods(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [row["pearson"], row["spearman"]]


def _q(cell: dict[str, Any]) -> float:
    # An undefined correlation counts as none that holds.
    return 1.0 if cell["q"] is None else float(cell["q"])


def _cell(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "undefined"
    ends = "" if cell["low"] is None else f" [{cell['low']:.2f}, {cell['high']:.2f}]"
    return f"{cell['value']:.2f}{ends}, {_q(cell):.2g}"


def _print_ablation(result: dict[str, Any]) -> None:
    from traitscope.cli._shared import say, write_table

    names = ["macro", *[target["name"] for target in result["targets"]]]
    labels = ["macro", *[target["label"] for target in result["targets"]]]
    kind = result["kind"].replace("_", "-")
    where = f"{result['corpus']}, {result['split']}, {result['clips']} clips ({kind} traits)"
    # The field reports accuracy; concordance tells what accuracy hides where scores cluster.
    for metric in ("accuracy", "ccc"):
        rows = []
        for row in result["rows"]:
            cells = [row["metrics"][metric][name] for name in names]
            rows.append([row["set"], *map(_ends, cells)])
        write_table(["signals", *labels], rows, title=f"{metric} [95 %]: {where}")
    for row in result["rows"]:
        # Columns are there and say nothing: as of a backend that does not measure them.
        if row["columns"] and row["metrics"]["ccc"]["macro"]["value"] is None:
            say(
                f"note: {row['set']}: the predictions do not vary, so nothing is known of these "
                f"signals. Not every backend measures them; signals-traits says which are missing."
            )


def _ends(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "undefined"
    ends = "" if cell["low"] is None else f" [{cell['low']:.3f}, {cell['high']:.3f}]"
    return f"{cell['value']:.3f}{ends}"
