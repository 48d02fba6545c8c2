"""Parts of a picture that is not RGB yet are what they are in the whole."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from tests.support.media_files import portrait
from traitscope.media import read_frames
from traitscope.media._planes import Planes
from traitscope.types import Frame

WINDOWS = [(0, 0, 64, 64), (33, 17, 120, 91), (200, 151, 319, 239), (7, 3, 8, 4), (0, 0, 320, 240)]
COLOURS = {"bt709": 1, "bt601": 6}


def written(path: Path, **more: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for name, value in more.items():
            setattr(stream.codec_context, name, value)
        for number in range(4):
            image = np.ascontiguousarray(np.roll(portrait(320), 9 * number, axis=1)[:240])
            image[40:140, 30:130], image[100:200, 200:280] = (190, 20, 30), (20, 60, 190)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("colorspace", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
def test_a_part_is_that_of_the_whole(tmp_path: Path, colorspace: int, color_range: int) -> None:
    path = written(tmp_path / "a.mp4", colorspace=colorspace, color_range=color_range)
    for frame, _ in read_frames(path, rates=["native"]):
        assert isinstance(frame.picture, Planes)
        assert frame.size == (320, 240)
        parts = [frame.part(window).copy() for window in WINDOWS]
        for (left, top, right, bottom), part in zip(WINDOWS, parts, strict=True):
            whole = frame.image[top:bottom, left:right]
            assert part.shape == whole.shape
            # FFmpeg rounds the last few pixels of a line another way on some processors
            assert np.abs(part.astype(int) - whole).max() <= 2
            np.testing.assert_array_equal(frame.part((left, top, right, bottom)), whole)


@pytest.mark.parametrize("colorspace", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("framed", [True, False])
def test_what_is_seen_through_a_matrix_is_that_of_the_whole(
    tmp_path: Path, colorspace: int, color_range: int, framed: bool
) -> None:
    path = written(tmp_path / "a.mp4", colorspace=colorspace, color_range=color_range)
    # Reaches beyond the picture on the left, and below.
    matrix = np.array([[0.6, 0.1, 20.0], [-0.1, 0.6, 10.0]])
    for frame, _ in read_frames(path, rates=["native"]):
        seen = frame.through(matrix, (129, 160), framed=framed).astype(int)
        whole = Frame(0.0, frame.image).through(matrix, (129, 160), framed=framed)
        assert seen.shape == whole.shape == (160, 129, 3)
        # FFmpeg rounds down, and repeats colours where they are interpolated here.
        assert np.abs(np.median(seen - whole, axis=(0, 1))).max() <= 1
        assert np.abs(seen.mean(axis=(0, 1)) - whole.mean(axis=(0, 1))).max() < 2


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("scale", [0.45, 0.21])
def test_what_is_made_much_smaller_is_averaged_in_the_planes_as_in_the_whole(
    tmp_path: Path, scale: float, framed: bool
) -> None:
    cos, sin = scale * np.cos(0.3), scale * np.sin(0.3)
    matrix = np.array([[cos, sin, 9.0], [-sin, cos, 14.0]])
    for frame, _ in read_frames(written(tmp_path / "a.mp4"), rates=["native"]):
        seen = frame.through(matrix, (48, 60), framed=framed, averaged=True).astype(int)
        whole = Frame(0.0, frame.image).through(matrix, (48, 60), framed=framed, averaged=True)
        # FFmpeg rounds down, green by 1.5 in the mean.
        assert np.abs((seen - whole).mean(axis=(0, 1))).max() < 2.5
        assert np.abs(seen - whole).mean() < 4


def test_fine_stripes_are_grey_where_pixels_are_averaged() -> None:
    stripes = np.zeros((90, 90, 3), dtype=np.uint8)
    stripes[:, ::3] = 255
    third = np.array([[1 / 3, 0, -1 / 3], [0, 1 / 3, -1 / 3]])  # to the middle of each nine
    frame = Frame(0.0, stripes)
    assert set(np.unique(frame.through(third, (30, 30)))) == {0}
    assert set(np.unique(frame.through(third, (30, 30), averaged=True))) == {85}


@pytest.mark.parametrize(
    ("color_range", "light"), [(1, [0, 0, 127, 255, 255]), (2, [0, 16, 125, 235, 255])]
)
def test_brightness_goes_from_black_to_white(color_range: int, light: list[int]) -> None:
    levels = np.repeat(np.array([0, 16, 125, 235, 255], dtype=np.uint8), 16)
    planes = np.full((24, 80), 128, dtype=np.uint8)
    planes[:16] = levels
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.color_range = color_range
    picture = Planes(frame, lambda frame: np.zeros((16, 80, 3), np.uint8), VideoReformatter())
    grey = Frame(0.0, picture).grey
    assert grey.shape == (16, 80)
    np.testing.assert_array_equal(grey[:, ::16], [light] * 16)
    assert "image" not in vars(picture)


def test_brightness_of_a_picture_in_colour_is_that_of_television() -> None:
    colours = np.array([[(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)]], dtype=np.uint8)
    assert Frame(0.0, colours).grey.tolist() == [[0, 255, 76, 150]]


def test_nothing_is_converted_before_it_is_looked_at(tmp_path: Path) -> None:
    for frame, _ in read_frames(written(tmp_path / "a.mp4"), rates=["native"]):
        frame.part((10, 10, 60, 60))
        assert "image" not in vars(frame.picture)
        assert frame.image.shape == (240, 320, 3)
        assert frame.image is frame.image
