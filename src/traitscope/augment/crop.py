"""Cut the same part out of every image of a clip, with its points, and enlarge it."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, POINTS, change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How small."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in them; all are cut at the same relative place."""
    smallest: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Smallest side of the part, as a share of the image's."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Cut a square of random side and place out of (rows, 3, height, width)."""
    side, top, left = rng.uniform(config.smallest, 1), rng.random(), rng.random()

    def cut(rows: NDArray[Any]) -> NDArray[Any]:
        import cv2

        height, width = rows.shape[-2:]
        tall, wide = max(1, round(side * height)), max(1, round(side * width))
        y, x = round(top * (height - tall)), round(left * (width - wide))
        enlarged = np.empty_like(rows)
        for index, row in enumerate(rows[:, :, y : y + tall, x : x + wide]):
            image = cv2.resize(np.ascontiguousarray(row.transpose(1, 2, 0)), (width, height))
            enlarged[index] = image.transpose(2, 0, 1)
        return enlarged

    # Points are shares of the picture's width and height: no size is needed to move them along.
    def move(points: NDArray[Any]) -> NDArray[Any]:
        corner = np.array([left, top], dtype=points.dtype) * (1 - side)
        return np.asarray((points - corner) / side, dtype=points.dtype)

    images = [name for name in config.streams if name not in POINTS]
    points = [name for name in config.streams if name in POINTS]
    changed, shown = change_rows(streams, masks, images, cut)
    return change_rows(changed, shown, points, move)
