"""Typed, closed, immutable settings: defaults < YAML < key=value, and back to YAML."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from traitscope.errors import ConfigError, shown
from traitscope.files import read_bytes, write_text

_MOST_BYTES = 2**20  # settings have a few thousand
_MOST_LEVELS = 32
_MOST_VALUES = 100_000
_MOST_LINES = 20  # of a message
# In C where the wheel of PyYAML has it: settings are read before every verb does anything.
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Config(BaseModel):
    """Base of every config: frozen, unknown keys refused, field docstrings kept as help."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )


C = TypeVar("C", bound=BaseModel)


def build(cls: type[C], settings: Mapping[str, Any], *, where: str) -> C:
    """Check settings against a config class.

    Args:
        cls: the config class.
        settings: nested mapping of keys to values.
        where: what the settings came from, for the message.

    Raises:
        ConfigError: lists *every* wrong key, each with the nearest that exists.
    """
    try:
        return cls.model_validate(dict(settings))
    except ValidationError as error:
        lines = [_explain(cls, problem) for problem in error.errors(include_url=False)]
        more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
        listed = "\n  ".join([*lines[:_MOST_LINES], *more])
        raise ConfigError(f"{where} is not a valid {cls.__name__}:\n  {listed}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds something else.
        DataError: it is no plain file, or far too large for settings.
    """
    try:
        tree = _parsed(read_bytes(path, largest=_MOST_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no file {path}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not readable as YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold keys with values, not {type(tree).__name__}.")
    return tree


def _parsed(text: str) -> Any:
    """Read YAML as data alone, without what makes a small file a large tree.

    Raises:
        ValueError: too many levels or values, those behind aliases counted each time.
        yaml.YAMLError: it is no YAML.
    """
    open_ones: list[tuple[str | None, int]] = []  # anchor and values so far of each level
    sizes: dict[str | None, int] = {}
    # Events, and no tree yet: aliases of aliases of aliases are short to read and endless to build.
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_ones.append((event.anchor, 1))
            values = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values = open_ones.pop()
            sizes[anchor] = values
        elif isinstance(event, yaml.AliasEvent):
            values = sizes.get(event.anchor, _MOST_VALUES + 1)  # of what it stands in: endless
        elif isinstance(event, yaml.ScalarEvent):
            values = sizes[event.anchor] = 1
        else:
            continue
        # What has ended counts for the level around it.
        if open_ones and not isinstance(event, yaml.CollectionStartEvent):
            outer, before = open_ones[-1]
            open_ones[-1] = outer, (values := before + values)
        if len(open_ones) > _MOST_LEVELS or values > _MOST_VALUES:
            raise ValueError(
                f"it has more than {_MOST_LEVELS} levels or {_MOST_VALUES:,} values (an alias "
                f"counts as what it stands for)"
            )
    return yaml.load(text, Loader=_LOADER)


def save_config(config: BaseModel, path: Path) -> None:
    """Write the resolved settings as YAML; loading them gives an equal object."""
    tree = config.model_dump(mode="json")
    write_text(path, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


def parse_overrides(arguments: Iterable[str]) -> dict[str, Any]:
    """Turn ``["model.hidden=64", "seed=3"]`` into a nested mapping; values are read as YAML.

    Raises:
        ConfigError: an argument is not ``key=value``, or sets a key twice.
    """
    tree: dict[str, Any] = {}
    for argument in arguments:
        key, sign, text = argument.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"{argument!r} is not a setting; write key=value.")
        try:
            value = _parsed(text)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"The value of {shown(argument)} is not readable: {error}") from error
        _insert(tree, key.strip().split("."), value, argument)
    return tree


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested changes over a nested mapping; neither is altered."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _insert(tree: dict[str, Any], path: list[str], value: Any, argument: str) -> None:
    *parents, last = path
    node = tree
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{argument!r} contradicts an earlier setting of {name!r}.")
    if last in node:
        raise ConfigError(f"{argument!r} sets {'.'.join(path)!r} a second time.")
    node[last] = value


def _explain(cls: type[BaseModel], problem: Any) -> str:
    *parents, last = [str(part)[:100] for part in problem["loc"]] or [""]
    place = f"{'.'.join(parents)}: " if parents else ""
    if problem["type"] != "extra_forbidden":
        name = f"{last}: " if last else ""
        given = "" if problem["type"] == "missing" else f" (given: {shown(problem['input'])})"
        return f"{place}{name}{problem['msg'][:500]}{given}"
    known = _fields_at(cls, parents)
    near = get_close_matches(last, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"{place}unknown key {last!r}; {hint}"


def _fields_at(cls: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields at a place inside a nested config."""
    for part in path:
        field = cls.model_fields.get(part)
        if field is None:
            continue  # an index into a list: its items are of the class found before it
        # Of ``Inner | None`` and lists of ``Inner`` the class is among the arguments of the type.
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        below = [c for c in inner if isinstance(c, type) and issubclass(c, BaseModel)]
        if not below:
            return []
        cls = below[0]
    return [field.alias or name for name, field in cls.model_fields.items()]
