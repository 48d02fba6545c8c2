"""What is read from MediaPipe's memory is what MediaPipe itself would say."""

from pathlib import Path
from types import SimpleNamespace

import mediapipe
import numpy as np
import pytest

from tests.support.media_files import portrait
from traitscope.tracking._graph_results import detect, from_objects

vision = mediapipe.tasks.vision


@pytest.fixture
def open_landmarker(shared_weights: Path):
    opened = []

    def open_one():
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(
                model_asset_buffer=(shared_weights / "face_landmarker.task").read_bytes()
            ),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=2,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        opened.append(vision.FaceLandmarker.create_from_options(options))
        return opened[-1]

    yield open_one
    for landmarker in opened:
        landmarker.close()


def picture(image: np.ndarray) -> mediapipe.Image:
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)


@pytest.mark.shared
@pytest.mark.parametrize("faces", [0, 1, 2])
def test_arrays_are_what_the_objects_say(open_landmarker, faces: int) -> None:
    both = np.concatenate([portrait(300), portrait(300)[:, ::-1]], axis=1)
    shown = np.ascontiguousarray([np.zeros_like(both), portrait(300), both][faces])
    public = open_landmarker()
    of_another_version = SimpleNamespace(detect_for_video=open_landmarker().detect_for_video)
    read = detect(open_landmarker(), picture(shown), 1)
    expected = from_objects(public.detect_for_video(picture(shown), 1))
    assert len(read) == len(expected) == faces
    for given in (read, detect(of_another_version, picture(shown), 1)):
        for one, other in zip(given, expected, strict=True):
            assert one.points.shape == (478, 3)
            np.testing.assert_array_equal(one.points, other.points)
            np.testing.assert_array_equal(one.matrix, other.matrix)
            assert one.blendshapes == other.blendshapes
            assert len(one.blendshapes) == 52


@pytest.mark.shared
def test_arrays_outlive_what_they_were_read_from(open_landmarker) -> None:
    landmarker, shown = open_landmarker(), picture(portrait(300))
    first = detect(landmarker, shown, 1)[0]
    points, matrix = first.points.copy(), first.matrix.copy()
    for time_ms in range(2, 8):
        detect(landmarker, shown, time_ms)
    np.testing.assert_array_equal(first.points, points)
    np.testing.assert_array_equal(first.matrix, matrix)


@pytest.mark.shared
def test_this_version_is_read_from_memory(open_landmarker, monkeypatch) -> None:
    """Slower objects would pass every other test unseen."""
    monkeypatch.setattr(vision.FaceLandmarker, "detect_for_video", None)
    assert len(detect(open_landmarker(), picture(portrait(300)), 1)) == 1
