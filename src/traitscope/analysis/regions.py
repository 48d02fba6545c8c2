"""Cells of a picture -> the names of what is there: parts of a face, or places of a picture."""

from collections.abc import Mapping
from typing import Any

from traitscope.analysis.parts import GRID

BROWS, EYES, NOSE, MOUTH, CHEEKS = "brows", "eyes", "nose", "mouth", "cheeks"
AROUND = "around the face"

_FACE = {
    # left, right, top, bottom as shares of an unpadded chip, whose eyes lie at .22 of its height.
    BROWS: (0.05, 0.95, -0.1, 0.12),
    EYES: (0.05, 0.95, 0.12, 0.36),
    NOSE: (0.3, 0.7, 0.36, 0.6),
    MOUTH: (0.18, 0.82, 0.6, 1.0),
    # Beside the nose, where a smile folds the skin: what is no nose there is still a face.
    CHEEKS: (0.05, 0.95, 0.36, 0.6),
}
_PLACES = (("upper", "middle", "lower"), ("left", "centre", "right"))


def region_of(cell: tuple[int, int], *, padding: float | None) -> str:
    """Name a cell of a grid.

    Args:
        cell: (row, column).
        padding: of a face whose eyes were aligned, as its extractor was told; None of any other
            picture.
    """
    y, x = ((place + 0.5) / GRID for place in cell)
    if padding is None:
        down, across = _PLACES[0][int(3 * y)], _PLACES[1][int(3 * x)]
        return "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"
    # Padding is room around the chip, as a share of it on every side.
    whole = 1 + 2 * padding
    x, y = x * whole - padding, y * whole - padding
    for name, (left, right, top, bottom) in _FACE.items():
        if left <= x < right and top <= y < bottom:
            return name
    return AROUND


def padding_of(stream: str, settings: Mapping[str, Any]) -> float | None:
    """The padding of aligned faces, None of pictures that are no such chips."""
    aligned = stream == "faces" and not settings.get("window")
    return float(settings.get("padding", 0.0)) if aligned else None
