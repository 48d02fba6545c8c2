"""``traitscope audit``: what an auditor asks of a finished set of predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import Limit, Model, Stream, run_named

if TYPE_CHECKING:
    from traitscope.audit import Scored
    from traitscope.audit.findings import Audit

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Split = Literal["train", "validation", "test"]
RunName = Annotated[Path | None, typer.Argument(help="An evaluated run.", parser=run_named)]
SplitName = Annotated[Split, typer.Option(help="Split.")]
Table = Annotated[Path | None, typer.Option(help="Predictions of any system.")]
Labels = Annotated[
    str | None, typer.Option(help="Corpus of --predictions; of a run, if your module reads it.")
]
FitOn = Annotated[
    Literal["train", "train+validation"],
    typer.Option(help="What the system of --predictions was fitted on."),
]
Folder = Annotated[
    Path | None, typer.Option(help="Folder for the JSON; beside the evaluation for a run.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _audit() -> None:
    """Audit predictions: groups of people, calibration, leakage, changes of the recording."""


@app.command()
def fairness(
    run: RunName = None,
    split: SplitName = "test",
    predictions: Table = None,
    labels: Labels = None,
    fit_on: FitOn = "train",
    attributes: Annotated[
        Path | None, typer.Option(help="CSV of clips and attributes, instead of the corpus' own.")
    ] = None,
    minimum: Annotated[int, typer.Option(min=2, help="Fewest clips of a group.")] = 20,
    to: Folder = None,
    json: AsJson = False,
) -> None:
    """Print how groups of people are labelled and scored, and their gaps to all others.

    traitscope audit fairness runs/a

    traitscope audit fairness --predictions theirs.csv --labels fi:/data/fi --attributes who.csv
    """
    from traitscope.audit.fairness import audit_fairness, read_attributes

    scored = _scored(run, split, predictions, labels, fit_on)
    known = read_attributes(attributes, scored.clips) if attributes else None
    audit = audit_fairness(scored, attributes=known, minimum=minimum)
    _finish(audit, scored.folder, to, json)


@app.command()
def calibration(
    run: RunName = None,
    split: SplitName = "test",
    predictions: Table = None,
    labels: Labels = None,
    fit_on: FitOn = "train",
    level: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="Nominal coverage of low_ to high_.")
    ] = 0.95,
    to: Folder = None,
    json: AsJson = False,
) -> None:
    """Print what a score means in labels, spread, correlations between traits, and coverage.

    traitscope audit calibration runs/a

    traitscope audit calibration --predictions theirs.csv --labels table:clips.csv --json
    """
    from traitscope.audit.calibration import audit_calibration

    scored = _scored(run, split, predictions, labels, fit_on)
    _finish(audit_calibration(scored, level=level), scored.folder, to, json)


@app.command()
def leakage(
    run: RunName = None,
    split: SplitName = "test",
    predictions: Table = None,
    labels: Labels = None,
    fit_on: FitOn = "train",
    media_hash: Annotated[bool, typer.Option(help="Compare the bytes of media too.")] = False,
    faces: Annotated[
        Path | None, typer.Option(help="Store with face_embedding: one face on both sides.")
    ] = None,
    to: Folder = None,
    json: AsJson = False,
) -> None:
    """Print what scored clips share with fitted ones: sources, people, media, words.

    traitscope audit leakage runs/a --media-hash --faces features

    traitscope audit leakage --predictions theirs.csv --labels fi:/data/fi
    """
    from traitscope.audit.leakage import audit_leakage

    scored = _scored(run, split, predictions, labels, fit_on)
    _finish(audit_leakage(scored, media_hash=media_hash, faces=faces), scored.folder, to, json)


@app.command()
def perturbation(
    run: Annotated[Path, typer.Argument(help="A trained and evaluated run.", parser=run_named)],
    split: SplitName = "test",
    clips: Annotated[int, typer.Option(min=1, help="How many clips are perturbed.")] = 12,
    only: Annotated[str, typer.Option(help="Comma list, such as brightness,mirror.")] = "",
    model: Model = None,
    stream: Stream = None,
    labels: Annotated[
        str | None, typer.Option(help="Its corpus, where a module of your own reads it.")
    ] = None,
    limit: Limit = None,
    to: Folder = None,
    json: AsJson = False,
) -> None:
    """Predict clips again from changed media; print how far each score moves.

    traitscope audit perturbation runs/a

    traitscope audit perturbation runs/a --only brightness,mirror --clips 30
    """
    from traitscope.audit.perturbation import audit_perturbation
    from traitscope.cli._shared import log_to_stderr, progress
    from traitscope.media import parse_limits

    log_to_stderr()
    names = [name.strip() for name in only.split(",") if name.strip()]
    own: Any = {"model": model, "streams": stream or (), "labels": labels}
    own["limits"] = parse_limits(limit or ())
    with progress("perturbed clips") as hook:
        audit = audit_perturbation(run, split=split, clips=clips, only=names, **own, hook=hook)
    _finish(audit, run / "evaluation" / split, to, json)


def _scored(
    run: Path | None, split: str, predictions: Path | None, labels: str | None, fit_on: Any
) -> "Scored":
    from traitscope.audit import scored_run, scored_table
    from traitscope.corpora import load_corpus
    from traitscope.errors import ConfigError

    if (run is None) == (predictions is None):
        raise ConfigError("Name either a run, or --predictions FILE with --labels CORPUS.")
    if run is not None:
        return scored_run(run, split=split, labels=labels)
    # Predictions alone say nothing of clips, splits or directions.
    if labels is None or predictions is None:
        raise ConfigError("--predictions needs --labels, such as --labels fi:/data/fi")
    return scored_table(predictions, load_corpus(labels), split=split, fit_on=fit_on)


def _finish(audit: "Audit", home: Path | None, to: Path | None, json: bool) -> None:
    """Save an audit where the report finds it, and print it."""
    from traitscope.audit.findings import save, to_json
    from traitscope.cli._shared import say, write_json

    folder = to or home
    if folder is not None:
        say(f"saved as {save(audit, folder)}")
    if json:
        write_json(to_json(audit))
    else:
        _print(audit)


def _print(audit: "Audit") -> None:
    from traitscope.cli._shared import say, write_table
    from traitscope.report.audit_sentences import audit_words
    from traitscope.report.audits import audit_tables

    kind = audit.kind.replace("_", "-")
    where = f"{audit.corpus}, {audit.split}, {audit.clips} clips ({kind} traits)"
    typer.echo(f"{audit.audit} of {audit.name}: {where}")
    typer.echo(audit_words(audit))
    for table in audit_tables(audit):
        if table.rows:
            header, rows = list(table.header), [list(row) for row in table.rows]
            keys = 2 if header[:2] == ["attribute", "value"] else 1
            write_table(header, rows, title=table.title, keys=keys)
        else:
            typer.echo(f"{table.title}: {table.empty}")
    for note in audit.notes:
        say(f"note: {note}")
