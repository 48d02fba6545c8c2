"""Mirror the images of a clip, all of them or none."""

from typing import Annotated

import numpy as np
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How often."""

    streams: tuple[str, ...] = IMAGES
    """Streams of images."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the clips that are mirrored."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Mirror (rows, 3, height, width) left to right."""
    if rng.random() >= config.probability:
        return dict(streams), dict(masks)
    return change_rows(streams, masks, config.streams, lambda rows: rows[..., ::-1])
