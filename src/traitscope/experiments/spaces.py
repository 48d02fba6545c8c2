"""What a setting is searched in: ``loguniform(1e-4,1e-2)`` in, values, places and checks out.

The expressions are read by a grammar of their own, a name and a list in brackets. Nothing is
evaluated: a recipe of somebody else may hold them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from traitscope.config import parse_overrides
from traitscope.errors import ConfigError, shown

Kind = Literal["loguniform", "uniform", "quniform", "randint", "choice"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_EXPRESSION = re.compile(r"\s*([A-Za-z_]+)\s*\((.*)\)\s*", re.DOTALL)
_LONGEST = 2000  # letters of an expression
_DIGITS = 5
"""Significant digits of a drawn number: recipes stay readable, and nothing hangs on the sixth."""


@dataclass(frozen=True)
class Space:
    """What one setting may be.

    Attributes:
        key: the setting, such as ``train.lr``.
        kind: how it is drawn: ``loguniform`` and ``uniform`` between two numbers, ``quniform`` in
            steps, ``randint`` whole numbers up to and without the last (as NumPy and Ray have it),
            ``choice`` one of several.
        values: the two ends (and the step), or what is chosen from.
    """

    key: str
    kind: Kind
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """The expression that makes it."""
        return f"{self.kind}({', '.join(json.dumps(value) for value in self.values)})"

    @property
    def count(self) -> int | None:
        """How many values there are; None between two real numbers."""
        if self.kind == "choice":
            return len(self.values)
        low, high = self.values[:2]
        if self.kind == "randint":
            return int(high - low)
        return math.floor((high - low) / self.values[2] + 1e-9) + 1 if self.values[2:] else None

    def at(self, share: float) -> Any:
        """The value at a share (0 to 1) of the way from one end to the other."""
        if self.count is not None:
            # Each of them has a cell of the same width.
            index = min(int(share * self.count), self.count - 1)
            if self.kind == "choice":
                return self.values[index]
            low, step = self.values[0], 1 if self.kind == "randint" else self.values[2]
            return low + index if self.kind == "randint" else _short(low + index * step)
        low, high = self.values
        if self.kind == "loguniform":
            return _short(math.exp(math.log(low) + share * math.log(high / low)))
        return _short(low + share * (high - low))

    def place(self, value: Any) -> float:
        """Where a value lies, as a share that gives it back with `at`."""
        if self.count is not None:
            places = [self.at((index + 0.5) / self.count) for index in range(self.count)]
            return (places.index(value) + 0.5) / self.count
        low, high = self.values
        if self.kind == "loguniform":
            low, high, value = math.log(low), math.log(high), math.log(value)
        return float((value - low) / (high - low))

    def ends(self) -> tuple[Any, ...]:
        """Values that show whether all are allowed: every choice, or both ends."""
        if self.kind == "choice":
            return self.values
        return self.at(0.0), self.at(1.0)


def is_expression(text: str) -> bool:
    """Whether a setting's value is a name with brackets, as no value of a setting is."""
    return _EXPRESSION.fullmatch(text) is not None


def parse_space(key: str, text: str) -> Space:
    """Read what a setting is searched in.

    Raises:
        ConfigError: it is none of the kinds, or its numbers make no sense.
    """
    where = f"{key}={shown(text)}"
    match = _EXPRESSION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or match[1] not in KINDS:
        raise ConfigError(
            f"{where} is nothing to search in. Write {key}=loguniform(1e-4,1e-2), uniform(0,0.5), "
            f"quniform(0,1,0.1), randint(1,5) or choice(a,b,c)."
        )
    kind: Kind = next(each for each in KINDS if each == match[1])
    # As settings are read, and with their limits on what a short text may become.
    values = parse_overrides([f"values=[{match[2]}]"])["values"]
    return Space(key, kind, _checked(kind, values, where))


def _checked(kind: Kind, values: Any, where: str) -> tuple[Any, ...]:
    """The ends as numbers, in the right number and order."""
    if kind == "choice":
        if not values or any(value in values[:place] for place, value in enumerate(values)):
            raise ConfigError(f"{where}: name one value or more to choose from, each once.")
        return tuple(values)
    wanted = 3 if kind == "quniform" else 2
    try:
        # YAML takes 1e-4 for a word; numbers that are words are numbers here.
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {kind} takes numbers ({error}).") from error
    if len(numbers) != wanted or not all(map(math.isfinite, numbers)):
        form = "(low,high,step)" if wanted == 3 else "(low,high)"
        raise ConfigError(f"{where}: {kind} takes {wanted} finite numbers: {kind}{form}.")
    if not numbers[0] < numbers[1] or (numbers[2:] and numbers[2] <= 0):
        raise ConfigError(f"{where}: the first number must be below the second, a step above 0.")
    if kind == "loguniform" and numbers[0] <= 0:
        raise ConfigError(f"{where}: a logarithm needs numbers above 0. Use uniform.")
    if kind != "randint":
        return numbers
    if any(number != int(number) for number in numbers):
        raise ConfigError(f"{where}: randint takes whole numbers.")
    return tuple(map(int, numbers))


def split_settings(
    settings: Sequence[str], searched: Mapping[str, str]
) -> tuple[list[str], list[Space]]:
    """Tell settings with one value from those that are searched.

    Args:
        settings: ``key=value`` as typed; a value with brackets is a space.
        searched: key -> expression of a recipe; what was typed replaces it.

    Returns:
        The plain settings, and the spaces in order.
    """
    spaces = {key: parse_space(key, text) for key, text in searched.items()}
    plain = []
    for setting in settings:
        key, _, text = setting.partition("=")
        spaces.pop(key.strip(), None)
        if is_expression(text):
            spaces[key.strip()] = parse_space(key.strip(), text)
        else:
            plain.append(setting)
    return plain, list(spaces.values())


def drawn(spaces: Sequence[Space], *, seed: int, number: int) -> dict[str, Any]:
    """The settings of one trial, a pure function of seed and number: nothing must be remembered."""
    rng = np.random.default_rng([seed, number])
    return {space.key: space.at(float(rng.random())) for space in spaces}


def overrides(values: Mapping[str, Any]) -> list[str]:
    """Drawn values as settings that ``train`` takes."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
