"""``traitscope tune``: search the settings of a recipe or a model on validation."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traitscope.cli._options import Stream

if TYPE_CHECKING:
    from rich.table import Table

    from traitscope.experiments.search import Watch
    from traitscope.experiments.trials import Trial

app = typer.Typer(rich_markup_mode=None)
Metric = Annotated[
    Literal["ccc", "mae", "mse", "r2"] | None,
    typer.Option(help="Macro score on validation that decides; ccc."),
]
Algorithm = Annotated[
    Literal["random", "optuna"] | None, typer.Option(help="Who proposes settings; random.")
]
Scheduler = Annotated[
    Literal["asha", "fifo"] | None,
    typer.Option(help="asha stops what others have left behind; fifo nothing."),
]
Accelerator = Annotated[
    Literal["auto", "cpu", "gpu"] | None, typer.Option(help="Where networks are trained.")
]
Ray = Annotated[
    str | None, typer.Option(help="HOST:PORT of a Ray cluster; else one is started here.")
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(help='key=value, or "key=loguniform(1e-5,1e-2)" to search it.'),
]


@app.command()
def tune(
    name: Annotated[
        str | None, typer.Argument(help="Recipe, model, YAML file or dotted path.")
    ] = None,
    settings: Settings = None,
    to: Annotated[Path | None, typer.Option(help="Folder of the search.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in --to.")
    ] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Trainings in all; 12.")] = None,
    metric: Metric = None,
    algorithm: Algorithm = None,
    scheduler: Scheduler = None,
    grace: Annotated[
        int | None, typer.Option(min=1, help="Epochs before a trial can be stopped; 5.")
    ] = None,
    reduction: Annotated[
        int | None, typer.Option(min=2, help="One trial in so many goes on at each rung; 2.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the search; 0.")] = None,
    concurrent: Annotated[
        int | None, typer.Option(min=0, help="Trials at a time; as many as have room.")
    ] = None,
    cpus: Annotated[float | None, typer.Option(help="Cores of each trial; 1.")] = None,
    gpus: Annotated[float | None, typer.Option(help="GPUs of each trial, such as 0.5.")] = None,
    accelerator: Accelerator = None,
    ray: Ray = None,
    stream: Stream = None,
) -> None:
    """Search settings on the validation clips with Ray Tune; prints the best recipe's file.

    traitscope tune face_cnn_search data.corpus=fi:/data/fi data.store=store --to search

    traitscope tune audio_lstm data.corpus=fi:/data/fi data.store=store
    "train.lr=loguniform(1e-4,1e-2)" "train.batch_size=choice(16,32,64)" --trials 20 --to search

    traitscope tune --resume --to search
    """
    _search(
        name,
        settings or [],
        {"to": to, "resume": resume, "address": ray},
        trials=trials,
        metric=metric,
        algorithm=algorithm,
        scheduler=scheduler,
        grace=grace,
        reduction=reduction,
        seed=seed,
        concurrent=concurrent,
        cpus=cpus,
        gpus=gpus,
        accelerator=accelerator,
        streams=tuple(stream) if stream else None,
    )


def _search(name: str | None, settings: list[str], where: dict[str, Any], **options: Any) -> None:
    """Search, show how far it is, and say what came out or how to go on."""
    from traitscope.cli._shared import log_to_stderr, say
    from traitscope.experiments.search import tune as search
    from traitscope.training.start import unused_folder

    # What was not typed is as the search has it, which a resumed one must not change.
    given = {key: value for key, value in options.items() if value is not None}
    if where["to"] is None and name is not None and not where["resume"]:
        where["to"] = unused_folder(f"tune-{Path(name).stem}")  # to say below how to go on
    log_to_stderr()
    try:
        with shown_trials(options["trials"]) as watch:
            folder = search(name, settings, **where, watch=watch, **given)
    except KeyboardInterrupt:
        to = where["to"]
        say(f"Trials and their epochs are kept. Go on with: traitscope tune --resume --to {to}")
        raise
    say(f"The page, for a browser: {folder / 'search.html'}")
    say(f"Train the best: traitscope train {folder / 'best.yaml'} data.corpus=... data.store=...")
    typer.echo(folder / "best.yaml")


_SHOWN = 30  # trials of a live table: the last ones, where a terminal has no room for more


@contextmanager
def shown_trials(planned: int | None) -> "Iterator[Watch]":
    """Show the trials as they go: a live table in a terminal, a line now and then in a pipe."""
    from rich.live import Live

    from traitscope.cli._shared import messages

    console = messages()
    if not console.is_terminal:
        yield _lines(planned)
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        yield lambda trials: live.update(_table(trials))


def _lines(planned: int | None) -> "Watch":
    from traitscope.cli._shared import LINE_SECONDS, say

    told: dict[int, str] = {}
    last = 0.0

    def watch(trials: "Sequence[Trial]") -> None:
        nonlocal last
        for trial in trials:
            # Those that were over before this sitting are only counted.
            if trial.status != "running" and told.get(trial.number) == "running":
                say(f"trial {trial.number} {trial.status}: {_score(trial)}{_reason(trial)}")
            told[trial.number] = trial.status
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            counts = Counter(told.values())
            states = ", ".join(f"{count} {state}" for state, count in counts.items())
            best = max((t.standings[-1] for t in trials if t.standings), default=None)
            ahead = "" if best is None else f"; best so far {abs(best):.4f}"
            say(f"trials: {states}{f' of {planned}' if planned else ''}{ahead}")

    return watch


def _score(trial: "Trial") -> str:
    score = "no score" if trial.score is None else f"{trial.score:.4f}"
    return f"{score} after {trial.epochs} epochs"


def _reason(trial: "Trial") -> str:
    return f" ({trial.reason})" if trial.reason else ""


def _table(trials: "Sequence[Trial]") -> "Table":
    """The trials as Rich draws them."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    keys = list(trials[0].settings) if trials else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("trial", "status", "epochs", "score", *keys):
        table.add_column(escape(header), overflow="fold")
    for trial in trials[-_SHOWN:]:
        score = "" if trial.score is None else f"{trial.score:.4f}"
        values = [escape(str(value)) for value in trial.settings.values()]
        table.add_row(str(trial.number), trial.status, str(trial.epochs), score, *values)
    return table
