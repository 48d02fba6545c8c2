"""Decoded frames -> pictures as people see them: whole, square pixels, upright, ordinary light.

An ordinary frame is turned into RGB and nothing else. Where a file says that its pictures are
interlaced, of another shape than stored, turned, or of high dynamic range, that is undone here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from traitscope.media._planes import FORMATS, Planes

HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
"""Transfer characteristics of high dynamic range."""

FIELDS = {2: "top field first", 3: "bottom field first", 4: "top field first"}
FIELDS |= {5: "bottom field first"}
"""FFmpeg's numbers for the order in which a screen shows the two halves of a picture."""

_SQUARE = 0.01
"""Pixels are square that are less than this wider or higher: rounding of the sizes in the file."""

_BELIEVED = 8
"""Pixels that are more times wider than high, or higher than wide, are a mistake."""

_UNKNOWN_SIDE_DATA = 16
"""Kinds of side data after the last that PyAV has a name for, which a newer FFmpeg may have."""


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a stored pixel by its height; 1 where that is not said, or is not believable."""
    return _believed(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)


def _believed(aspect: Any) -> Fraction:
    believed = 1 / _BELIEVED <= aspect <= _BELIEVED and abs(aspect - 1) >= _SQUARE
    return Fraction(aspect) if believed else Fraction(1)


def orientation(frame: Any) -> tuple[int, bool]:
    """Read how a decoded frame wants to be shown.

    Returns:
        Counter-clockwise quarter turns for ``np.rot90``, and whether to mirror left-right first.
    """
    data = next((d for d in _side_data(frame) if d.type is Type.DISPLAYMATRIX), None)
    if data is None:
        return 0, False
    # Numbers of fixed point: their scale does not matter to an angle.
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).astype(np.float64)
    mirrored = a * d - b * c < 0
    if mirrored:
        # To mirror first is to turn round what x contributes.
        a, b = -a, -b
    return int(np.rint(-np.arctan2(b, a) / (np.pi / 2))) % 4, bool(mirrored)


def _side_data(frame: Any) -> Any:
    """What goes with a frame, without what PyAV has no name for and stops at."""
    try:
        return frame.side_data
    except ValueError:
        first = 1 + max(int(kind.value) for kind in list[Any](Type))
        without = (
            ("sidedata", f"mode=delete:type={kind}")
            for kind in range(first, first + _UNKNOWN_SIDE_DATA)
        )
        graph = _graph(frame, *without)
        graph.push(frame)
        return graph.pull().side_data


class Converter:
    """Turn decoded frames of one file into (height, width, 3) RGB.

    What the first frame and the track say is read once: asking a frame for its side data ties it
    into a reference cycle, so that frames would pile up until the garbage collector comes by.
    """

    def __init__(self) -> None:
        self.orientation: tuple[int, bool] | None = None
        self.aspect = Fraction(1)
        self._coded: Fraction | None = None  # as the pictures themselves say
        self._light: dict[str, Any] = {}
        self._reformatter, self._of_parts = VideoReformatter(), VideoReformatter()

    def looked_at(self, frame: Any) -> Callable[[], NDArray[np.uint8] | Planes]:
        """What gives a decoded frame when it is wanted, with the shape that pixels have now."""
        return partial(self._picture, frame, self.aspect)

    def _picture(self, frame: Any, aspect: Fraction) -> NDArray[np.uint8] | Planes:
        """A decoded frame to look at: an ordinary one is converted only where it is looked at."""
        convert: Callable[[Any], NDArray[np.uint8]] = partial(self, aspect=aspect)
        ordinary = self.orientation == (0, False) and aspect == 1 and not self._light
        if ordinary and frame.format.name in FORMATS:
            return Planes(frame, convert, self._of_parts)
        return convert(frame)

    def look(self, stream: Any, frame: Any) -> None:
        """Take in what the first frame and its track say."""
        self.orientation = orientation(frame)
        self.aspect = pixel_aspect(stream)
        self._coded = stream.codec_context.sample_aspect_ratio
        if int(frame.color_trc) in HDR:
            self._light = {
                "dst_color_trc": ColorTrc.BT709,
                "dst_color_primaries": ColorPrimaries.BT709,
            }

    def look_again(self, stream: Any) -> str:
        """Take in another shape of pixels from here on, and say it; nothing where it is as before.

        A broadcast, or recordings that were put one after the other, change it in the middle. What
        the container says holds for the beginning alone then. PyAV gives no shape of one frame, and
        a decoder may be a picture or two ahead of those that it hands out.
        """
        coded = stream.codec_context.sample_aspect_ratio
        if coded == self._coded or not coded:
            return ""
        before, self.aspect, self._coded = self.aspect, _believed(coded), coded
        return f"from {_ratio(before)} to {_ratio(self.aspect)}" if before != self.aspect else ""

    def __call__(self, frame: Any, aspect: Fraction) -> NDArray[np.uint8]:
        turns, mirrored = self.orientation or (0, False)
        changes = dict(self._light)
        if aspect != 1:  # as it was when the frame was decoded
            changes["width"] = square_width(frame.width, aspect)
            changes["interpolation"] = Interpolation.BICUBIC
        # Those who record such light use these primaries, whether they say so or not.
        if self._light and int(frame.color_primaries) == ColorPrimaries.UNSPECIFIED:
            frame.color_primaries = ColorPrimaries.BT2020
        image = self._reformatter.reformat(frame, format="rgb24", **changes).to_ndarray()
        # After the pixels were made square: their shape is that of the stored picture.
        image = image[:, ::-1] if mirrored else image
        image = np.rot90(image, turns) if turns else image
        # Views that are turned have strides that OpenCV does not take.
        rgb: NDArray[np.uint8] = np.ascontiguousarray(image)
        return rgb


def _ratio(aspect: Fraction) -> str:
    return f"{aspect.numerator}:{aspect.denominator}"


def square_width(width: int, aspect: Fraction) -> int:
    """Width of a picture once its pixels are square."""
    return max(1, round(width * aspect))


def deinterlaced(
    frames: Iterable[tuple[int | None, Any]],
) -> Iterator[tuple[int | None, Any]]:
    """Fill up the half pictures of interlaced frames; progressive ones stay as they are.

    From the first interlaced frame on everything goes through a filter that looks at the frames
    before and after. It gives one frame for each, so that times go beside it.
    """
    graph: Any = None
    graph_form: tuple[Any, ...] = ()
    times: deque[int | None] = deque()
    for time, frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield time, frame
            continue
        form = (frame.width, frame.height, frame.format.name)
        # A filter is made for one size and format: the old one first gives what it still holds.
        if form != graph_form:
            yield from _rest(graph, times)
            graph = _graph(frame, ("bwdif", "mode=send_frame:deint=interlaced"))
            graph_form = form
        times.append(time)
        graph.push(frame)
        yield from _ready(graph, times)
    yield from _rest(graph, times)


def _rest(graph: Any, times: deque[int | None]) -> Iterator[tuple[int | None, Any]]:
    if graph is not None:
        graph.push(None)
        yield from _ready(graph, times)


def _ready(graph: Any, times: deque[int | None]) -> Iterator[tuple[int | None, Any]]:
    """What a graph has ready now, with its times."""
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield times.popleft(), frame


def _graph(frame: Any, *filters: tuple[str, str]) -> Any:
    """Make a graph of filters, one after the other, for frames such as this."""
    unit = frame.time_base or Fraction(1, 25)
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
        f":time_base={unit.numerator}/{unit.denominator}:pixel_aspect=1/1"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )
    nodes = [source, *(graph.add(*one) for one in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes)
    graph.configure()
    return graph
