"""MediaPipe's face landmarker in tracking mode: 478 points, 52 blendshapes, head rotation.

Needs ``face_landmarker.task`` (``traitscope weights fetch face_landmarker.task``). The model gives
no score for a face it has found, so confidence is always 1.

While fewer faces are in sight than it may report, the landmarker looks for faces in every picture,
which takes 0.9 of its 6.5 ms. With room for one face only it would not, but it then smooths points
over time: on a talking face at 5 pictures per second they move by 1 to 2 % of the face's width,
head turns fit a little worse, and a second face goes unseen. Smaller pictures save nothing:
resizing takes as long as MediaPipe gains.
"""

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import close, dup, dup2
from typing import Any
from weakref import finalize

import numpy as np

from traitscope import weights
from traitscope.errors import MissingError
from traitscope.tracking._identity import Linker
from traitscope.tracking._mediapipe_results import Found, detect
from traitscope.tracking._rotation import from_y_up, to_angles
from traitscope.types import Face, Frame

VERSION = 2

WEIGHTS = "face_landmarker.task"

_BLACK = np.zeros((64, 64, 3), dtype=np.uint8)
_FORGETTING = 2
"""Black pictures shown between two clips: the first may still be searched where a face was."""

_STALE_SECONDS = 0.7
"""After a longer pause the place of a face says nothing: a moved head would be found twice."""

_NOISE = (b"W0000 ", b"I0000 ", b"INFO: ", b"WARNING: All log", b"WARNING: Logging before")


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        self._model = weights.find(WEIGHTS).read_bytes()
        self._max_faces = max_faces
        self._free: Callable[[], Any] = lambda: None
        self._linker, self._last_ms, self._began_ms = Linker(), -1, 0
        self._open()

    def restart(self) -> None:
        """Begin a new clip: forget faces and ids of the last one.

        The landmarker keeps where faces were; in black pictures it loses them, and then gives
        the same as a new one, which would take ten times as long.
        """
        self._linker = Linker()
        self._forget()
        self._began_ms = self._last_ms + 1

    def _forget(self) -> None:
        for _ in range(_FORGETTING):
            lost = not self._detect(_BLACK, self._last_ms + 1)
        if not lost:
            self._open()

    def _open(self) -> None:
        self.close()
        self._last_ms, self._began_ms = -1, 0
        mediapipe = load_mediapipe()
        _outlive_profiling()
        vision = mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=self._model),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=self._max_faces,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with _quiet():
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
            self._free = finalize(self, _close, self._landmarker)
            # the first picture makes the graph start, and log
            self._detect(_BLACK, 0)

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        time_ms = round(frame.time * 1000) + 1
        if self._began_ms + time_ms - self._last_ms > 1000 * _STALE_SECONDS:
            self._forget()
        found = self._detect(frame.image, self._began_ms + time_ms)
        height, width = frame.image.shape[:2]
        scale = np.array([width, height, width], dtype=np.float32)
        points = [face.points * scale for face in found]
        boxes = [_box(p) for p in points]
        return tuple(
            Face(
                box=box,
                confidence=1.0,
                landmarks=landmarks,
                track=track,
                blendshapes=face.blendshapes,
                rotation=to_angles(from_y_up(face.matrix[:3, :3])),
            )
            for box, landmarks, track, face in zip(
                boxes, points, self._linker.assign(frame.time, boxes), found, strict=True
            )
        )

    def close(self) -> None:
        """Free the landmarker."""
        self._free()

    def _detect(self, image: Any, time_ms: int) -> list[Found]:
        mediapipe = load_mediapipe()
        self._last_ms = max(time_ms, self._last_ms + 1)  # must rise, also at 1000 frames/s
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        return detect(self._landmarker, picture, self._last_ms)


def load_mediapipe() -> Any:
    """Import MediaPipe, or say what its import lacks.

    Raises:
        MissingError: the package or a system library is not installed.
    """
    try:
        import mediapipe
    except OSError as error:
        raise MissingError(
            f"MediaPipe cannot be loaded ({error}). Install its system libraries with: "
            f"apt-get install libegl1 libgles2"
        ) from error
    except ModuleNotFoundError as error:
        if error.name != "mediapipe":
            raise
        raise MissingError(
            "The mediapipe backend needs the package 'mediapipe', which is not installed. "
            "Install it with: pip install 'mediapipe>=1.0'"
        ) from error
    return mediapipe


def _outlive_profiling() -> None:
    """Ignore the profiling signal, which MediaPipe sends to its threads and which ends a program.

    MediaPipe asks the system to ignore it, unseen by Python: whoever puts back the handlers that
    Python knows of, as Lightning does after each fit, would let the next picture end the program.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGPROF"):
        return
    if signal.getsignal(signal.SIGPROF) is signal.SIG_DFL:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)


def _close(landmarker: Any) -> None:
    """Close a landmarker, also of a program that ends without closing it."""
    try:
        landmarker.close()
    except RuntimeError:
        # its worker thread has ended with the program; without this its __del__ prints a traceback
        landmarker._handle = None


def _box(points: Any) -> tuple[float, float, float, float]:
    left, top = points[:, :2].min(axis=0)
    right, bottom = points[:, :2].max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what MediaPipe logs on stderr when it starts; let other lines through."""
    try:
        real = dup(2)
    except OSError:  # a program without stderr
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        dup2(held.fileno(), 2)
        try:
            yield
        finally:
            dup2(real, 2)
            held.seek(0)
            kept = [line for line in held if not line.startswith(_NOISE)]
            with open(real, "wb", closefd=False) as stderr:
                stderr.writelines(kept)
            close(real)
