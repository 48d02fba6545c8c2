"""The 88 functionals of eGeMAPSv02, the extended Geneva set, by openSMILE (research licence)."""

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
        """Give one row (1, 88), at the middle of the clip."""
        return functionals(inputs, "eGeMAPSv02")
