"""What MediaPipe found in a picture, as arrays, read from where MediaPipe wrote it.

The landmarker itself makes a Python object of each of the 478 points, half a millisecond for each
face. Here they are read at once, with the types of MediaPipe's own module. A version that keeps
them elsewhere is asked for its objects: slower, the same numbers.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Found(NamedTuple):
    """One face: points (478, 3) as shares of the picture, blendshapes, matrix (4, 4)."""

    points: NDArray[np.float32]
    blendshapes: dict[str, float]
    matrix: NDArray[np.float32]


def detect(landmarker: Any, picture: Any, time_ms: int) -> list[Found]:
    """Find the faces of the next picture of a video."""
    try:
        from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC

        library, handle, image = landmarker._lib, landmarker._handle, picture._image_ptr
        find = library.MpFaceLandmarkerDetectForVideo
        free = library.MpFaceLandmarkerCloseResult
    except (ImportError, AttributeError):
        return from_objects(landmarker.detect_for_video(picture, time_ms))
    result = MpFaceLandmarkerResultC()
    find(handle, image, None, time_ms, ctypes.byref(result))
    try:
        return [_read(result, number) for number in range(result.face_landmarks_count)]
    finally:
        free(ctypes.byref(result))


def from_objects(result: Any) -> list[Found]:
    """Turn what `detect_for_video` gives into arrays."""
    return [
        Found(
            np.array([(p.x, p.y, p.z) for p in points], dtype=np.float32),
            {shape.category_name: float(shape.score) for shape in shapes},
            np.asarray(matrix),
        )
        for points, shapes, matrix in zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        )
    ]


def _read(result: Any, number: int) -> Found:
    """Copy one face: the memory is MediaPipe's, and is freed."""
    points, shapes = result.face_landmarks[number], result.face_blendshapes[number]
    kind = points.landmarks._type_
    floats = ctypes.cast(points.landmarks, ctypes.POINTER(ctypes.c_float))
    # The structure has more fields than x, y, z, and another version may have others between.
    rows = np.ctypeslib.as_array(
        floats, shape=(points.landmarks_count, ctypes.sizeof(kind) // ctypes.sizeof(ctypes.c_float))
    )
    columns = [getattr(kind, name).offset // ctypes.sizeof(ctypes.c_float) for name in "xyz"]
    named = [shapes.categories[place] for place in range(shapes.categories_count)]
    return Found(
        rows[:, columns],
        {shape.category_name.decode(): shape.score for shape in named},
        result.facial_transformation_matrixes[number].to_numpy(),
    )
