"""The 68 sound features, of clips that wait as long as ``ID.closed`` stands beside their media."""

import time

from tests.support import sound_extractor
from tests.support.sound_extractor import NEEDS, VERSION, Config
from traitscope.types import Inputs

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]


class Extractor(sound_extractor.Extractor):
    """Wait until the gate of a clip is open."""

    def before(self, inputs: Inputs) -> None:
        """Wait."""
        path = inputs.clip.path
        assert path is not None
        while path.with_suffix(".closed").exists():
            time.sleep(0.02)
