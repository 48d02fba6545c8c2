from dataclasses import replace

import cv2
import numpy as np
import pytest

from traitscope.extract import _geometry, _proxies
from traitscope.extract.landmarks import TO_68
from traitscope.extract.signals import COLUMNS, SIGNALS, Config, Extractor
from traitscope.tracking._canonical import FACE
from traitscope.tracking._rotation import to_matrix
from traitscope.types import Clip, Face, Frame, Inputs

FRAME = np.zeros((300, 400, 3), np.uint8)


def dlib_face(points: np.ndarray = FACE, pitch=0.0, yaw=0.0, roll=0.0, scale=60.0) -> Face:
    """The mean face (68, 3), turned, as dlib would find it."""
    turned = points @ to_matrix(pitch, yaw, roll).T
    pixels = (turned[:, :2] * scale + [200, 120]).astype(np.float32)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return Face((*low, *high), 1.5, pixels, rotation=(pitch, yaw, roll))


def moved(**shifts: tuple[list[int], tuple[float, float]]) -> np.ndarray:
    """The mean face with some points moved by (x, y)."""
    points = FACE.copy()
    for rows, shift in shifts.values():
        points[rows, :2] += shift
    return points


BROWS = list(range(17, 27))
LOWER_LIP = [*range(55, 60), 65, 66, 67]


@pytest.mark.parametrize(
    ("column", "points", "sign"),
    [
        ("AU01_r", moved(up=(BROWS, (0, -0.08))), 1),
        ("AU02_r", moved(up=(BROWS, (0, -0.08))), 1),
        ("AU04_r", moved(down=(BROWS, (0, 0.08))), 1),
        ("AU12_r", moved(one=([48, 60], (-0.1, -0.08)), other=([54, 64], (0.1, -0.08))), 1),
        ("AU25_r", moved(open=(LOWER_LIP, (0, 0.2))), 1),
        ("AU26_r", moved(open=([*LOWER_LIP, *range(5, 12)], (0, 0.25))), 1),
        ("AU45_r", moved(shut=([37, 38, 43, 44], (0, 0.08))), -1),  # the eye aspect ratio falls
    ],
)
def test_each_movement_shows_in_its_column(column: str, points: np.ndarray, sign: int) -> None:
    rest, active = (_geometry.measure(dlib_face(p))[column] for p in (FACE, points))
    assert sign * (active - rest) > (0.5 if sign > 0 else 0.05)


@pytest.mark.parametrize("scale", [30.0, 150.0])
@pytest.mark.parametrize("pose", [(0.0, 0.0, 0.3), (0.0, 0.35, 0.0), (0.25, 0.0, 0.0)])
def test_size_and_pose_hardly_matter(scale: float, pose: tuple[float, float, float]) -> None:
    rest = _geometry.measure(dlib_face())
    turned = _geometry.measure(dlib_face(FACE, *pose, scale=scale))
    for column in ("AU01_r", "AU04_r", "AU12_r", "AU25_r", "AU26_r"):
        assert turned[column] == pytest.approx(rest[column], abs=0.15)


def test_a_blink_is_measured_against_the_open_eyes_of_the_clip() -> None:
    aspect = np.array([0.3, 0.3, np.nan, 0.15, 0.05, 0.3])
    blink = _geometry.settle(aspect)
    assert blink[[0, 1, 5]].tolist() == [0, 0, 0]
    assert np.isnan(blink[2])
    assert 3 < blink[3] < blink[4] <= 5
    assert np.isnan(_geometry.settle(np.array([np.nan]))).all()


def mesh(points: np.ndarray = FACE) -> np.ndarray:
    """478 points, of which those that stand for the 68 are the mean face's."""
    every = np.zeros((478, 3))
    every[TO_68, :2] = points[:, :2] * 60 + [200, 120]
    return every


def mediapipe_face(rotation=(0.0, 0.0, 0.0), **shapes: float) -> Face:
    every = {name for parts in _proxies.SHAPES.values() for name in parts}
    looks = {f"eyeLook{d}{s}" for d in ("In", "Out", "Up", "Down") for s in ("Left", "Right")}
    return Face(
        (10, 10, 90, 90),
        1.0,
        mesh(),
        blendshapes=dict.fromkeys(every | looks, 0.0) | shapes,
        rotation=rotation,
    )


def test_blendshapes_become_five_times_their_mean() -> None:
    row = _proxies.measure(mediapipe_face(mouthSmileLeft=0.6, mouthSmileRight=0.2, jawOpen=0.5))
    assert row["AU12_r"] == pytest.approx(2.0)
    assert row["AU26_r"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("column", "points"),
    [
        ("AU01_r", moved(up=(BROWS, (0, -0.08)))),
        ("AU02_r", moved(up=(BROWS, (0, -0.08)))),
        ("AU06_r", moved(up=([40, 41, 46, 47], (0, -0.04)))),
        ("AU15_r", moved(down=([48, 54], (0, 0.12)))),
        ("AU20_r", moved(one=([48], (-0.12, 0)), other=([54], (0.12, 0)))),
        ("AU25_r", moved(open=(LOWER_LIP, (0, 0.2)))),
    ],
)
def test_each_movement_of_the_mesh_shows_in_its_column(column: str, points: np.ndarray) -> None:
    faces = [replace(mediapipe_face(), landmarks=mesh(p)) for p in (FACE, points)]
    rest, active = (_proxies.measure(face)[column] for face in faces)
    assert active - rest > 0.5
    assert rest < 2.5


def test_what_hardly_agrees_with_openface_says_so() -> None:
    for name, text in _proxies.PROVENANCE.items():
        if name.startswith("AU"):
            assert (name in _proxies.AGREE) != ("not comparable" in text), name
    assert "height of the inner brows" in _proxies.PROVENANCE["AU01_r"]


def test_gaze_has_openfaces_signs_and_turns_with_the_head() -> None:
    own_left = _proxies.measure(mediapipe_face(eyeLookOutLeft=0.8, eyeLookInRight=0.8))
    assert own_left["gaze_angle_x"] == pytest.approx(0.44, abs=0.01)  # right in the picture
    down = _proxies.measure(mediapipe_face(eyeLookDownLeft=0.8, eyeLookDownRight=0.8))
    assert down["gaze_angle_y"] == pytest.approx(0.44, abs=0.01)
    turned = _proxies.measure(mediapipe_face(rotation=(0.2, 0.3, 0)))
    assert turned["gaze_angle_x"] < -0.25  # a positive yaw faces the left of the picture
    assert turned["gaze_angle_y"] > 0.15  # a positive pitch faces down


def finished(backend: str, *faces: Face | None):
    extractor = Extractor(Config(backend=backend))
    for number, face in enumerate(faces):
        extractor.see(Frame(number / 5, FRAME), () if face is None else (face,))
    return extractor.finish(Inputs(Clip("c")))


@pytest.mark.parametrize(
    ("backend", "face"), [("dlib", dlib_face()), ("mediapipe", mediapipe_face())]
)
def test_rows_without_the_face_are_nan_and_not_valid(backend: str, face: Face) -> None:
    stream = finished(backend, face, None, face)
    assert stream.columns == COLUMNS
    assert stream.mask.tolist() == [True, False, True]
    assert np.isnan(stream.values[1]).all()
    assert stream.values[2, COLUMNS.index("frame")] == 2
    assert stream.values[0, COLUMNS.index("success")] == 1
    assert stream.info["coverage"] == pytest.approx(2 / 3, abs=1e-5)


def test_every_column_says_where_it_comes_from() -> None:
    for backend, face in (("dlib", dlib_face()), ("mediapipe", mediapipe_face())):
        stream = finished(backend, face)
        provenance = stream.info["provenance"]
        assert tuple(provenance) == SIGNALS
        for number, name in enumerate(SIGNALS):
            measured = np.isfinite(stream.values[0, number])
            assert measured == (provenance[name] != "not measured"), name
    assert provenance["AU12_r"] == "mediapipe proxy: 5 x mean(mouthSmileLeft, mouthSmileRight)"


def test_pose_comes_in_radians() -> None:
    stream = finished("dlib", dlib_face(pitch=0.1, yaw=-0.2, roll=0.3))
    pose = stream.values[0, [COLUMNS.index(n) for n in ("pose_Rx", "pose_Ry", "pose_Rz")]]
    np.testing.assert_allclose(pose, [0.1, -0.2, 0.3])
    assert cv2.Rodrigues(to_matrix(*pose))[0].shape == (3, 1)
