"""The first bytes of a stored picture -> its width and height, before anything is decoded.

A few bytes can ask for gigabytes: a PNG of 20 kB that holds 60,000 x 60,000 equal pixels. Only
kinds whose size can be read here are decoded; the others that OpenCV knows are refused.
"""

from collections.abc import Callable

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that tell its size; the three are tables."""

_BARE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers of a JPEG without a length behind them."""


def picture_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """Width and height that a PNG, JPEG, BMP, WebP or GIF declares.

    Returns:
        None if it is none of them, or ends too early to say (a PNG within any of its parts).
    """
    view = data if isinstance(data, bytes) else memoryview(data).cast("B")
    for magic, read in _KINDS:
        if view[: len(magic)] == magic:
            try:
                return read(view)
            except IndexError:  # it ends within its header
                return None
    return None


def _number(view: bytes | memoryview, place: int, length: int, *, big: bool = False) -> int:
    if place + length > len(view):
        raise IndexError
    return int.from_bytes(view[place : place + length], "big" if big else "little")


def _of_png(view: bytes | memoryview) -> tuple[int, int]:
    place = 8
    while place < len(view):  # OpenCV takes memory for what a part says it holds
        place += 12 + _number(view, place, 4, big=True)
    if place > len(view):
        raise IndexError
    return _number(view, 16, 4, big=True), _number(view, 20, 4, big=True)


def _of_gif(view: bytes | memoryview) -> tuple[int, int]:
    return _number(view, 6, 2), _number(view, 8, 2)


def _of_bmp(view: bytes | memoryview) -> tuple[int, int]:
    if _number(view, 14, 4) == 12:  # of OS/2, with short numbers
        return _number(view, 18, 2), _number(view, 20, 2)
    height = _number(view, 22, 4)
    # A negative height says that rows come from the top.
    upside_down = height >= 2**31
    return _number(view, 18, 4), 2**32 - height if upside_down else height


def _of_jpeg(view: bytes | memoryview) -> tuple[int, int]:
    """Of its frame; a thumbnail lies within a segment and is passed over.

    Every picture of a training comes here, so numbers are put together in place.
    """
    place = 2
    while True:
        # What stands between segments, and any number of FF before a marker, is passed over.
        while view[place] != 0xFF:
            place += 1
        while (marker := view[place]) == 0xFF:
            place += 1
        place += 1
        if marker in _FRAMES:
            height = view[place + 3] << 8 | view[place + 4]
            return view[place + 5] << 8 | view[place + 6], height
        if marker not in _BARE:
            # A length counts its own two bytes; a smaller one would never get on.
            place += max(2, view[place] << 8 | view[place + 1])


def _of_webp(view: bytes | memoryview) -> tuple[int, int]:
    kind = bytes(view[8:16])
    if kind == b"WEBPVP8X":
        # The size minus one, in 24 bits each.
        return 1 + _number(view, 24, 3), 1 + _number(view, 27, 3)
    if kind == b"WEBPVP8L":
        # The size minus one, in 14 bits each, across the borders of bytes.
        bits = _number(view, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"WEBPVP8 ":
        # The two bits above the 14 ask for another size on the screen.
        return _number(view, 26, 2) & 0x3FFF, _number(view, 28, 2) & 0x3FFF
    raise IndexError


_KINDS: tuple[tuple[bytes, Callable[[bytes | memoryview], tuple[int, int]]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _of_png),
    (b"\xff\xd8", _of_jpeg),
    (b"BM", _of_bmp),
    (b"RIFF", _of_webp),
    (b"GIF8", _of_gif),
)
