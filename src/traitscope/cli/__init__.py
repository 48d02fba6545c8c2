"""The command line: one verb per file, imported only when that verb runs."""

import importlib
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import traitscope
from traitscope.errors import ConfigError, TraitscopeError
from traitscope.registry import unknown

VERBS = {
    "doctor": "Say what works on this machine.",
    "demo": "Do the whole job on a generated corpus, with a report.",
    "corpus": "Check a corpus: labels, splits, facts, missing media.",
    "prepare": "Extract features from the media of a corpus into a store.",
    "features": "Look into a store; bring tables in and out; check and pack it.",
    "train": "Train a recipe or a model on prepared features.",
    "tune": "Search settings of a training on the validation clips.",
    "evaluate": "Score a run, or anyone's predictions, beside honest baselines.",
    "audit": "Audit predictions: groups, calibration, leakage, recordings.",
    "analyse": "Correlate signals with traits, or train on subsets of them.",
    "compare": "Compare systems on the same clips, with paired tests.",
    "benchmark": "Train and compare a list of systems, and rank them on one page.",
    "fuse": "Fuse evaluated runs: mean, or weights fitted on validation.",
    "report": "Make one page of one or several evaluated runs.",
    "predict": "Estimate the traits of new clips with a trained run.",
    "explain": "Show what in a clip the scores of a run rest on, and test it.",
    "serve": "Serve a page and an API that score recordings.",
    "export": "Write a run as ONNX, which scores clips without PyTorch.",
    "publish": "Write a run as model hubs hold them, and upload it if told to.",
    "convert": "Make a run of weights that another program saved.",
    "verify": "Say whether the files of a run are what training wrote.",
    "ls": "List models, extractors, corpora, recipes or backends.",
    "show": "Print a recipe or the layers of a model.",
    "cp": "Copy a recipe into a folder, to change it there.",
    "weights": "List, fetch or verify third-party model files.",
}
"""Verb -> its line in ``--help``; the verb lives in the file of its name."""
INTERRUPTED = 130
"""The exit code that Typer makes of Ctrl-C."""
STOPPED = (
    "stopped; what was finished is kept. The same command goes on (train and tune: with --resume)."
)


class _Verbs(TyperGroup):
    """Import a verb's file when it is called: ``--help`` stays fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the verbs in the order of a first day."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of verbs, which takes no import."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a verb by its name."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"traitscope.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        _polish(command)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb that was typed, or say which there are."""
        # Typer's own message names neither what was meant nor what there is.
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise ConfigError(unknown(args[0], list(VERBS), "the verbs"))
        return super().resolve_command(ctx, args)


def _polish(command: Any) -> None:
    """Keep each example on a line of its own, to be copied, and no list of verbs cut short."""
    # Typer adds them to every verb; completion would import all of them for each Tab.
    command.params = [p for p in command.params if not p.name.endswith("_completion")]
    for param in command.params:
        param.get_help_record = partial(_plain_record, param.get_help_record)
    first, *rest = (command.help or "").split("\n\n")
    command.short_help = first
    # The mark before a paragraph keeps Click from filling its lines: an example that is broken in
    # two cannot be pasted.
    examples = ("\b\n" + " ".join(p.split()) if p.startswith("traitscope ") else p for p in rest)
    command.help = "\n\n".join([first, *examples])
    for verb in getattr(command, "commands", {}).values():
        _polish(verb)


def _plain_record(record: Callable[[Any], Any], ctx: Any) -> Any:
    """Name kinds of values as people do: ``<path>``, where Typer has ``<list[Path]>``."""
    row = record(ctx)
    if row is None:
        return None
    kind = re.sub(r"<list\[(.*)\]>", r"<\1>", row[0])
    return kind.replace(" range>", ">").replace("<Path>", "<path>").replace("<str>", "<text>"), row[
        1
    ]


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Estimate apparent or self-reported Big Five traits from short videos, honestly.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"traitscope {traitscope.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Estimate apparent or self-reported Big Five traits from short videos, honestly."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a fault the user can mend is one line and exit code 2."""
    try:
        return app(arguments)
    except TraitscopeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    # Ctrl-C has become an exit by then, so this is where it can be told what is kept.
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            print(STOPPED, file=sys.stderr)  # noqa: T201
        raise
    # Whoever reads had enough, as head does: that is no fault.
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        # Without a name it is none of the user's files but a fault of ours: the traceback stays.
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}. Check the path.", file=sys.stderr)  # noqa: T201
        sys.exit(2)
