"""``traitscope show``: the settings of a recipe or a run, and the layers of its model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitscope.cli._options import Stream

if TYPE_CHECKING:
    from traitscope.registry import Typed
    from traitscope.runs.layers import Layer
    from traitscope.runs.plan import Plan

app = typer.Typer(rich_markup_mode=None)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Recipe, model, YAML file or run.")],
    settings: Annotated[list[str] | None, typer.Argument(help="key=value.")] = None,
    to: Annotated[Path | None, typer.Option(help="Draw the layers into this PNG.")] = None,
    depth: Annotated[int, typer.Option(help="How deep to look into parts.", min=1)] = 3,
    stream: Stream = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the settings a run would have, and the layers of its network.

    traitscope show audio_lstm

    traitscope show resnet_lstm model.pool=average --to layers.png
    """
    import yaml

    from traitscope.cli._shared import say, write_json
    from traitscope.errors import ConfigError
    from traitscope.runs.plan import load_run, plan, typed_names

    config = load_run(name, settings or [])
    typed = typed_names(name, settings or [], stream or ())
    run_plan = plan(config, typed=typed, source=name)
    tree = config.model_dump(mode="json")
    tree["model"] = {"name": config.model["name"], **run_plan.options.model_dump(mode="json")}
    tree["augment"] = {a.name: a.config.model_dump(mode="json") for a in run_plan.augment}
    # As they will be: what the recipe leaves out, and what the model itself asks for, filled in.
    tree["features"] = {
        stream: request.config.model_dump(mode="json")
        for stream, request in run_plan.requests.items()
    }
    # Trees and ridges have no layers; an empty picture would look like a fault.
    if run_plan.is_estimator and to:
        raise ConfigError(f"{config.model['name']} has no layers to draw: it is no network.")
    layers = [] if run_plan.is_estimator else _layers(name, run_plan, typed, depth)
    if json:
        write_json({"settings": tree, "layers": [_as_tree(layer) for layer in layers]})
    else:
        # Behind a mark, so that what is printed is a YAML file to train from.
        about = (run_plan.module.__doc__ or "").partition("\n")[0]
        typer.echo(f"# {about}")
        typer.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).rstrip())
        _write_layers(layers)
    if to:
        from traitscope.runs.layers import draw_layers

        say(f"drawn: {draw_layers(layers, to, title=config.model['name'])}")


def _layers(name: str, run_plan: "Plan", typed: "Typed", depth: int) -> "list[Layer]":
    """The layers, with the shapes of the run's own features where ``name`` is a run."""
    from traitscope.cli._shared import say
    from traitscope.errors import DataError
    from traitscope.runs.checkpoint import open_run
    from traitscope.runs.layers import layers_of

    # A run knows the shapes it was trained on; a recipe has to be asked what it would get.
    trained = Path(name, "features.json").is_file()
    shapes = open_run(Path(name), typed).facts.shapes if trained else None
    try:
        return layers_of(run_plan, shapes=shapes, depth=depth)
    # Shapes of some inputs are known from features alone; the settings are worth printing.
    except DataError as error:
        say(f"no layers: {error}")
        return []


def _write_layers(layers: "list[Layer]") -> None:
    if not layers:
        return
    from traitscope.cli._shared import write_table
    from traitscope.runs.layers import shape_text, totals

    rows = [[layer.name, layer.kind, shape_text(layer.shape), *_counts(layer)] for layer in layers]
    total, trainable = totals(layers)
    rows.append(["total", "", "", f"{total:,}", f"{trainable:,}"])
    write_table(["layer", "kind", "output of one clip", "parameters", "trainable"], rows)


def _counts(layer: "Layer") -> tuple[str, str]:
    return (f"{layer.parameters:,}", f"{layer.trainable:,}") if layer.parameters else ("", "")


def _as_tree(layer: "Layer") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(layer)
