"""A name and ``key=value`` settings -> a RunConfig, and the Plan of what its model takes.

The name is a recipe, a model, a file or a dotted path. A Plan says which streams with which
settings the model draws; which stored features these are, says `stored`. From top to bottom: the
settings (`load_run`), the plan (`plan`), and what `prepare --for` makes of it (`requests_for`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from traitscope import registry
from traitscope.augment import Augmentation, settle
from traitscope.config import Config, build, merge, parse_overrides, read_yaml
from traitscope.errors import ConfigError
from traitscope.features.request import Request, make_request
from traitscope.runs.settings import RunConfig, Stage
from traitscope.types import Draw

IMPORTED = "imported"
"""The extractor that stands for tables brought into the store."""

METADATA = "metadata"
"""The extractor of attributes of people, which a model takes only with leave."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A run's model with its checked settings, the streams it draws and their extraction.

    Attributes:
        module: the model's file.
        options: the model's own Config.
        draws: stream name -> Draw.
        requests: stream name -> the extraction that makes it.
        augment: transforms of training examples, in order.
        typed: what the user typed, for other runs of the same model.
    """

    module: ModuleType
    options: Config
    draws: Mapping[str, Draw]
    requests: Mapping[str, Request]
    augment: tuple[Augmentation, ...] = ()
    typed: registry.Typed = registry.NOTHING

    @property
    def is_estimator(self) -> bool:
        """True for a model that is fitted in one step, without gradient."""
        return hasattr(self.module, "Estimator")

    @property
    def keys(self) -> dict[str, str]:
        """Stream -> key of its features in a store."""
        return {stream: request.key for stream, request in self.requests.items()}

    def with_requests(self, requests: Mapping[str, Request]) -> "Plan":
        """The same plan with other extractions of its streams, such as those that a store has."""
        return replace(self, draws=_sized(self.draws, requests), requests=requests)


def load_run(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Find a recipe, a model, a file or a dotted path, and lay the settings over it.

    Args:
        name: looked for in this order: recipe, model, YAML file or run folder, dotted path.
        overrides: ``key=value`` settings; ``train.lr=`` sets the single stage, and
            ``train.STAGE.lr=`` a named one.

    Raises:
        ConfigError: nothing has that name, or a setting is unknown or contradictory.
    """
    # Defaults < recipe or file < what was typed; nothing else has a say.
    tree = _base(name)
    changes = parse_overrides(overrides)
    stage_changes = changes.pop("train", {})
    if not isinstance(stage_changes, dict):
        raise ConfigError(f"train={stage_changes!r} is not a setting; write train.lr=... .")
    tree = merge(tree, changes)
    if "start" in stage_changes:  # typed beside train.lr, but no setting of a stage
        tree = merge(tree, {"start": stage_changes.pop("start")})
    if stage_changes:
        tree["stages"] = _change_stages(list(tree.get("stages") or [{}]), stage_changes)
    where = " + ".join([name, *overrides])
    return build(RunConfig, tree, where=where)


def typed_names(
    name: str, overrides: Sequence[str] = (), streams: Iterable[str] = ()
) -> registry.Typed:
    """The dotted names among what the user typed: nothing else from outside is imported.

    Args:
        name: what a verb was given as recipe, model, file or dotted path.
        overrides: ``key=value`` settings: ``model.name=``, ``data.corpus=``, and the streams in
            other settings of the model, such as ``model.streams=[my_lab.gaze]``.
        streams: extractors named beside them.
    """
    tree = parse_overrides(overrides)
    model, data = (tree.get(key) for key in ("model", "data"))
    settings = dict(model) if isinstance(model, dict) else {}
    models = {settings.pop("name", None)}
    # A path such as runs/a.b is no module: what is on the disk comes first.
    if not Path(name).exists() and not name.endswith((".yaml", ".yml")):
        models.add(name)
    corpus = data.get("corpus") if isinstance(data, dict) else None
    return registry.Typed(
        frozenset(each for each in models if isinstance(each, str)),
        frozenset([*_texts(settings), *streams]),
        registry.typed(corpus=corpus if isinstance(corpus, str) else None).corpora,
        frozenset(_texts(tree.get("train"))),
        frozenset(_texts(tree.get("augment"))),
    )


def _texts(tree: Any) -> Iterator[str]:
    """All dotted names in a tree, keys and values."""
    if isinstance(tree, str):
        yield from [tree] if "." in tree else []
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)


def searched_in(name: str) -> dict[str, str]:
    """What a recipe, file or run says that ``tune`` is to search: setting -> expression."""
    return build(RunConfig, _base(name), where=name).search


def recipe_path(name: str) -> Path:
    """Where a shipped recipe is."""
    return Path(registry.__file__).parent / "recipes" / f"{name}.yaml"


def _base(name: str) -> dict[str, Any]:
    # Recipes come first: they are models with the settings that were published.
    if name in registry.names("recipes"):
        return read_yaml(recipe_path(name))
    if name in registry.names("models"):
        return {"model": {"name": name}}
    path = Path(name)
    # The folder of a run stands for its settings, so that a run can be repeated.
    if path.is_dir() and (path / "run.yaml").is_file():
        return read_yaml(path / "run.yaml")
    if path.is_file() or path.suffix in {".yaml", ".yml"}:
        return read_yaml(path)
    if "." in name and "/" not in name:
        return {"model": {"name": name}}
    known = sorted({*registry.names("recipes"), *registry.names("models")})
    raise ConfigError(registry.unknown(name, known, "recipes or models"))


def _change_stages(stages: list[dict[str, Any]], changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Lay ``train.*`` settings over the stages they name."""
    known = [stage.get("name", "fit") for stage in stages]
    for key, value in changes.items():
        if isinstance(value, dict) and key not in Stage.model_fields:
            if key not in known:
                raise ConfigError(registry.unknown(key, known, "stages"))
            index = known.index(key)
            stages[index] = merge(stages[index], value)
        # To set both stages would be a guess that changes a published recipe twice.
        elif len(stages) > 1:
            raise ConfigError(
                f"train.{key} is ambiguous: the run has the stages {', '.join(known)}. "
                f"Write train.{known[0]}.{key}=... ."
            )
        else:
            stages[0] = merge(stages[0], {key: value})
    return stages


def plan(config: RunConfig, *, typed: registry.Typed = registry.NOTHING, source: str = "") -> Plan:
    """Load the run's model and work out what it needs.

    Args:
        config: the run.
        typed: what the user typed; no other dotted name is imported.
        source: the file that the settings come from, for messages.

    Raises:
        ConfigError: model or feature settings are wrong, or stages are given to an estimator.
    """
    name = config.model["name"]
    module = registry.load("models", name, typed=typed, source=source)
    settings = {key: value for key, value in config.model.items() if key != "name"}
    options = build(module.Config, settings, where=f"model settings of {name}")
    draws = module.inputs(options)
    # A misspelt stream would otherwise leave the default at work, unseen.
    idle = sorted(set(config.features) - set(draws))
    if idle:
        raise ConfigError(
            f"features.{idle[0]} has no effect: {name} takes {', '.join(sorted(draws)) or 'none'}."
        )
    _check_attributes(config, draws)
    if hasattr(module, "Estimator") and (config.stages or config.augment):
        raise ConfigError(
            f"{name} is fitted in one step: stages, train.* and augment.* settings have no effect "
            f"on it."
        )
    requests = {
        stream: _request(stream, draw.extract, config.features.get(stream, {}), typed, source)
        for stream, draw in draws.items()
    }
    changes = settle(config.augment, draws, typed=typed)
    return Plan(module, options, _sized(draws, requests), requests, changes, typed)


def _check_attributes(config: RunConfig, draws: Mapping[str, Draw]) -> None:
    """Let a model see age, gender and the like only where the user has said so."""
    sees, allowed = METADATA in draws, config.data.allow_attributes
    if sees and not allowed:
        raise ConfigError(
            f"{config.model['name']} takes attributes of people (the stream {METADATA!r}). If it "
            f"may see age, gender and the like: data.allow_attributes=true."
        )
    if allowed and not sees:
        raise ConfigError(
            f"data.allow_attributes=true has no effect: {config.model['name']} takes "
            f"{', '.join(sorted(draws)) or 'none'}. A model of any streams sees them with, for "
            f"example: functionals model.streams=[short_term,{METADATA}]"
        )


def _sized(draws: Mapping[str, Draw], requests: Mapping[str, Request]) -> dict[str, Draw]:
    """Let imported pictures be resized: they come in a size of their own, not in the one asked."""
    return {
        stream: replace(draw, size=draw.size or draw.extract.get("size"))
        if requests[stream].name == IMPORTED
        else draw
        for stream, draw in draws.items()
    }


def _request(
    stream: str,
    wanted: Mapping[str, Any],
    given: Mapping[str, Any],
    typed: registry.Typed,
    source: str,
) -> Request:
    """The extraction of a stream; no extractor, or known content, is what was imported."""
    # The content of a table is its fingerprint: no extractor has such a setting.
    if "content" in given:
        return make_request(IMPORTED, {"name": stream, **given})
    settings = merge(wanted, given)
    if stream in registry.names("extract") or "." in stream:
        return make_request(stream, settings, typed=typed, source=source)
    return make_request(IMPORTED, {"name": stream, **settings})


def requests_for(
    name: str, overrides: Sequence[str] = (), *, streams: Iterable[str] = ()
) -> list[Request]:
    """Extractions that a recipe or model needs, for ``prepare --for``.

    ``STREAM.key=value`` is accepted beside ``features.STREAM.key=value``.

    Args:
        name: recipe, model, file or dotted path.
        overrides: settings.
        streams: dotted paths of extractors from outside that it draws, typed by the user.
    """
    typed = typed_names(name, overrides, streams)
    heads = {override: override.partition("=")[0].split(".")[0] for override in overrides}
    own = [o for o in overrides if heads[o] in {*RunConfig.model_fields, "train"}]
    # In two passes: which streams there are depends on model.*, and only then is it known whether
    # `faces.size=96` means a stream.
    draws = plan(load_run(name, own), typed=typed, source=name).draws
    full = [f"features.{o}" if heads[o] in draws else o for o in overrides]
    config = load_run(name, full)
    requests = plan(config, typed=typed, source=name).requests
    # What was imported cannot be prepared again: at least say so.
    tables = [stream for stream, request in requests.items() if request.name == IMPORTED]
    if tables and len(tables) == len(requests):
        raise ConfigError(
            f"{name} has nothing to extract: {no_extractor(tables[0])} Bring a table in with: "
            f"traitscope features import"
        )
    for stream in tables:
        log.warning("%s", no_extractor(stream))
    return [request for stream, request in requests.items() if stream not in tables]


def no_extractor(stream: str) -> str:
    """Say that a stream has to come from a table, with the extractor that may be meant."""
    near = get_close_matches(stream, registry.names("extract"), n=1)
    hint = f" (is {near[0]!r} meant?)" if near else ""
    return f"{stream!r} is no extractor{hint}, so it is taken from an imported table."
