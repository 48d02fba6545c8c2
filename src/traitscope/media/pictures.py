"""Stored pictures -> arrays of pixels; networks get them normalised, see ``nn.images``."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, lacks_memory
from traitscope.media._headers import picture_size

if TYPE_CHECKING:  # whoever reads examples does without what checks settings
    from traitscope.media.limits import Limits

log = logging.getLogger(__name__)

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_SD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""Of red, green and blue in [0, 1]; every image a model gets is normalised with them."""

MOST_PIXELS = 2**26
"""Of one picture, unless limits say otherwise; 8k video has half as many."""

_STORED = Path("a stored picture")


def decoded(data: bytes, file: Path, limits: "Limits | None" = None) -> NDArray[np.uint8] | None:
    """Decode a stored picture to (height, width, 3) RGB, turned as its EXIF tag asks.

    Args:
        data: the bytes of a PNG, JPEG, BMP, WebP or GIF.
        file: what they are called in an error.
        limits: of its pixels, which its first bytes tell; `MOST_PIXELS` when left out.

    Returns:
        None where it is no such picture, or is damaged.

    Raises:
        ClipError: it has more pixels than the limit.
    """
    import cv2

    size = picture_size(data)
    if size is None or 0 in size:
        return None
    if size[0] * size[1] > (MOST_PIXELS if limits is None else limits.pixels):
        from traitscope.media.limits import DEFAULTS, check_pixels

        check_pixels(file, *size, limits or DEFAULTS)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:  # it is damaged, or larger than OpenCV takes
        if lacks_memory(error):  # says nothing of the picture
            raise MemoryError(str(error)) from error
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)


LARGEST_BYTES = 8 * 2**30
"""Of the pictures of one clip in memory: settings of strangers may ask for any number."""


def decode_rows(
    images: Sequence[bytes], size: int | tuple[int, int] | None, what: str = "The stream"
) -> tuple[NDArray[np.uint8], list[bool]]:
    """Decode JPEGs to RGB, and say which rows have a picture.

    Args:
        images: one per row; an empty one gives zeros, and so does one that is damaged.
        size: side of a square, or height and width; the middle of a picture of another shape is
            cut out, so that faces are never squeezed. None keeps pictures as they are.
        what: of which clip, for messages.

    Returns:
        (rows, height, width, 3), and False for each row of zeros for want of a picture.

    Raises:
        DataError: there is none that can be decoded, or all of them are too large together.
    """
    height, width = (size, size) if isinstance(size, int) else size or (1, 1)
    # Three colours of four bytes, which they become on their way into a network.
    taken = 12 * len(images) * height * width
    if taken > LARGEST_BYTES:
        raise DataError(
            f"{what}: {len(images)} pictures of {width} x {height} take {taken / 2**30:.0f} GB. "
            f"Set fewer or smaller ones in the settings of the model."
        )
    arrays = [_fitted(decoded(data, _STORED), height, width, size is None) for data in images]
    # A list: of one picture, each step in NumPy takes as long as all of this.
    shown = [array is not None for array in arrays]
    cure = f"{what} is damaged in the store: delete it there, and prepare again."
    if lost := sum(map(bool, images)) - sum(shown):
        log.warning("%d of %d pictures cannot be decoded. %s", lost, len(images), cure)
    shape = next((array.shape for array in arrays if array is not None), None)
    if shape is None:
        raise DataError(f"No picture can be decoded. {cure}")
    # Laid out here, and not stacked: most rows are there, and no blank one is made for them.
    pictures = np.empty((len(arrays), *shape), np.uint8)
    for row, array in enumerate(arrays):
        pictures[row] = 0 if array is None else array
    return pictures, shown


def _fitted(
    image: NDArray[np.uint8] | None, height: int, width: int, kept: bool
) -> NDArray[np.uint8] | None:
    """A picture of the wanted size, unless it is kept as it is."""
    if image is None or kept or image.shape[:2] == (height, width):
        return image
    import cv2

    image = middle(image, height / width)
    if image.shape[:2] != (height, width):
        # By averages: to skip pixels makes fine patterns shimmer.
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return image


def middle(image: NDArray[Any], shape: float) -> NDArray[Any]:
    """Cut the largest middle part of a picture (h, w, 3) whose height is ``shape`` widths."""
    height, width = image.shape[:2]
    kept_height = min(height, max(1, round(width * shape)))
    kept_width = min(width, max(1, round(height / shape)))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return image[top : top + kept_height, left : left + kept_width]
