"""``traitscope cp``: a recipe to change."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def cp(
    recipe: Annotated[str, typer.Argument(help="Name, as `ls recipes` prints it.")],
    folder: Annotated[Path, typer.Argument(help="Where to.")] = Path(),
) -> None:
    """Copy a recipe into a folder, to change it there and train from the file.

    traitscope cp audio_lstm .

    traitscope train audio_lstm.yaml data.corpus=fi:/data/fi data.store=store
    """
    from traitscope import registry
    from traitscope.errors import ConfigError
    from traitscope.runs.plan import recipe_path

    if recipe not in registry.names("recipes"):
        raise ConfigError(registry.unknown(recipe, registry.names("recipes"), "recipes"))
    target = folder / f"{recipe}.yaml"
    # Somebody's changes may be in it.
    if target.exists():
        raise ConfigError(f"{target} is there already. Delete it, or choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recipe_path(recipe), target)
    typer.echo(target)
