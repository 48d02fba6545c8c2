"""Frames -> faces with landmarks, pose and track ids; one file per backend."""

import logging
from typing import Literal, Protocol, cast

from traitscope import registry, weights
from traitscope.errors import ConfigError, MissingError
from traitscope.tracking._alignment import alignment, eye_centres
from traitscope.tracking._appearance import describe_face
from traitscope.tracking._canonical import to_front
from traitscope.tracking._detail import DETAILS, Detail
from traitscope.tracking._rotation import to_matrix
from traitscope.types import Face, Frame

Backend = Literal["auto", "mediapipe", "dlib", "haar"]
BACKENDS = ("mediapipe", "dlib", "haar")

__all__ = [
    "BACKENDS",
    "DETAILS",
    "Backend",
    "Detail",
    "FaceTracker",
    "alignment",
    "backend_version",
    "describe_face",
    "eye_centres",
    "open_tracker",
    "resolve_backend",
    "to_front",
    "to_matrix",
]

_log = logging.getLogger(__name__)


class FaceTracker(Protocol):
    """What the file of a backend exports as ``Tracker``, beside its ``VERSION``."""

    def restart(self, detail: Detail = "mesh") -> None:
        """Begin a new clip: nothing of the last one may show in the next one's faces.

        Args:
            detail: what is asked of the faces; ``eyes`` is enough for chips, and takes a fifth of
                the time where the backend can tell eyes without its other points.
        """

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame; times rise within a clip."""

    def notes(self) -> tuple[str, ...]:
        """What was noticed since the clip began that a reader must know, as sentences."""

    def close(self) -> None:
        """Free what the backend holds."""


def resolve_backend(backend: str) -> str:
    """Turn ``auto`` into a backend that works here: MediaPipe if its model file is there, or dlib.

    Raises:
        ConfigError: there is no such backend.
    """
    if backend != "auto":
        if backend not in BACKENDS:
            raise ConfigError(registry.unknown(backend, ["auto", *BACKENDS], "tracking"))
        return backend
    if weights.locate("face_landmarker.task") is None:
        _log.info("Tracking backend: dlib (face_landmarker.task of MediaPipe was not found).")
        return "dlib"
    from traitscope.tracking._graph import load_mediapipe
    from traitscope.tracking._networks import available

    try:
        if not available():
            load_mediapipe()
    except MissingError as error:
        _log.info("Tracking backend: dlib (%s)", error)
        return "dlib"
    _log.info("Tracking backend: mediapipe.")
    return "mediapipe"


def backend_version(backend: str) -> int:
    """The VERSION that the file of a backend states."""
    return int(registry.load("tracking", backend).VERSION)


def open_tracker(backend: str, *, max_faces: int = 3) -> FaceTracker:
    """Open the tracker of a backend; the caller closes it.

    Args:
        backend: a concrete backend or ``auto``.
        max_faces: how many faces of a frame are reported at most.

    Raises:
        MissingError: the backend needs a file, package or system library that is not there.
    """
    module = registry.load("tracking", resolve_backend(backend))
    return cast(FaceTracker, module.Tracker(max_faces=max_faces))
