"""How much of this machine one clip may take: settings with generous defaults, and their error."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from traitscope.config import Config, build, parse_overrides
from traitscope.errors import ClipError
from traitscope.media.pictures import MOST_PIXELS

Count = Annotated[int, Field(gt=0)]


class Limits(Config):
    """Checked before memory is taken; what is beyond one fails with its name and its value."""

    pixels: Count = MOST_PIXELS
    """Of one picture, once its pixels are square; 8k video has half as many."""

    seconds: Annotated[float, Field(gt=0)] = 43_200.0
    """From the start of a clip to its last picture or sample: 12 hours."""

    silence_seconds: Annotated[float, Field(ge=0)] = 3600.0
    """Silence that is put where a file says that sound pauses, in all."""

    pictures: Count = 10_000_000
    """Of one clip, wanted or not."""

    bytes: Count = 2**28
    """Of one stored picture, which is read as a whole: 256 MiB."""


DEFAULTS = Limits()

WORDS_BYTES = 2**25
"""Of a file of words: 32 MiB, a hundred long books."""


def parse_limits(settings: Iterable[str]) -> Limits:
    """Read ``pixels=200000000`` and alike.

    Raises:
        ConfigError: there is no such limit, or the value is none.
    """
    return build(Limits, parse_overrides(settings), where="--limit")


def too_much(what: str, name: str, value: float, allowed: float) -> ClipError:
    """Make the failure of a clip that goes beyond a limit.

    Args:
        what: is said first, such as "clip.mp4 has pictures of 20000 x 20000 pixels".
        name: of the limit.
        value: what would be needed.
        allowed: what the limit is.
    """
    return ClipError(
        f"{what}: more than the limit of {allowed:,.0f} {name.replace('_', ' ')}. Leave it out, "
        f"or, if it is to be so, raise the limit: --limit {name}={_above(value)}.",
        status="too_large",
    )


def check_pixels(path: Path, width: int, height: int, limits: Limits) -> None:
    """Refuse pictures that are too large.

    Raises:
        ClipError: they have more pixels than the limit.
    """
    if width * height > limits.pixels:
        what = f"{path} has pictures of {width} x {height} pixels"
        raise too_much(what, "pixels", width * height, limits.pixels)


def check_bytes(path: Path, size: int, limits: Limits) -> None:
    """Refuse a picture whose file is too large to be read as a whole.

    Raises:
        ClipError: it has more bytes than the limit.
    """
    if size > limits.bytes:
        raise too_much(f"{path} has {size:,} bytes", "bytes", size, limits.bytes)


def check_extent(path: Path, pictures: int, seconds: float, limits: Limits) -> None:
    """Refuse a clip that goes on and on: a few bytes can repeat a picture for days.

    Raises:
        ClipError: it has more pictures than the limit, or lasts longer.
    """
    if pictures > limits.pictures:
        what = f"{path} has {pictures:,} pictures and more"
        # How many there are is not known: reading stopped here, so twice as many are asked for.
        raise too_much(what, "pictures", 2 * pictures, limits.pictures)
    if seconds > limits.seconds:
        what = f"{path} has a picture {seconds:,.0f} s after the start of the clip"
        raise too_much(what, "seconds", seconds, limits.seconds)


def _above(value: float) -> int:
    """A round number that is not below another."""
    # Two digits, rounded up: 103345000 asks for 110000000.
    unit = int(10 ** max(0, len(str(int(value))) - 2))
    return -int(-value // unit) * unit
