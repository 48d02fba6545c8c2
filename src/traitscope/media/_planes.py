"""A decoded frame whose colours are made when they are looked at, and only where.

Most frames are YUV 4:2:0: brightness in full, two planes of colour at half the size. A cut-out of
the planes that starts at an even pixel is such a picture itself, and FFmpeg turns it into the same
RGB, level for level, as it would within the whole.
"""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from traitscope.frames import Matrix, warped

FORMATS = ("yuv420p", "yuvj420p")

_MOSTLY = 0.4
"""Of the picture's area: a larger part takes as long as the whole."""

_STEP = 64
"""Pixels by which sizes of parts differ: a new size makes FFmpeg begin anew, as long as a part
takes, and the part around a followed face changes by a few pixels from look to look."""

_FULL_RANGE = 2
"""What FFmpeg calls brightness from 0 to 255, instead of from 16 to 235."""

_STRETCHED = np.array([[255 / 219, -16 * 255 / 219]])
"""(1, 2) affine from brightness of 16 to 235 to one of 0 to 255."""

_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Space of colours, in FFmpeg's numbers -> shares of red and blue in brightness (ITU-T H.273,
table 4); what is not here or says nothing is BT.601, as FFmpeg takes it."""
_BT601 = (0.299, 0.114)


class Planes:
    """One frame; the file's own converter makes its whole picture.

    Args:
        frame: as decoded, in one of this module's `FORMATS`.
        convert: turns it into RGB (height, width, 3).
        reformatter: for parts; one for all frames of a file.
    """

    def __init__(
        self,
        frame: Any,
        convert: Callable[[Any], NDArray[np.uint8]],
        reformatter: VideoReformatter,
    ) -> None:
        self._frame, self._convert, self._reformatter = frame, convert, reformatter
        self.size = (int(frame.width), int(frame.height))

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """(height, width, 3) RGB."""
        return self._convert(self._frame)

    @property
    def grey(self) -> NDArray[np.uint8]:
        """(height, width) brightness, which is a plane of its own: nothing else is converted."""
        light = self._planes[0]
        if self._full:
            return np.ascontiguousarray(light)
        return np.asarray(cv2.transform(light, _STRETCHED), dtype=np.uint8)

    def part(self, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """The pixels from left, top to right, bottom (exclusive), RGB."""
        left, top, right, bottom = window
        width, height = self.size
        share = (right - left) * (bottom - top) / (width * height)
        # Once the whole picture is made, a part of it costs nothing.
        if "image" in self.__dict__ or share > _MOSTLY:
            return self.image[top:bottom, left:right]
        x, x_end = _widened(left, right, width)
        y, y_end = _widened(top, bottom, height)
        cut = self._reformatter.reformat(self._cut(x, y, x_end, y_end), format="rgb24")
        seen = np.asarray(cut.to_ndarray(), dtype=np.uint8)
        return seen[top - y : bottom - y, left - x : right - x]

    def through(
        self, matrix: Matrix, size: tuple[int, int], *, framed: bool, averaged: bool
    ) -> NDArray[np.uint8]:
        """What is seen through an affine matrix (2, 3), straight from the planes."""
        light, *colours = self._planes
        black, grey = ((0 if self._full else 16), 128) if framed else (None, None)
        planes = [warped(light, matrix, size, beyond=black, averaged=averaged)]
        # Colours have half of the pixels here as well: pixel 0 lies half a pixel into both.
        (a, b, c), (d, e, f) = matrix.tolist()
        halved = np.array(
            [[a, b, ((a + b) / 2 + c - 0.5) / 2], [d, e, ((d + e) / 2 + f - 0.5) / 2]]
        )
        small = (size[0] + 1) // 2, (size[1] + 1) // 2
        for plane in colours:
            seen = warped(plane, halved, small, beyond=grey, averaged=averaged)
            large = cv2.resize(seen, (2 * small[0], 2 * small[1]))
            planes.append(np.asarray(large, dtype=np.uint8)[: size[1], : size[0]])
        to_rgb = _to_rgb(int(self._frame.colorspace), full=self._full)
        return np.asarray(cv2.transform(cv2.merge(planes), to_rgb), dtype=np.uint8)

    @cached_property
    def _full(self) -> bool:
        """Whether brightness goes from 0 to 255."""
        named = self._frame.format.name == "yuvj420p"
        return named or int(self._frame.color_range) == _FULL_RANGE

    @cached_property
    def _planes(self) -> list[NDArray[np.uint8]]:
        """Brightness and colours where the decoder put them, without copying."""
        return [
            # Lines are padded to lengths that suit the decoder; of them only the width is picture.
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            for plane in self._frame.planes
        ]

    def _cut(self, left: int, top: int, right: int, bottom: int) -> Any:
        """The frame of a part, at even corners unless the picture ends."""
        cut = av.VideoFrame(right - left, bottom - top, self._frame.format.name)
        cut.colorspace, cut.color_range = self._frame.colorspace, self._frame.color_range
        for plane, target, scale in zip(self._planes, cut.planes, (1, 2, 2), strict=True):
            lines: NDArray[np.uint8] = np.frombuffer(target, np.uint8)  # type: ignore[call-overload]
            lines = lines.reshape(target.height, target.line_size)
            y, x = top // scale, left // scale
            lines[:, : target.width] = plane[y : y + target.height, x : x + target.width]
        return cut


@cache
def _to_rgb(colorspace: int, *, full: bool) -> NDArray[np.float64]:
    """(3, 4) affine from brightness, blue and red as video keeps them to red, green and blue."""
    red, blue = _SHARES.get(colorspace, _BT601)
    green = 1 - red - blue
    light, colour = (1.0, 2.0) if full else (255 / 219, 2 * 255 / 224)
    to_red, to_blue = colour * (1 - red), colour * (1 - blue)
    matrix = np.array(
        [
            [light, 0, to_red],
            [light, -to_blue * blue / green, -to_red * red / green],
            [light, to_blue, 0],
        ]
    )
    return np.column_stack([matrix, matrix @ (0 if full else -16, -128, -128)])


def _widened(first: int, end: int, length: int) -> tuple[int, int]:
    """Start and end of a cut that holds a part, even (colour comes in pairs) and of few sizes."""
    # One more than is asked for, because an odd start moves back by one.
    whole = -(-(end - first + 1) // _STEP) * _STEP
    # With the part in its middle, unless the picture ends before.
    start = max(0, min(first - (whole - (end - first)) // 2, length - whole))
    start -= start % 2
    return start, min(length, max(end, start + whole))
