"""The person of a synthetic clip: NASA's portrait, cut out, reshaped and placed before a wall.

Coordinates are pixels of a 200 x 200 window of ``skimage.data.astronaut()`` (public domain), so
landmarks are written once whatever the size of the video.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

SIDE = 200
"""Side of the window of the portrait; `grid` spans it whatever the size of the video."""
_LEFT, _TOP = 125, 0

LANDMARKS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "right_eye": (78.8, 102.3),
        "left_eye": (120.9, 104.2),
        "right_corner": (77.3, 139.5),
        "left_corner": (119.5, 140.5),
        "mouth": (98.2, 146.2),
        "right_brow": (76.5, 89.5),
        "left_brow": (124.5, 92.0),
        "nose": (98.7, 129.0),
        "face": (99.5, 118.0),
        "chin": (96.5, 177.0),
    }
)
"""Places in the window; right and left are hers."""

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Person:
    """One subject, ready to be moved.

    Attributes:
        image: (size, size, 3) RGB of the reshaped portrait.
        matte: (size, size) opacity of the person, 0 to 255.
        wall: (size, size, 3) RGB background.
        landmarks: where the LANDMARKS are after reshaping.
    """

    image: Image
    matte: Image
    wall: Image
    landmarks: Mapping[str, tuple[float, float]]


def grid(size: int) -> tuple[Floats, Floats]:
    """Window coordinates x, y of each pixel of a (size, size) picture."""
    line = ((np.arange(size) + 0.5) * (SIDE / size) - 0.5).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def bump(x: Floats, y: Floats, centre: tuple[float, float], across: float, down: float) -> Floats:
    """Evaluate a Gaussian hill of height one."""
    return np.asarray(
        np.exp(-0.5 * (((x - centre[0]) / across) ** 2 + ((y - centre[1]) / down) ** 2)),
        dtype=np.float32,
    )


def person(size: int, rng: np.random.Generator) -> Person:
    """Draw a subject: shape of the face, tint of skin, hair and clothes, background."""
    image, matte = _portrait(size)
    x, y = grid(size)
    # At most twice the spread: rarer draws would no longer pass for a face.
    strength = np.clip(0.8 * rng.standard_normal(7), -1.6, 1.6)
    across, down = _reshape(x, y, strength)
    scale = size / SIDE
    map_x = ((x + across + 0.5) * scale - 0.5).astype(np.float32)
    map_y = ((y + down + 0.5) * scale - 0.5).astype(np.float32)
    # Offsets lead from the subject back to the portrait; small ones lead forth with a minus.
    moved = {}
    for name, (place_x, place_y) in LANDMARKS.items():
        px, py = np.full((1, 1), place_x, np.float32), np.full((1, 1), place_y, np.float32)
        shift_x, shift_y = _reshape(px, py, strength)
        moved[name] = (place_x - float(shift_x[0, 0]), place_y - float(shift_y[0, 0]))
    tint = 1 + np.clip(0.06 * rng.standard_normal(3), -0.12, 0.12)
    tinted = np.clip(image * tint, 0, 255).astype(np.uint8)
    return Person(
        image=_warp(tinted, map_x, map_y),
        matte=_warp(matte, map_x, map_y),
        wall=_wall(size, rng),
        landmarks=moved,
    )


def _reshape(x: Floats, y: Floats, strength: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Offsets from a pixel of the subject to the portrait, in window pixels."""
    width, length, eyes, mouth, nose, jaw, brow = (float(value) for value in strength)
    face = bump(x, y, LANDMARKS["face"], 45, 55)
    right, left = (bump(x, y, LANDMARKS[f"{side}_eye"], 13, 10) for side in ("right", "left"))
    corners = [bump(x, y, LANDMARKS[f"{side}_corner"], 9, 9) for side in ("right", "left")]
    chin = bump(x, y, LANDMARKS["chin"], 45, 14)
    across = 0.03 * width * (x - 99.5) * face + 0.8 * eyes * (left - right)
    across = across + 0.7 * mouth * (corners[1] - corners[0]) + 0.035 * jaw * (x - 97) * chin
    down = 0.03 * length * (y - 118) * face
    down = down + 0.8 * nose * bump(x, y, LANDMARKS["nose"], 10, 10)
    for side in ("right", "left"):
        down = down + 0.5 * brow * bump(x, y, LANDMARKS[f"{side}_brow"], 16, 6)
    return across.astype(np.float32), down.astype(np.float32)


@lru_cache(maxsize=2)
def _portrait(size: int) -> tuple[Image, Image]:
    """Cut the person out of the portrait: RGB (size, size, 3) and opacity (size, size)."""
    import cv2
    from skimage.data import astronaut

    portrait = astronaut()  # type: ignore[no-untyped-call]
    picture = np.ascontiguousarray(portrait[_TOP : _TOP + SIDE, _LEFT : _LEFT + SIDE])
    # What grabCut begins with: head and shoulders as likely hers, the inner part of each as surely.
    mask = np.full((SIDE, SIDE), cv2.GC_PR_BGD, np.uint8)
    cv2.ellipse(mask, (100, 90), (82, 86), 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    cv2.ellipse(mask, (99, 100), (43, 72), 0, 0, 360, int(cv2.GC_FGD), -1)
    cv2.ellipse(mask, (84, 215), (95, 58), 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    cv2.ellipse(mask, (84, 220), (80, 45), 0, 0, 360, int(cv2.GC_FGD), -1)
    # Above her hair and beside it there is only wall.
    mask[:10], mask[:120, :20], mask[:120, -18:] = cv2.GC_BGD, cv2.GC_BGD, cv2.GC_BGD
    # grabCut's colour models begin at random.
    cv2.setRNGSeed(0)
    colours, walls = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, mask, (0, 0, 1, 1), walls, colours, 4, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    # Specks of the wall that were taken for her go.
    opened = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    inner = cv2.erode(opened, np.ones((3, 3), np.uint8))  # without the rim of the old wall
    soft = cv2.GaussianBlur(inner, (0, 0), 1.2)
    square = (size, size)
    large = cv2.resize(picture, square, interpolation=cv2.INTER_CUBIC)
    matte = cv2.resize(soft, square, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8), np.asarray(matte, np.uint8)


def _warp(image: Image, map_x: Floats, map_y: Floats) -> Image:
    import cv2

    moved = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _wall(size: int, rng: np.random.Generator) -> Image:
    """Paint a background: two colours that blend into each other, and soft blotches."""
    import cv2

    x, y = grid(size)
    first, second = rng.uniform(60, 200, 3), rng.uniform(60, 200, 3)
    angle = rng.uniform(0, 2 * np.pi)
    slope = 0.5 + ((x - 100) * np.cos(angle) + (y - 100) * np.sin(angle)) / 280
    blotches = cv2.resize(rng.normal(0, 12, (6, 6, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
    wall = first + (second - first) * np.clip(slope, 0, 1)[..., None] + blotches
    return np.asarray(np.clip(wall, 20, 235), np.uint8)
