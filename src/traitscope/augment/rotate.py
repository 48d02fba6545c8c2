"""Turn every image of a clip by the same angle, with the points in it."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import IMAGES, POINTS, Drawn
from traitscope.config import Config as BaseConfig
from traitscope.media.pictures import IMAGENET_MEAN

if TYPE_CHECKING:
    from torch import Tensor

CLASHES = {"signals": "head turns would keep their angle while the pictures change it"}
"""Streams that cannot be turned here beside turned pictures, and why."""


class Config(BaseConfig):
    """How far."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in square ones."""
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    """Largest angle, to the left or to the right."""


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide the angle, in radians."""
    # One angle for the clip: a head that trembles from row to row would be a signal.
    return np.array([np.deg2rad(rng.uniform(-config.degrees, config.degrees))])


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Turn (clips, rows, 3, height, width) around their middle; the mean colour comes in."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    height, width = images.shape[-2:]
    half = np.diag([width / 2, height / 2])  # from shares of the half sides to pixels
    mean = torch.from_numpy(255 * IMAGENET_MEAN)[:, None, None].to(images)
    for rows, (angle,) in zip(images, drawn, strict=True):
        back = np.linalg.inv(half) @ _turn(angle).T @ half  # where a pixel comes from
        theta = torch.from_numpy(np.column_stack([back, [0, 0]])).to(images)
        grid = affine_grid(theta.expand(len(rows), 2, 3), list(rows.shape), align_corners=False)
        rows.copy_(grid_sample(rows - mean, grid, align_corners=False) + mean)
    return images


def points(points: NDArray[Any], drawn: Drawn) -> NDArray[Any]:
    """Turn points (rows, points, 2) along, in square pictures."""
    return np.asarray((points - 0.5) @ _turn(drawn[0]).T + 0.5, dtype=points.dtype)


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
