"""An extractor that asks for more memory than there is."""

from typing import Any

import numpy as np

from traitscope.config import Config as BaseConfig
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 1
NEEDS = ("text",)


class Config(BaseConfig):
    """It has no settings."""


class Extractor:
    """Ask for eight petabytes."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Look at nothing."""

    def finish(self, inputs: Inputs) -> Stream:
        """Fail."""
        values: Any = np.zeros((2**20, 2**30))
        return Stream(time=np.zeros(1), values=values)
