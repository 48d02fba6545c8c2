"""The 88 functionals of eGeMAPSv02, the extended Geneva set, by openSMILE (research licence)."""

from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.extract._opensmile import functionals
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)


class Config(BaseConfig):
    """Settings of the functionals."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound they are computed from."""


class Extractor:
    """Compute the functionals of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row (1, 88), at the middle of the clip."""
        return functionals(inputs, "eGeMAPSv02")
