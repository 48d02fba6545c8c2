"""The 68 sound features, for extractors that do something first."""

from traitscope.extract import short_term
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("audio",)
Config = short_term.Config


class Extractor:
    """Listen, after what a test wants to happen in the process that does."""

    def __init__(self, config: short_term.Config) -> None:
        self.config = config

    def before(self, inputs: Inputs) -> None:
        """What happens first."""
        raise NotImplementedError

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of a clip."""
        self.before(inputs)
        return short_term.Extractor(self.config).finish(inputs)
