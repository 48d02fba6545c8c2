"""``traitscope benchmark``: a list of systems trained, compared and ranked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from traitscope.cli._options import Ray

app = typer.Typer(rich_markup_mode=None)


@app.command()
def benchmark(
    suite: Annotated[str, typer.Argument(help="A suite (ls suites), or a YAML file of yours.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="data.corpus=, data.store=, and settings of all systems."),
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder of runs, results and the page.")] = Path(
        "benchmark"
    ),
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Predictions of somebody else, as a system more."),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="A recipe, or your own model my_lab.model, besides.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each system.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time: 1, or a cluster's cores.")
    ] = None,
    ray: Ray = None,
    json: Annotated[bool, typer.Option("--json", help="Print the ranks as JSON.")] = False,
) -> None:
    """Train everything in a suite, and rank it; the same command again goes on.

    traitscope benchmark zoo_small --to bench

    traitscope benchmark flagship_fi data.corpus=fi:/data/fi data.store=store --with theirs.csv
    """
    from traitscope.cli._shared import log_to_stderr, progress, refuse_missing, write_json
    from traitscope.experiments.suite_runs import benchmark as run_suite
    from traitscope.experiments.suites import load_suite
    from traitscope.files import read_json

    log_to_stderr()
    refuse_missing(beside or [])
    corpus, store, rest = _split(settings or [])
    chosen = load_suite(suite).changed(seeds=seeds, also=also or [], settings=rest)
    where: dict[str, Any] = {"to": to, "corpus": corpus, "store": store}
    pages = run_suite(
        chosen, **where, others=beside or [], workers=workers, ray=ray, stage=progress
    )
    for page in pages:
        result = read_json(page.parent / "standings.json")
        if json:
            write_json(result)
        else:
            _print(result)
            typer.echo(page)


def _split(settings: list[str]) -> tuple[str | None, str | None, list[str]]:
    """Corpus and store, which the suite prepares, apart from settings of the runs."""
    places = {"data.corpus": "", "data.store": ""}
    rest = []
    for each in settings:
        key, _, value = each.partition("=")
        if key in places:
            places[key] = value
        else:
            rest.append(each)
    return places["data.corpus"] or None, places["data.store"] or None, rest


def _print(result: dict[str, Any]) -> None:
    from traitscope.cli._shared import say, write_table
    from traitscope.evaluation.scoring import short

    def score(name: str) -> float:
        value = result["systems"][name]["ccc"]
        return -1.0 if value is None else value

    rows = []
    for name in sorted(result["systems"], key=score, reverse=True):
        system = result["systems"][name]
        cost = system["cost"] or {}
        seconds = cost.get("train_seconds")
        scores = [system[key] for key in ("ccc", "r2", "skill")]
        shown = ["-" if value is None else short(value) for value in scores]
        took = ["-" if seconds is None else f"{seconds:.0f}", str(cost.get("parameters", "-"))]
        rows.append([name, *shown, *took])
    write_table(["", "CCC", "R2", "skill", "train s", "parameters"], rows)
    for name, why in result["failures"].items():
        say(f"no scores: {name}: {why}")
