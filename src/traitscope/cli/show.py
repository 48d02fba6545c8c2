"""``traitscope show``: a recipe as it is, a model as layers."""

from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Recipe or model.")],
    settings: Annotated[list[str] | None, typer.Argument(help="key=value.")] = None,
) -> None:
    """Print the settings a run of this recipe or model would have.

    traitscope show audio_lstm

    traitscope show functionals model.streams=[signals]
    """
    import yaml

    from traitscope.runs import load_run, plan, typed_model

    config = load_run(name, settings or [])
    run_plan = plan(config, outside=typed_model(name, settings or []))
    tree = config.model_dump(mode="json")
    tree["model"] = {"name": config.model["name"], **run_plan.options.model_dump(mode="json")}
    tree["features"] = {
        stream: request.config.model_dump(mode="json")
        for stream, request in run_plan.requests.items()
    }
    about = (run_plan.module.__doc__ or "").partition("\n")[0]
    typer.echo(f"# {about}")
    typer.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).rstrip())
