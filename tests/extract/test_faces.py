import cv2
import numpy as np
import pytest

from tests.support.media_files import portrait
from traitscope.errors import ClipError
from traitscope.extract._selection import Tracks
from traitscope.extract.faces import Config, Extractor, chip, sharpness, window
from traitscope.tracking import eye_centres
from traitscope.tracking._canonical import FACE
from traitscope.types import Clip, Face, Frame, Inputs


def drawn(size: int = 400, degrees: float = 0, distance: float = 80) -> tuple[np.ndarray, Face]:
    """A grey picture with a red right eye and a green left eye, and the face that says so."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = FACE[:, :2] * distance @ turn.T + size / 2
    image = np.full((size, size, 3), 90, np.uint8)
    for eye, colour in ((slice(36, 42), (255, 0, 0)), (slice(42, 48), (0, 255, 0))):
        centre = points[eye].mean(axis=0)
        cv2.circle(image, tuple(round(c) for c in centre), max(3, int(distance / 10)), colour, -1)
    low, high = points.min(axis=0), points.max(axis=0)
    return image, Face(box=(*low, *high), confidence=0.9, landmarks=points.astype(np.float32))


def spot(image: np.ndarray, channel: int) -> np.ndarray:
    """Centre (x, y) of what is bright in one channel only."""
    others = [c for c in range(3) if c != channel]
    y, x = np.nonzero(image[:, :, channel].astype(int) - image[:, :, others].max(axis=2) > 80)
    return np.array([x.mean(), y.mean()])


@pytest.mark.parametrize("degrees", [-30, 0, 20])
@pytest.mark.parametrize("distance", [40, 80, 260])
@pytest.mark.parametrize("size", [112, 224])
def test_eyes_are_level_and_a_fixed_share_apart(degrees: float, distance: float, size: int) -> None:
    image, face = drawn(1200, degrees, distance)
    pixels = chip(image, face, size=size, padding=0.25)
    right, left = spot(pixels, 0), spot(pixels, 1)
    assert pixels.shape == (size, size, 3)
    assert (left - right)[1] == pytest.approx(0, abs=1.5)
    assert (left - right)[0] / size == pytest.approx(0.35, abs=0.01)
    assert ((left + right) / 2)[0] / size == pytest.approx(0.5, abs=0.01)
    assert right[1] / size == pytest.approx(0.314, abs=0.01)


def test_more_padding_shows_more() -> None:
    image, face = drawn()
    near, far = (chip(image, face, size=224, padding=p) for p in (0.0, 0.5))
    assert (spot(near, 1) - spot(near, 0))[0] > 1.8 * (spot(far, 1) - spot(far, 0))[0]


def test_beyond_the_picture_is_black() -> None:
    image, face = drawn(120, distance=80)
    assert chip(image, face, size=64, padding=1.0)[0, 0].tolist() == [0, 0, 0]


def test_a_face_without_points_gives_its_padded_box() -> None:
    image, _ = drawn()
    boxed = Face(box=(150, 150, 250, 250), confidence=1, landmarks=np.empty((0, 2)))
    assert eye_centres(boxed.landmarks) is None
    pixels = chip(image, boxed, size=150, padding=0.25)
    np.testing.assert_allclose(pixels, image[125:275, 125:275], atol=2)


def test_a_wild_fit_far_outside_the_picture_is_no_crash() -> None:
    image, face = drawn()
    away = Face(box=face.box, confidence=1, landmarks=face.landmarks * 40 + 5000)
    assert chip(image, away, size=64, padding=0.25).shape == (64, 64, 3)


def looked(*tracks_per_frame: dict[int, tuple[float, float]], select: str = "largest") -> Extractor:
    """An extractor that saw faces: track -> (centre x, size) in frames 0.2 s apart."""
    extractor = Extractor(Config(backend="dlib", size=32, select=select))
    image = np.full((100, 200, 3), 128, np.uint8)
    for number, faces in enumerate(tracks_per_frame):
        seen = tuple(
            Face(
                box=(x - s / 2, 50 - s / 2, x + s / 2, 50 + s / 2),
                confidence=0.5 + track / 10,
                landmarks=np.empty((0, 2)),
                track=track,
            )
            for track, (x, s) in faces.items()
        )
        extractor.see(Frame(number / 5, image), seen)
    return extractor


def test_a_missing_face_is_an_empty_row_and_nobody_else() -> None:
    extractor = looked({0: (50, 40)}, {1: (150, 20)}, {0: (50, 40), 1: (150, 20)}, {})
    stream = extractor.finish(Inputs(Clip("c")))
    assert stream.mask.tolist() == [True, False, True, False]
    assert [bool(image) for image in stream.images] == [True, False, True, False]
    np.testing.assert_allclose(stream.time, [0, 0.2, 0.4, 0.6])
    assert stream.info["coverage"] == 0.5
    assert stream.info["confidence"] == 0.5
    assert (stream.info["track"], stream.info["tracks"]) == (0, 2)
    decoded = cv2.imdecode(np.frombuffer(stream.images[0], np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (32, 32, 3)


def test_no_face_at_all_is_said() -> None:
    with pytest.raises(ClipError, match="No face was found in clip 'c'") as caught:
        looked({}, {}).finish(Inputs(Clip("c")))
    assert caught.value.status == "no_face"


def test_each_policy_chooses_its_track() -> None:
    tracks = Tracks()
    frame = Frame(0.0, np.zeros((100, 200, 3), np.uint8))

    def face(track: int, x: float, size: float) -> Face:
        box = (x - size / 2, 50 - size / 2, x + size / 2, 50 + size / 2)
        return Face(box=box, confidence=1, landmarks=np.empty((0, 2)), track=track)

    for number in range(10):
        faces = [face(0, 60, 20), face(1, 103, 10), face(2, 170, 50)]
        tracks.see(frame, [f for f in faces if f.track != 2 or number < 4][: 3 if number else 0])
    tracks.see(frame, [face(0, 60, 20), face(3, 100, 10)])

    def chosen(policy: str) -> set[int]:
        return set(tracks.rows(policy, "c").track.tolist()) - {-1}

    assert chosen("largest") == {2}
    assert chosen("longest") == {0}
    assert chosen("central") == {1}  # track 3 is closer, but was seen only once
    assert chosen("all") == {0, 1, 2, 3}


def test_all_gives_a_row_for_each_face_and_one_for_each_empty_frame() -> None:
    extractor = looked({0: (50, 40)}, {1: (150, 20)}, {0: (50, 40), 1: (150, 20)}, {}, select="all")
    stream = extractor.finish(Inputs(Clip("c")))
    np.testing.assert_allclose(stream.time, [0, 0.2, 0.4, 0.4, 0.6])
    assert stream.info["row_tracks"] == [0, 1, 0, 1, -1]
    assert stream.mask.tolist() == [True, True, True, True, False]
    assert stream.info["coverage"] == 0.75


def test_a_blurred_face_is_less_sharp() -> None:
    sharp = portrait(224)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    assert sharpness(sharp) > 3 * sharpness(blurred)
    assert sharpness(np.full((32, 32, 3), 80, np.uint8)) == 0


def test_a_window_is_upright_of_so_many_pixels_and_black_beyond_the_picture() -> None:
    image, face = drawn(degrees=20)
    left, top, right, bottom = face.box
    cut = window(image, face, size=100, side=200)
    wanted = np.array([(left + right) / 2 - 100, (top + bottom) / 2 - 100])
    np.testing.assert_allclose(spot(cut, 0) * 2 + wanted, spot(image, 0), atol=2)
    whole = window(image, face, size=120, side=1200)
    assert not whole[:30].any()
    assert whole[60, 60].any()
    extractor = Extractor(Config(size=100, window=200, quality=100))
    extractor.see(Frame(0.0, image), (face,))
    stored = extractor.finish(Inputs(clip=Clip("clip"))).images
    assert stored is not None
    pixels = cv2.imdecode(np.frombuffer(stored[0], np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(pixels.astype(int) - cut).mean() < 4
