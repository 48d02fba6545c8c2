"""Suites: recipes, protocols and seeds that are trained and compared in one go (``benchmark``).

In: a file of the folder ``suites``, or one of yours. Out: a `Suite`; `benchmark` runs it.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from pydantic import Field, PositiveInt, field_validator

from traitscope import registry
from traitscope.config import Config, build, read_yaml
from traitscope.corpora.synthetic import Config as SyntheticConfig
from traitscope.errors import ConfigError


class Entry(Config):
    """One system: a recipe with settings of its own."""

    recipe: str
    """Recipe, model, file, or dotted path of a model from outside."""
    name: str = ""
    """What it is called; the recipe's name by default."""
    settings: tuple[str, ...] = ()
    """``key=value`` settings that differ from the recipe; lists among them are laid flat."""
    first_stage: str = ""
    """Name of an entry above whose scores of frames it learns from."""
    start: str = ""
    """Name of an entry above whose run it starts from."""

    @field_validator("settings", mode="before")
    @classmethod
    def _flat(cls, settings: object) -> object:
        # What several entries share is written once, as an anchor: [*adam, train.epochs=60].
        if not isinstance(settings, Sequence) or isinstance(settings, str):
            return settings
        parts = (one if isinstance(one, list) else [one] for one in settings)
        return tuple(chain.from_iterable(parts))

    @property
    def stands_on(self) -> str:
        """Name of the entry that is trained before it, if one has to be."""
        return self.first_stage or self.start

    @property
    def title(self) -> str:
        """What it is called, as a folder too."""
        return self.name or self.recipe.rsplit("/", 1)[-1].removesuffix(".yaml")


class Suite(Config):
    """What is trained and compared, on one corpus."""

    title: str
    """Heading of the page."""
    entries: tuple[Entry, ...]
    """The systems."""
    settings: tuple[str, ...] = ()
    """``key=value`` settings of all of them."""
    protocols: dict[str, tuple[str, ...]] = Field(default={"": ()})
    """Name -> settings such as ``protocol.kind=kfold``; each is a page of its own."""
    seeds: PositiveInt = 1
    """Trainings of each system."""
    synthetic: SyntheticConfig = SyntheticConfig()
    """What is generated where no corpus is named."""

    @field_validator("entries")
    @classmethod
    def _distinct(cls, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names: list[str] = []
        for entry in entries:
            if entry.title in names:
                raise ValueError(f"two entries are called {entry.title!r}: give one a name")
            if entry.first_stage and entry.start:
                raise ValueError(f"{entry.title!r} has both a first_stage and a start: name one")
            if entry.stands_on and entry.stands_on not in names:
                raise ValueError(f"{entry.title!r} stands on {entry.stands_on!r}, none above it")
            names.append(entry.title)
        if not names:
            raise ValueError("it has no entries")
        return entries

    def changed(
        self, *, seeds: int | None = None, also: Sequence[str] = (), settings: Sequence[str] = ()
    ) -> "Suite":
        """The same suite with other seeds, further recipes and settings, as typed.

        Raises:
            ConfigError: a further recipe has the name of an entry.
        """
        tree = self.model_dump(mode="json")
        tree["entries"] += [{"recipe": recipe} for recipe in also]
        tree["settings"] += list(settings)
        tree["seeds"] = seeds or self.seeds
        return build(Suite, tree, where="the suite with what was typed")


def load_suite(name: str) -> Suite:
    """Find a suite: one that is shipped, or a YAML file.

    A file names no code: models from outside are typed (``benchmark --also my_lab.model``).

    Raises:
        ConfigError: nothing has that name, or the file is wrong.
    """
    shipped = registry.names("suites")
    path = Path(registry.__file__).parent / "suites" / f"{name}.yaml"
    path = path if name in shipped else Path(name)
    if not path.is_file():
        raise ConfigError(registry.unknown(name, shipped, "suites"))
    suite = build(Suite, read_yaml(path), where=str(path))
    for entry in suite.entries:
        if "." in entry.recipe and not entry.recipe.endswith((".yaml", ".yml")):
            raise ConfigError(
                f"{path} names the module {entry.recipe!r}, and a file may not have code imported. "
                f"Leave it out there and type it: traitscope benchmark {name} --also {entry.recipe}"
            )
    return suite
