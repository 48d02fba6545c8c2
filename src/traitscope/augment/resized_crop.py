"""Cut the same part of any shape out of every image of a clip, and stretch it to the whole.

The strong form of ``crop``, as image networks are trained on ImageNet: a random share of the area
at a random ratio of the sides (Szegedy et al., 2015, https://arxiv.org/abs/1409.4842).
"""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, POINTS, change_rows
from traitscope.config import Config as BaseConfig

Share = Annotated[float, Field(gt=0, le=1)]


class Config(BaseConfig):
    """How small, and how far from a square."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in them; all are cut at the same relative place."""
    area: Share = 0.08
    """Smallest area of the part, as a share of the image's."""
    flattest: Share = 0.75
    """Smallest ratio of its shorter to its longer side, for a square image."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Cut a part of random area, ratio and place out of (rows, 3, height, width)."""
    side = np.sqrt(rng.uniform(config.area, 1))
    # In logarithms: twice as tall is as likely as twice as wide.
    ratio = np.exp(rng.uniform(np.log(config.flattest), -np.log(config.flattest)) / 2)
    # A long part may be cut off at the picture: then it is a little less long.
    sides = np.minimum(1.0, [side * ratio, side / ratio])
    corner = rng.random(2) * (1 - sides)

    def cut(rows: NDArray[Any]) -> NDArray[Any]:
        import cv2

        size = np.array(rows.shape[:-3:-1])  # width, height
        wide, tall = np.maximum(1, np.rint(sides * size)).astype(int)
        # Rounded corner and side together may lie a pixel beyond the edge.
        x, y = np.minimum(np.rint(corner * size).astype(int), size - (wide, tall))
        enlarged = np.empty_like(rows)
        for index, row in enumerate(rows[:, :, y : y + tall, x : x + wide]):
            image = np.ascontiguousarray(row.transpose(1, 2, 0))
            enlarged[index] = cv2.resize(image, size.tolist()).transpose(2, 0, 1)
        return enlarged

    def move(points: NDArray[Any]) -> NDArray[Any]:
        # Shares of the part: beyond it they are below 0 or above 1, and stay so.
        return np.asarray((points - corner) / sides, dtype=points.dtype)

    images = [name for name in config.streams if name not in POINTS]
    points = [name for name in config.streams if name in POINTS]
    changed, shown = change_rows(streams, masks, images, cut)
    return change_rows(changed, shown, points, move)
