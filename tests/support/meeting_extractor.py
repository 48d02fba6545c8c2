"""The 68 sound features, of two clips that wait until both are at work, each in its own process."""

import os
import time

from traitscope.extract import short_term
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("audio",)
Config = short_term.Config


class Extractor:
    """Write whose process this is, wait for the other, and listen."""

    def __init__(self, config: short_term.Config) -> None:
        self.config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of a clip; beside its media stands ``ID.parent``, then."""
        path = inputs.clip.path
        assert path is not None
        place = path.parent
        (place / f"{inputs.clip.id}.parent").write_text(str(os.getppid()))
        while len(list(place.glob("*.parent"))) < 2:
            time.sleep(0.02)
        return short_term.Extractor(self.config).finish(inputs)
