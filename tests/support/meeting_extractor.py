"""The 68 sound features, of two clips that wait until both are at work, each in its own process."""

import os
import time

from tests.support import sound_extractor
from tests.support.sound_extractor import NEEDS, VERSION, Config
from traitscope.types import Inputs

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]


class Extractor(sound_extractor.Extractor):
    """Write whose process this is, and wait for the other."""

    def before(self, inputs: Inputs) -> None:
        """Beside its media stands ``ID.parent``, then."""
        path = inputs.clip.path
        assert path is not None
        place = path.parent
        (place / f"{inputs.clip.id}.parent").write_text(str(os.getppid()))
        while len(list(place.glob("*.parent"))) < 2:
            time.sleep(0.02)
