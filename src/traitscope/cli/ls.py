"""``traitscope ls``: what there is, without importing any of it."""

import ast
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(rich_markup_mode=None)
ROOMS = {
    "models": "models",
    "extractors": "extract",
    "corpora": "corpora",
    "recipes": "recipes",
    "suites": "suites",
    "backends": "tracking",
    "augment": "augment",
}
"""What can be listed -> its room."""


@app.command()
def ls(
    room: Annotated[str, typer.Argument(help=f"One of {', '.join(ROOMS)}.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what there is, with one line on each.

    traitscope ls models

    traitscope ls recipes --json
    """
    from traitscope import registry
    from traitscope.cli._shared import write_json, write_table
    from traitscope.errors import ConfigError

    if not room:
        raise ConfigError(
            f"Say what to list, for example: traitscope ls models. There are: {', '.join(ROOMS)}."
        )
    if room not in ROOMS:
        raise ConfigError(registry.unknown(room, list(ROOMS), "what can be listed"))
    folder: Any = ROOMS[room]
    rows = [describe(folder, name) for name in registry.names(folder)]
    if json:
        write_json(rows)
        return
    write_table(["name", "what it is"], [[row["name"], row["about"]] for row in rows])
    for row in rows:
        for clause, reason in row["contract"].items():
            typer.echo(f"{row['name']} does not meet the contract clause {clause!r}: {reason}")


def describe(room: str, name: str) -> dict[str, Any]:
    """First line and unmet contract clauses of an entry, read without importing it."""
    folder = Path(__file__).parents[1] / room
    if room in {"recipes", "suites"}:
        first = (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        return {"name": name, "about": first.lstrip("# "), "contract": {}}
    path = folder / f"{name}.py"
    path = path if path.is_file() else folder / name / "__init__.py"
    # Read, not imported: importing all models takes seconds, and a broken one would end the list.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    contract: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CONTRACT":
            contract = ast.literal_eval(node.value)
    return {"name": name, "about": about.replace("``", "'"), "contract": contract}
