"""MediaPipe's own graph of the networks in ``face_landmarker.task``, through its Tasks API.

It stands in for `_engine` where LiteRT is not installed, and it is what the engine is measured
against. It gives no score for a face it has found, so confidence is always 1.

While fewer faces are in sight than it may report, the graph looks for faces in every picture. With
room for one face only it would not, but it then smooths points over time: on a talking face at 5
pictures per second they move by 1 to 2 % of the face's width, head turns fit a little worse, and a
second face goes unseen. Of a whole picture it sees faces from a tenth of its side on; parts are
seen by a second landmarker, which keeps nothing from picture to picture.
"""

import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import finalize

import numpy as np

from traitscope.errors import MissingError
from traitscope.tracking._boxes import box_of
from traitscope.tracking._detail import Detail
from traitscope.tracking._engine import CLOSE_CONFIDENCE, CONFIDENCE, STALE_SECONDS
from traitscope.tracking._graph_results import Found, detect, from_objects
from traitscope.tracking._quiet import quiet
from traitscope.tracking._rotation import from_y_up, to_angles
from traitscope.tracking._second_look import Window
from traitscope.types import Face, Frame

_BLACK = np.zeros((64, 64, 3), dtype=np.uint8)
_FORGETTING = 2
"""Black pictures shown between two clips: the first may still be searched where a face was."""


class Graph:
    """Find the faces of one clip after another."""

    def __init__(self, model: bytes, *, max_faces: int) -> None:
        self._model, self._max_faces = model, max_faces
        self._free: Callable[[], Any] = lambda: None
        self._free_close: Callable[[], Any] = lambda: None
        self._close_landmarker: Any = None
        self._open()

    def restart(self, detail: Detail) -> None:
        """Begin a new clip: forget the faces of the last one; their points are always read.

        The landmarker keeps where faces were; in black pictures it loses them, and then gives
        the same as a new one, which would take ten times as long.
        """
        self._forget()
        self._began_ms = self._last_ms + 1

    def follow(self, frame: Frame, *, cut: bool) -> list[Face]:
        """Faces of the next picture of the clip; it searches each, so a cut changes nothing."""
        time_ms = round(frame.time * 1000) + 1
        if self._began_ms + time_ms - self._last_ms > 1000 * STALE_SECONDS:
            self._forget()
        width, height = frame.size
        results = self._detect(frame.image, self._began_ms + time_ms)
        return [_face(result, (0, 0, width, height)) for result in results]

    def closely(self, frame: Frame, window: Window) -> list[Face]:
        """Faces in a part of a picture; their rotation is as seen from the middle of the part."""
        if self._close_landmarker is None:  # most clips never need it
            with quiet():
                self._close_landmarker = self._create("IMAGE", CLOSE_CONFIDENCE)
                self._free_close = finalize(self, _close, self._close_landmarker)
                self._close_landmarker.detect(_picture(_BLACK))
        # MediaPipe reads memory, not strides.
        part = np.ascontiguousarray(frame.part(window))
        results = from_objects(self._close_landmarker.detect(_picture(part)))
        return [_face(result, window) for result in results]

    def keep(self, faces: Iterable[Face]) -> None:
        """Nothing to keep: a landmarker follows only what it has found itself."""

    def close(self) -> None:
        """Free the landmarkers."""
        self._free()
        self._free_close()

    def _forget(self) -> None:
        # A landmarker cannot be told to forget; what it does not find, it forgets.
        for _ in range(_FORGETTING):
            lost = not self._detect(_BLACK, self._last_ms + 1)
        if not lost:
            self._open()

    def _open(self) -> None:
        self._free()
        self._last_ms, self._began_ms = -1, 0
        with quiet():
            self._landmarker = self._create("VIDEO", CONFIDENCE)
            self._free = finalize(self, _close, self._landmarker)
            # the first picture makes the graph start, and log
            self._detect(_BLACK, 0)

    def _create(self, mode: str, confidence: float) -> Any:
        mediapipe = load_mediapipe()
        _outlive_profiling()
        vision = mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=self._model),
            running_mode=vision.RunningMode[mode],
            num_faces=self._max_faces,
            min_face_detection_confidence=confidence,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        return vision.FaceLandmarker.create_from_options(options)

    def _detect(self, image: Any, time_ms: int) -> list[Found]:
        self._last_ms = max(time_ms, self._last_ms + 1)  # must rise, also at 1000 frames/s
        return detect(self._landmarker, _picture(image), self._last_ms)


def _picture(image: Any) -> Any:
    mediapipe = load_mediapipe()
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)


def _face(result: Found, window: Window) -> Face:
    """A face in pixels of the picture, from shares of a part of it."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    # Shares of width, height, and again width: depth is in the scale of x.
    points = result.points * np.array([width, height, width], dtype=np.float32)
    points += np.array([left, top, 0], dtype=np.float32)
    return Face(
        box=box_of(points),
        confidence=1.0,
        landmarks=points,
        blendshapes=result.blendshapes,
        rotation=to_angles(from_y_up(result.matrix[:3, :3])),
    )


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
