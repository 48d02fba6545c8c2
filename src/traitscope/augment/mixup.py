"""Blend each clip of a batch with another one, streams and labels alike (mixup).

Paper: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018,
https://arxiv.org/abs/1710.09412. Each clip has its own share, at least one half of itself.
"""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from traitscope.augment import Sample
from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError


class Config(BaseConfig):
    """How often, and how evenly."""

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the clips that are blended."""
    alpha: PositiveFloat = 0.2
    """Both parameters of the beta distribution of the shares: small ones blend little."""


def mix(own: Sample, other: Sample, config: Config, rng: np.random.Generator) -> Sample:
    """Blend two clips; a row or a label is there where both clips have it.

    Raises:
        DataError: a stream does not hold numbers.
    """
    drawn = float(rng.beta(config.alpha, config.alpha))  # before the coin: draws stay in step
    kept = max(drawn, 1 - drawn)  # the clip stays mostly itself, so its name still fits
    if rng.random() >= config.probability:
        return own
    streams: dict[str, NDArray[Any]] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, mine in own[0].items():
        if mine.dtype.kind not in "fiub":
            raise DataError(
                f"Stream {name!r} is text and cannot be mixed: leave out augment.mixup."
            )
        rows = min(len(mine), len(other[0][name]))
        theirs = other[0][name][:rows]
        streams[name] = (kept * mine[:rows] + (1 - kept) * theirs).astype(mine.dtype)
        if name in own[1]:
            masks[name] = own[1][name][:rows] & other[1][name][:rows]
            streams[name][~masks[name]] = 0
    labels = {
        name: kept * value + (1 - kept) * other[2][name]
        for name, value in own[2].items()
        if name in other[2]
    }
    return streams, masks, labels
