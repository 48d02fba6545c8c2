"""An extractor from outside, copied by tests into a package of its own."""

import os
import time
from pathlib import Path

import numpy as np

from traitscope.config import Config as BaseConfig
from traitscope.errors import MissingError
from traitscope.types import Stream

VERSION = 1
NEEDS = ("text",)


class Config(BaseConfig):
    waits_from: str = ""
    until: str = ""
    killed_by: str = ""
    only_once: str = ""
    lacking: bool = False


class Extractor:
    def __init__(self, config):
        self.config = config

    def finish(self, inputs):
        if self.config.lacking:
            raise MissingError("The model file x is not there. Fetch it.")
        if inputs.clip.id == self.config.killed_by:
            marker = Path(self.config.only_once or "/nowhere")
            if not marker.exists():
                if self.config.only_once:
                    marker.touch()
                os.kill(os.getpid(), 9)
        if self.config.until and inputs.clip.id >= self.config.waits_from:
            while not Path(self.config.until).exists():
                time.sleep(0.02)
        words = np.array((inputs.clip.transcript or "").split() or [""])
        return Stream(np.arange(len(words)) / 2, words)
