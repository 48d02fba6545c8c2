"""Blend each clip of a batch with another one, streams and labels alike (mixup).

Paper: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018,
https://arxiv.org/abs/1710.09412. Each clip has its own share, at least one half of itself.
"""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from traitscope.augment import Drawn, Sample
from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class Config(BaseConfig):
    """How often, and how evenly."""

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the clips that are blended."""
    alpha: PositiveFloat = 0.2
    """Both parameters of the beta distribution of the shares: small ones blend little."""


def share(config: Config, rng: np.random.Generator) -> float:
    """Decide how much a clip keeps of itself: 1 for all."""
    drawn = float(rng.beta(config.alpha, config.alpha))  # before the coin: draws stay in step
    kept = max(drawn, 1 - drawn)  # the clip stays mostly itself, so its name still fits
    return 1.0 if rng.random() >= config.probability else kept


def mix(own: Sample, other: Sample, share: float) -> Sample:
    """Blend two clips but their pictures; a row or a label is there where both clips have it.

    Raises:
        DataError: a stream does not hold numbers.
    """
    streams: dict[str, NDArray[Any]] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, mine in own[0].items():
        if mine.dtype.kind not in "fiub":
            raise DataError(
                f"Stream {name!r} is text and cannot be mixed: leave out augment.mixup."
            )
        rows = min(len(mine), len(other[0][name]))
        if mine.dtype == np.uint8:  # pictures stay whole: another clip may need the rows beyond
            streams[name] = mine
            masks[name] = own[1][name] & (np.arange(len(mine)) < rows)
            masks[name][:rows] &= other[1][name][:rows]
            continue
        theirs = other[0][name][:rows]
        streams[name] = (share * mine[:rows] + (1 - share) * theirs).astype(mine.dtype)
        if name in own[1]:
            masks[name] = own[1][name][:rows] & other[1][name][:rows]
            streams[name][~masks[name]] = 0
    labels = {
        name: share * value + (1 - share) * other[2][name]
        for name, value in own[2].items()
        if name in other[2]
    }
    return streams, masks, labels


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Blend pictures (clips, rows, 3, height, width) with those of the other clip."""
    import torch

    others = torch.from_numpy(drawn[:, 0].astype(np.int64)).to(images.device)
    shares = torch.from_numpy(drawn[:, 1]).to(images)[:, None, None, None, None]
    return torch.lerp(images[others], images, shares)
