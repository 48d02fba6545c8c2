from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.tracking._canonical import FACE, fit_rotation, to_front
from traitscope.tracking._rotation import from_y_up, to_angles, to_matrix

angle = st.floats(-1.2, 1.2)


def project(rotation: np.ndarray, *, width: int = 640, height: int = 480) -> np.ndarray:
    """The mean face as a camera sees it, (68, 2) in pixels."""
    points = FACE @ rotation.T + [0, 0, 10]
    return points[:, :2] / points[:, 2:] * max(width, height) + [width / 2, height / 2]


@given(angle, angle, angle)
def test_angles_and_matrix_are_inverse(pitch: float, yaw: float, roll: float) -> None:
    assert to_angles(to_matrix(pitch, yaw, roll)) == pytest.approx((pitch, yaw, roll), abs=1e-9)


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_a_projected_head_gives_its_rotation_back(pitch: float, yaw: float, roll: float) -> None:
    points = project(to_matrix(pitch, yaw, roll))
    found = to_angles(fit_rotation(points, width=640, height=480))
    assert found == pytest.approx((pitch, yaw, roll), abs=0.01)


def test_the_signs_are_those_of_openface() -> None:
    nose, eyes = 30, slice(36, 48)

    def shift(pitch: float, yaw: float) -> np.ndarray:
        points = project(to_matrix(pitch, yaw, 0))
        return points[nose] - points[eyes].mean(axis=0)

    assert shift(0, 0.3)[0] < shift(0, 0)[0]  # yaw: the nose goes to the left of the picture
    assert shift(0.3, 0)[1] > shift(0, 0)[1]  # pitch: looking down
    rolled = project(to_matrix(0, 0, 0.3))
    assert rolled[45, 1] > rolled[36, 1]  # roll: clockwise in the picture


def test_axes_that_point_up_are_turned_over() -> None:
    flip = np.diag([1.0, -1.0, -1.0])
    rotation = to_matrix(0.1, 0.2, 0.3)
    np.testing.assert_allclose(from_y_up(flip @ rotation @ flip), rotation)


def test_a_turned_face_looks_like_the_same_face_from_the_front() -> None:
    straight = to_front(project(np.eye(3)), (0, 0, 0))
    turned = to_front(project(to_matrix(0.2, 0.3, 0.1)), (0.2, 0.3, 0.1))
    assert np.abs(turned[17:] - straight[17:]).max() < 0.1
    assert np.linalg.norm(turned[42:48].mean(0) - turned[36:42].mean(0)) == pytest.approx(1)


@pytest.mark.shared
def test_a_table_of_openface_has_the_same_signs(shared: Path) -> None:
    table = pd.read_csv(shared / "data/openface/pyfeat_OpenFace_Test.csv", skipinitialspace=True)
    columns = [[f"{axis}_{n}" for n in range(68)] for axis in "xy"]
    points = np.stack([table[c].to_numpy() for c in columns], axis=2)
    ours = np.array([to_angles(fit_rotation(p, width=640, height=360)) for p in points])
    for column, name in enumerate(("pose_Rx", "pose_Ry", "pose_Rz")):
        theirs = table[name].to_numpy()
        assert np.abs(ours[:, column] - theirs).mean() < 0.25
        if name != "pose_Rx":  # the head hardly nods in this clip
            assert np.corrcoef(ours[:, column], theirs)[0, 1] > 0.8
