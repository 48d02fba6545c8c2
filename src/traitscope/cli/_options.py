"""Options of several verbs: what of a person's own code a run may import, typed once more."""

from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="Dotted path of the run's own model.")]
Stream = Annotated[
    list[str] | None, typer.Option(help="Dotted path of an extractor of yours that it reads.")
]
