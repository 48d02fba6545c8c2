"""The 68 sound features, except of a clip called ``deadly``, which ends the process."""

import os
import signal

from tests.support import sound_extractor
from tests.support.sound_extractor import NEEDS, VERSION, Config
from traitscope.types import Inputs

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]


class Extractor(sound_extractor.Extractor):
    """Die of a clip that is deadly."""

    def before(self, inputs: Inputs) -> None:
        """Die, or go on."""
        if "deadly" in inputs.clip.id:
            os.kill(os.getpid(), signal.SIGKILL)
