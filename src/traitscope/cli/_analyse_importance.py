"""``traitscope analyse importance``: which features a run's predictions rest on."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from traitscope.cli._options import Model, Run, Stream

_SHOWN = 25


def importance(
    run: Run,
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Whose clips.")
    ] = "validation",
    by: Annotated[
        Literal["column", "stream"], typer.Option(help="What is permuted together.")
    ] = "column",
    group: Annotated[
        list[str] | None, typer.Option(help="NAME=PATTERN,PATTERN instead of --by; repeatable.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Permutations per group.")] = 5,
    model: Model = None,
    stream: Stream = None,
    labels: Annotated[
        str | None, typer.Option(help="Its corpus, where a module of your own reads it.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Also write a CSV table to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Deal features to other clips, group by group, and measure what the predictions lose.

    traitscope analyse importance runs/a --by stream

    traitscope analyse importance runs/a --group 'mouth=signals.AU1*,signals.AU2*'
    """
    from traitscope.analysis.importance import measure_importance, write_table
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json

    log_to_stderr()
    with progress("groups") as hook:
        result = measure_importance(
            run,
            split=split,
            groups=_groups(group or []) or by,
            repeats=repeats,
            model=model,
            streams=stream or (),
            labels=labels,
            hook=hook,
        )
    if to is not None:
        say(f"saved as {write_table(result, to)}")
    if json:
        write_json(result)
    else:
        _print(result)


def _groups(given: list[str]) -> dict[str, list[str]]:
    from traitscope.errors import ConfigError

    groups = {}
    for text in given:
        # At the first sign: patterns of columns may hold another.
        name, sign, patterns = text.partition("=")
        if not sign or not name or not patterns:
            raise ConfigError(f"{text!r} is no group; write NAME=PATTERN,PATTERN.")
        groups[name] = patterns.split(",")
    return groups


def _print(result: dict[str, Any]) -> None:
    from traitscope.cli._shared import write_table

    scores = ", ".join(f"{m} {v:.4f}" for m, v in result["scores"].items() if v is not None)
    rows = [
        [row["group"], row["columns"], *[_cell(row[metric]) for metric in ("mae", "ccc")]]
        # The rows come sorted by what they cost, so the first ones are those to look at.
        for row in result["rows"][:_SHOWN]
    ]
    title = f"{result['run']} on {result['split']}, {result['clips']} clips ({scores})"
    write_table(["permuted", "columns", "MAE rises by", "CCC falls by"], rows, title=title)
    if len(result["rows"]) > _SHOWN:
        typer.echo(f"and {len(result['rows']) - _SHOWN} more; all of them with --json or --to FILE")


def _cell(loss: dict[str, float | None]) -> str:
    # Of predictions that do not vary a concordance is not defined, before or after.
    if loss["mean"] is None:
        return "undefined"
    return f"{loss['mean']:+.4f} ± {loss['sd']:.4f}"
