"""What is known of the person in a clip, as numbers: attributes of the corpus in, one row out.

Numbers are divided, words become one column per declared level. A model that takes this stream
sees age, gender and the like, so a run needs ``data.allow_attributes=true``, and its card says it.
"""

from collections.abc import Mapping

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError, shown
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("attributes",)


GENDER: Mapping[str, tuple[str, ...]] = {"gender": ("female", "male")}


class Config(BaseConfig):
    """Which attributes, and how they become numbers."""

    numbers: dict[str, PositiveFloat] = Field(
        default_factory=lambda: {"age": 100.0, "age_group": 8.0, "education": 10.0}
    )
    """Attribute -> what it is divided by, so that all are about as large."""
    levels: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(GENDER))
    """Attribute -> its levels, in any case; a value that is not among them is refused."""

    @model_validator(mode="after")
    def _each_once(self) -> "Config":
        twice = sorted(set(self.numbers) & set(self.levels))
        if twice:
            raise ValueError(f"{', '.join(twice)} cannot be a number and have levels")
        return self


class Extractor:
    """Encode the attributes of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row; what is not known of this clip is NaN.

        Raises:
            ClipError: nothing is known of it, or a value is not as declared.
        """
        known, clip = inputs.clip.attributes, inputs.clip.id
        names = columns(self._config)
        row = np.array([_value(known, column, self._config, clip) for column in names])
        if np.isnan(row).all():
            asked = ", ".join([*self._config.numbers, *self._config.levels])
            raise ClipError(
                f"Clip {clip!r} has none of the attributes {asked}. Add them to the corpus, or "
                f"name others in metadata.numbers and metadata.levels.",
                status="missing",
            )
        return Stream(time=np.zeros(1), values=row[None], columns=names)


def columns(config: Config) -> tuple[str, ...]:
    """Names of the columns: an attribute, or an attribute and a level (``gender=female``)."""
    levels = (f"{name}={level}" for name, all_ in config.levels.items() for level in all_)
    return (*config.numbers, *levels)


COLUMNS = columns(Config())


def _value(known: Mapping[str, str | float], column: str, config: Config, clip: str) -> float:
    name, _, level = column.partition("=")
    if name not in known:
        return np.nan
    if name in config.numbers:
        try:
            return float(known[name]) / config.numbers[name]
        except ValueError:
            raise _undeclared(
                clip, name, known[name], "metadata.levels, with all it may be"
            ) from None
    value = known[name]
    # Tables give 1.0 where somebody wrote 1.
    written = f"{value:g}" if isinstance(value, float) else str(value)
    if written.casefold() not in {one.casefold() for one in config.levels[name]}:
        raise _undeclared(clip, name, written, f"metadata.levels.{name}")
    return float(written.casefold() == level.casefold())


def _undeclared(clip: str, name: str, value: object, where: str) -> ClipError:
    return ClipError(
        f"Clip {clip!r} has the {name} {shown(value)}, which is not declared. Name it in {where}.",
        status="undeclared",
    )
