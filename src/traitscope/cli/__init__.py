"""The command line: one verb per file, imported only when that verb runs."""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from traitscope.errors import TraitscopeError

VERBS = {
    "doctor": "Say what works on this machine.",
    "demo": "Do the whole job on a generated corpus, with a report.",
    "corpus": "Check a corpus: labels, splits, facts, missing media.",
    "prepare": "Extract features from the media of a corpus into a store.",
    "features": "Look at what was extracted.",
    "train": "Train a recipe or a model on prepared features.",
    "evaluate": "Score a run, or anyone's predictions, beside honest baselines.",
    "audit": "Audit predictions: groups of people, calibration, leakage, recording.",
    "analyse": "Correlate signals with traits, or train on subsets of them.",
    "compare": "Compare systems on the same clips, with paired tests.",
    "fuse": "Fuse evaluated runs: mean, or weights fitted on validation.",
    "report": "Make one page of one or several evaluated runs.",
    "predict": "Estimate the traits of new clips with a trained run.",
    "ls": "List models, extractors, corpora, recipes or backends.",
    "show": "Print a recipe or the layers of a model.",
    "cp": "Copy a recipe into a folder, to change it there.",
    "weights": "List, fetch or verify third-party model files.",
}
"""Verb -> its line in ``--help``; the verb lives in the file of its name."""


class _Verbs(TyperGroup):
    """Import a verb's file when it is called: ``--help`` stays fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the verbs in the order of a first day."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a verb; for the list of all verbs its one line is enough."""
        if cmd_name not in VERBS:
            return None
        if ctx.resilient_parsing or "--help" in sys.argv[1:2]:
            return TyperCommand(cmd_name, help=VERBS[cmd_name])
        module = importlib.import_module(f"traitscope.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Estimate apparent or self-reported Big Five traits from short videos, honestly.",
)


@app.callback()
def _root() -> None:
    """Estimate apparent or self-reported Big Five traits from short videos, honestly."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a fault the user can mend is one line and exit code 2."""
    try:
        return app(arguments)
    except TraitscopeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept.", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
