"""Turn every image of a clip by the same angle, with the points in it."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, POINTS, change_rows
from traitscope.config import Config as BaseConfig

CLASHES = {"signals": "head turns would keep their angle while the pictures change it"}
"""Streams that cannot be turned here beside turned pictures, and why."""


class Config(BaseConfig):
    """How far."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in square ones."""
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    """Largest angle, to the left or to the right."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Turn (rows, 3, height, width) around their middle; what comes in has the mean colour."""
    # One angle for the clip: a head that trembles from row to row would be a signal.
    angle = np.deg2rad(rng.uniform(-config.degrees, config.degrees))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def rotate(rows: NDArray[Any]) -> NDArray[Any]:
        import cv2

        height, width = rows.shape[-2:]
        middle = np.array([width - 1, height - 1]) / 2  # of pixels, counted from their centres
        matrix = np.column_stack([turn, middle - turn @ middle])
        turned = np.empty_like(rows)
        for index, row in enumerate(rows):
            image = np.ascontiguousarray(row.transpose(1, 2, 0))
            # warpAffine takes the matrix from the picture to the turned one, as points move.
            turned[index] = cv2.warpAffine(image, matrix, (width, height)).transpose(2, 0, 1)
        return turned

    def move(points: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((points - 0.5) @ turn.T + 0.5, dtype=points.dtype)

    images = [name for name in config.streams if name not in POINTS]
    points = [name for name in config.streams if name in POINTS]
    changed, shown = change_rows(streams, masks, images, rotate)
    return change_rows(changed, shown, points, move)
