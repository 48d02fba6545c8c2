"""The 988 functionals of emobase by openSMILE (extra; research licence)."""

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
        """Give one row (1, 988), at the middle of the clip."""
        return functionals(inputs, "emobase")
