"""``traitscope explain``: what in a clip the scores of a run rest on, as a page."""

from pathlib import Path
from typing import Annotated, Any

import typer

from traitscope.cli._options import Limit, Model, Stream

app = typer.Typer(rich_markup_mode=None)


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    clip: Annotated[Path, typer.Argument(help="A media file, a folder of images, or a text.")],
    to: Annotated[Path | None, typer.Option(help="Write a page with the video here.")] = None,
    text: Annotated[Path | None, typer.Option(help="Words of the clip.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Features of the run's corpus, if they were moved.")
    ] = None,
    parts: Annotated[
        Path | None, typer.Option(help="Also a CSV table of every part and what it adds.")
    ] = None,
    model: Model = None,
    stream: Stream = None,
    limit: Limit = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which seconds, streams, regions, words or columns move the scores, and test it.

    traitscope explain runs/a clip.mp4 --to page.html

    traitscope explain runs/text speech.txt --json
    """
    from traitscope.analysis.explanations import explain as explain_clip
    from traitscope.cli._shared import log_to_stderr, say, warn_unfinished, write_json
    from traitscope.errors import ConfigError
    from traitscope.files import write_csv
    from traitscope.media import parse_limits

    log_to_stderr()
    if to is not None and to.suffix.lower() not in {".html", ".htm"}:
        raise ConfigError(f"--to {to} is no page: name a file such as page.html.")
    limits = parse_limits(limit or ())
    warn_unfinished(run)
    how = {"text": text, "store": store, "model": model, "streams": stream or ()}
    made = explain_clip(run, clip, limits=limits, **how)  # type: ignore[arg-type]
    if parts is not None:
        frame = made.to_frame()
        rows = frame.astype(object).where(frame.notna(), "").to_numpy().tolist()
        say(f"saved as {write_csv(parts, list(frame.columns), rows)}")
    if to is not None:
        from traitscope.report.explanation import write_explanation

        say(f"saved as {write_explanation(made, to, tested=_tested(run))}")
    if json:
        write_json(made.to_dict())
    else:
        _print(made.to_dict())


def _tested(run: Path) -> Any:
    """What the test over a split found for this run, if it was made."""
    from traitscope.analysis.explanation_test import read_tested

    return read_tested(run)


def _print(told: dict[str, Any]) -> None:
    from traitscope.cli._shared import say, write_table

    rows = []
    for one in told["targets"]:
        gain = one["deletion"]
        rows.append(
            [
                one["label"],
                f"{one['score']:.3f}",
                f"{one['reference']:.3f}",
                one["stream"],
                "-" if one["seconds"] is None else "{:.1f} to {:.1f}".format(*one["seconds"]),
                ", ".join(filter(None, (one["region"], one["name"]))) or "-",
                f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
                one["verdict"],
            ]
        )
    kind = told["kind"].replace("_", "-")
    header = ["trait", "score", "against", "stream", "seconds", "what", "deletion", "verdict"]
    title = f"{kind} traits of {told['clip']} by {told['run']} ({told['model']})"
    write_table(header, rows, title=title)
    say(f"against: {told['against']}; numbers: {told['method']}")
    typer.echo(
        "This says what the model reacts to in this clip, not what the person is like. "
        f"Whether that has to do with the labels says: traitscope analyse explanations "
        f"{told['run']}"
    )
