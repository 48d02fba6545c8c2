"""``traitscope corpus``: what there is to know about a corpus before using it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from traitscope.errors import counted

if TYPE_CHECKING:
    from traitscope.audit.corpus_facts import Facts, LabelFacts, SplitCounts, SplitLabels

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
    from traitscope.audit.corpus import inspect_corpus
    from traitscope.cli._shared import write_json
    from traitscope.corpora import load_corpus

    facts = inspect_corpus(load_corpus(address))
    if json:
        write_json(facts.model_dump(mode="json"))
    else:
        _print(facts)


@app.command()
def manifest(
    address: Annotated[str, typer.Argument(help="Such as fi:/data/fi or table:clips.csv.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="How to split, such as kind=kfold folds=5 seed=1.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The table to write.")] = Path("manifest.csv"),
) -> None:
    """Write which clip is in which split, with hashes of labels: for others, or for later.

    traitscope corpus manifest table:study/clips.csv kind=kfold fold=all --to folds.csv

    Use it with: traitscope train ... protocol.manifest=folds.csv
    """
    from traitscope.config import build, parse_overrides
    from traitscope.corpora import load_corpus
    from traitscope.data.manifests import write_manifest
    from traitscope.data.protocols import Protocol, fold_numbers, split
    from traitscope.types import SPLITS

    # As `train` writes them or without the room's name: both can be meant by nothing else.
    typed = [setting.removeprefix("protocol.") for setting in settings or []]
    protocol = build(Protocol, parse_overrides(typed), where="the settings")
    corpus = load_corpus(address)
    if protocol.fold == "all":
        mark = write_manifest(to, corpus, fold_numbers(corpus, protocol), column="fold")
    else:
        splits = split(corpus, protocol)
        places = {clip.id: name for name in SPLITS for clip in splits.part(name)}
        mark = write_manifest(to, corpus, places)
    typer.echo(f"{to} ({mark})")


def _print(facts: "Facts") -> None:
    from traitscope.cli._shared import write_table

    kind = facts.kind.replace("_", "-")
    people = f" and {counted(facts.subjects, 'person', 'people')}" if facts.subjects else ""
    clips, sources = counted(facts.clips, "clip"), counted(facts.sources, "source")
    typer.echo(
        f"{facts.name}: {clips} of {sources}{people}, {kind} "
        f"traits" + (", which belong to people" if facts.aggregate == "subject" else "")
    )
    for note in facts.notes:
        typer.echo(f"  {note}")
    write_table(
        ["split", "clips", "sources", "subjects", "transcripts", "of them empty"],
        [[name, *_counted(counts)] for name, counts in facts.splits.items()],
    )
    _print_labels(facts)
    _print_sharing(facts)
    _print_references(facts)
    _print_planning(facts)
    for name, count in facts.attributes.items():
        typer.echo(f"attribute {name}: {count} of {facts.clips} clips")
    missing = facts.missing_media
    typer.echo(f"media: missing for {missing.count} of {facts.clips} clips")
    if missing.count:
        more = missing.count - len(missing.first)
        typer.echo(f"  {', '.join(missing.first)}" + (f" and {more} more" if more else ""))
    for warning in facts.warnings:
        typer.echo(f"note: {warning}")


def _counted(counts: "SplitCounts") -> list[int]:
    """Counts of a split, an empty transcript counted as one."""
    transcripts = counts.transcripts + counts.empty_transcripts
    return [counts.clips, counts.sources, counts.subjects, transcripts, counts.empty_transcripts]


def _print_labels(facts: "Facts") -> None:
    """Ranges, means and spreads of the targets, and how far they say the same."""
    from traitscope.cli._shared import write_table

    several = any(target.icc_within_source is not None for target in facts.targets)
    write_table(
        [
            *("target", "range", "direction"),
            *(f"{split}: mean (sd, n)" for split in facts.splits),
            *(("ICC(1) in a source",) if several else ()),
        ],
        [
            [target.label + (" (on request)" if target.optional else ""), _range(target)]
            + [_direction(target)]
            + [_statistics(cell) for cell in target.splits.values()]
            + ([_short(target.icc_within_source)] if several else [])
            for target in facts.targets
        ],
    )
    structure = facts.structure
    if structure.first_component is None or structure.correlations is None:
        return
    typer.echo(f"one component explains {structure.first_component:.0%} of the traits' variance")
    for target in facts.targets:
        if target.direction == -1:
            others = structure.correlations[target.name]
            shown = ", ".join(f"{_short(r)} {n}" for n, r in others.items() if n != target.name)
            typer.echo(f"{target.label} correlates {shown}")


def _print_sharing(facts: "Facts") -> None:
    """What splits share, and which test clips are new."""
    for pair, shared in facts.shared.items():
        typer.echo(f"shared by {pair}: {shared.sources} sources, {shared.subjects} subjects")
    for fit, counts in facts.unseen.items():
        total = counts.seen + counts.unseen
        typer.echo(
            f"fitted on {fit}: {counts.seen} of {total} test clips share a source with a "
            f"fitted clip, {counts.unseen} do not"
        )


def _print_references(facts: "Facts") -> None:
    """What needs no model, on the test clips."""
    from traitscope.cli._shared import write_table

    rows = facts.references
    if not rows:
        return
    metric = "mse" if rows[0].accuracy["macro"] is None else "accuracy"
    scores = [row.mse if metric == "mse" else row.accuracy for row in rows]
    labels = {t.name: t.label for t in facts.targets if t.name in rows[0].mse}
    lines = [
        [f"{metric} (macro)", *[_score(each["macro"]) for each in scores]],
        ["CCC (macro)", *[_score(row.ccc_macro) for row in rows]],
        ["CCC (pooled)", *[_score(row.ccc_pooled) for row in rows]],
        *[
            [f"{metric}: {label}", *[_score(each[name]) for each in scores]]
            for name, label in labels.items()
        ],
    ]
    header = [row.name + (f"\n({row.fit})" if row.fit else "") for row in rows]
    units = "people" if facts.aggregate == "subject" else "clips"
    title = f"what needs no model, on {rows[0].scored} test {units} (fitted on)"
    write_table(["", *header], lines, title=title)


def _print_planning(facts: "Facts") -> None:
    """What an evaluation on each split could tell, before there is a model."""
    from traitscope.cli._shared import write_table
    from traitscope.statistics.power import ALIKE, CORRELATION

    planned = facts.planning
    if not planned:
        return
    metrics = list(dict.fromkeys(name for each in planned.values() for name in each.metrics))
    rows = []
    for split, each in planned.items():
        cells = [each.metrics.get(metric) for metric in metrics]
        for key, what in (("half_width", "95 % interval, +-"), ("difference", "difference found")):
            shown = ["undefined" if cell is None else f"{getattr(cell, key):.3f}" for cell in cells]
            rows.append([split, str(each.clusters), what, *shown])
    write_table(
        ["split", "clusters", "", *metrics],
        rows,
        title=(
            f"what an evaluation could tell: macro scores of a model with r = {CORRELATION:g}; "
            f"found with 80 % power between two such models whose errors correlate {ALIKE:g}"
        ),
    )


def _score(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _range(target: "LabelFacts") -> str:
    low, high = target.low, target.high
    return "z-scores" if low is None or high is None else f"{low:g} to {high:g}"


def _direction(target: "LabelFacts") -> str:
    return {1: "1", -1: "-1", None: "not declared"}[target.direction]


def _statistics(cell: "SplitLabels") -> str:
    if cell.mean is None:
        return "no labels"
    return f"{cell.mean:.4f} ({cell.sd:.4f}, {cell.labels})"
