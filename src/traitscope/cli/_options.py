"""Options of several verbs: a person's own code, typed once more; what of a clip is read."""

from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="Dotted path of the run's own model.")]
Stream = Annotated[
    list[str] | None, typer.Option(help="Dotted path of an extractor of yours that it reads.")
]
Speaker = Annotated[
    str | None, typer.Option(help="Whose words count, where a transcript labels speakers.")
]
Track = Annotated[
    int | None, typer.Option(min=1, help="Of files with several, from 1; else their default.")
]
# Several verbs have them in common; each stands once, so that the help says the same.
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes; one per core by default, 0 for none.")
]
Ray = Annotated[
    str | None,
    typer.Option(help="Work on this Ray cluster (HOST:PORT, auto); local starts one here."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="Raise what one clip may take, such as pixels=200000000 (a picture), seconds, "
        "silence_seconds, pictures, bytes.",
    ),
]
