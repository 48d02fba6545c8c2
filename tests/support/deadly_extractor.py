"""The 68 sound features, except of a clip called ``deadly``, which ends the process."""

import os
import signal

from traitscope.extract import short_term
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("audio",)
Config = short_term.Config


class Extractor:
    """Listen, or die."""

    def __init__(self, config: short_term.Config) -> None:
        self.config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of a clip that is not deadly."""
        if "deadly" in inputs.clip.id:
            os.kill(os.getpid(), signal.SIGKILL)
        return short_term.Extractor(self.config).finish(inputs)
