"""``traitscope corpus``: what there is to know about a corpus before using it."""

from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _corpus() -> None:
    """Check a corpus: labels, splits, facts, missing media."""


@app.command()
def check(
    address: Annotated[str, typer.Argument(help="Such as fi:/data/fi or table:clips.csv.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print targets, splits, what splits share, and missing media; list every fault.

    traitscope corpus check table:study/clips.csv

    traitscope corpus check fi:/data/fi --json
    """
    from traitscope.cli._shared import write_json
    from traitscope.corpora import load_corpus
    from traitscope.corpora._facts import describe

    corpus = load_corpus(address)
    facts = {**describe(corpus), "warnings": _warnings(corpus)}
    if json:
        write_json(facts)
    else:
        _print(facts)


def _warnings(corpus: Any) -> list[str]:
    """What a user should know about labels, splits and leaks."""
    from traitscope.protocols import leakage
    from traitscope.types import SPLITS

    undeclared = [target.name for target in corpus.targets if target.direction is None]
    found = []
    if undeclared:
        found.append(
            f"No direction is declared for {', '.join(undeclared)}: such targets cannot be "
            f"compared with another corpus."
        )
    for name in corpus.target_names:
        without = sum(name not in clip.targets for clip in corpus.clips)
        if without:
            found.append(f"{name}: {without} of {len(corpus.clips)} clips have no label.")
    parts = {split: [c for c in corpus.clips if c.split == split] for split in SPLITS}
    for other in ("validation", "test"):
        if parts["train"] and parts[other]:
            shared = leakage(parts["train"], parts[other]).sentences
            found += [f"train and {other}: {sentence}" for sentence in shared]
    return found


def _print(facts: dict[str, Any]) -> None:
    from traitscope.cli._shared import write_table

    typer.echo(f"{facts['name']}: {facts['clips']} clips, {facts['kind'].replace('_', '-')} traits")
    for note in facts["notes"]:
        typer.echo(f"  {note}")
    write_table(
        ["split", "clips", "sources", "subjects", "transcripts"],
        [[name, *counts.values()] for name, counts in facts["splits"].items()],
    )
    write_table(
        ["target", "range", "direction", *(f"{split}: mean (sd, n)" for split in facts["splits"])],
        [
            [target["label"], _range(target), _direction(target)]
            + [_statistics(cell) for cell in target["splits"].values()]
            for target in facts["targets"]
        ],
    )
    for pair, shared in facts["shared"].items():
        typer.echo(f"shared by {pair}: {shared['sources']} sources, {shared['subjects']} subjects")
    for name, count in facts["attributes"].items():
        typer.echo(f"attribute {name}: {count} of {facts['clips']} clips")
    missing = facts["missing_media"]
    typer.echo(f"media: missing for {missing['count']} of {facts['clips']} clips")
    if missing["count"]:
        more = missing["count"] - len(missing["first"])
        typer.echo(f"  {', '.join(missing['first'])}" + (f" and {more} more" if more else ""))
    for warning in facts["warnings"]:
        typer.echo(f"note: {warning}")


def _range(target: dict[str, Any]) -> str:
    low, high = target["low"], target["high"]
    return "z-scores" if low is None else f"{low:g} to {high:g}"


def _direction(target: dict[str, Any]) -> str:
    return {1: "1", -1: "-1", None: "not declared"}[target["direction"]]


def _statistics(cell: dict[str, Any]) -> str:
    if cell["mean"] is None:
        return "no labels"
    return f"{cell['mean']:.4f} ({cell['sd']:.4f}, {cell['labels']})"
