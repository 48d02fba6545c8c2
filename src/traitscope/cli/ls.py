"""``traitscope ls``: what there is, without importing any of it."""

import ast
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def ls(
    room: Annotated[
        Literal["models", "extractors", "corpora", "recipes", "backends", "augment"],
        typer.Argument(help="What to list."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what there is, with one line on each.

    traitscope ls models

    traitscope ls recipes --json
    """
    from traitscope import registry
    from traitscope.cli._shared import write_json, write_table

    folder: Any = {"extractors": "extract", "backends": "tracking"}.get(room, room)
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
    if room == "recipes":
        first = (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        return {"name": name, "about": first.lstrip("# "), "contract": {}}
    path = folder / f"{name}.py"
    path = path if path.is_file() else folder / name / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    contract: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CONTRACT":
            contract = ast.literal_eval(node.value)
    return {"name": name, "about": about, "contract": contract}
