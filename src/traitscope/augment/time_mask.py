"""Hide spans of time, as if the face or the sound had been missing there.

Paper: Park et al., "SpecAugment", 2019, https://arxiv.org/abs/1904.08779 (its time masking).
"""

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from traitscope.augment import Changed, Masks, Streams
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How many spans, and how long."""

    streams: tuple[str, ...] = ("signals",)
    """Streams with rows in time; the same share of each is hidden."""
    spans: PositiveInt = 2
    """Spans that are hidden."""
    longest: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Longest span, as a share of the clip."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Hide spans of (rows, ...); a clip of which nothing would be left stays as it is."""
    # Shares of the clip, so that streams of other rates lose the same seconds.
    lengths = rng.uniform(0, config.longest, config.spans)
    starts = rng.random(config.spans) * (1 - lengths)
    changed, shown = dict(streams), dict(masks)
    for name in set(config.streams) & set(streams):
        rows = len(streams[name])
        mask = masks[name].copy()
        for start, length in zip(starts, lengths, strict=True):
            mask[round(start * rows) : round((start + length) * rows)] = False
        if mask.any():
            changed[name], shown[name] = streams[name].copy(), mask
            changed[name][~mask] = 0
    return changed, shown
