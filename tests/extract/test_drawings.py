"""Drawings of landmarks: a dot where a point is, in the frame of the face chip."""

import cv2
import numpy as np
import pytest

from tests.extract.test_faces import drawn
from traitscope.errors import ClipError
from traitscope.extract import drawings, landmarks
from traitscope.types import Clip, Frame, Inputs


@pytest.mark.parametrize("size", [56, 112, 224])
def test_a_point_is_drawn_where_it_is(size: int) -> None:
    points = np.full((68, 2), (0.25, 0.6))
    dot = drawings.drawing(points, size)
    y, x = np.nonzero(dot[..., 0])
    assert ((x.mean() + 0.5) / size, (y.mean() + 0.5) / size) == pytest.approx(
        (0.25, 0.6), abs=0.01
    )
    assert (dot == dot[..., :1]).all()
    assert 1 <= len(x) <= 0.002 * size**2 + 9


def test_drawings_are_of_the_points_of_the_chip_and_missing_where_the_face_is() -> None:
    image, face = drawn()
    extractor = drawings.Extractor(drawings.Config(backend="dlib", quality=100))
    points = landmarks.Extractor(landmarks.Config(backend="dlib"))
    for number, faces in enumerate([(face,), (), (face,)]):
        for one in (extractor, points):
            one.see(Frame(number / 5, image), faces)
    stream = extractor.finish(Inputs(clip=Clip("clip")))
    assert stream.mask.tolist() == [True, False, True]
    assert stream.images is not None
    assert [bool(image) for image in stream.images] == [True, False, True]
    pixels = cv2.imdecode(np.frombuffer(stream.images[0], np.uint8), cv2.IMREAD_COLOR)
    places = points.finish(Inputs(clip=Clip("clip"))).values
    assert places is not None
    inside = places[0][((places[0] > 0.02) & (places[0] < 0.98)).all(axis=1)]
    assert len(inside) > 40
    for x, y in np.floor(inside * 112).astype(int):
        assert pixels[y, x].mean() > 100


def test_no_face_at_all_is_said() -> None:
    extractor = drawings.Extractor(drawings.Config(backend="dlib"))
    extractor.see(Frame(0.0, np.zeros((90, 90, 3), np.uint8)), ())
    with pytest.raises(ClipError) as error:
        extractor.finish(Inputs(clip=Clip("clip")))
    assert error.value.status == "no_face"
