"""The 988 functionals of emobase by openSMILE (extra; research licence)."""

from traitscope.extract._opensmile import FunctionalsConfig, functionals
from traitscope.types import Inputs, Stream

VERSION = 2
NEEDS = ("audio",)


class Config(FunctionalsConfig):
    """Settings of the functionals."""


class Extractor:
    """Compute the functionals of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row (1, 988), at the middle of the clip."""
        return functionals(inputs, "emobase")
