"""MediaPipe's face landmarker in tracking mode: 478 points, 52 blendshapes, head rotation.

Needs ``face_landmarker.task`` (``traitscope weights fetch face_landmarker.task``). The model gives
no score for a face it has found, so confidence is always 1.

While fewer faces are in sight than it may report, the landmarker looks for faces in every picture,
which takes 0.9 of its 6.5 ms. With room for one face only it would not, but it then smooths points
over time: on a talking face at 5 pictures per second they move by 1 to 2 % of the face's width,
head turns fit a little worse, and a second face goes unseen. Smaller pictures save nothing:
resizing takes as long as MediaPipe gains.

Of a whole picture it sees faces from a tenth of its side on. Smaller ones are found by a second
landmarker in parts of the picture, which keeps nothing from picture to picture.
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
from traitscope.tracking._boxes import Box, overlap
from traitscope.tracking._mediapipe_results import Found, detect, from_objects
from traitscope.tracking._people import People
from traitscope.tracking._rotation import from_y_up, to_angles
from traitscope.tracking._second_look import SAME_FACE, Places, Schedule, Window, around, tiles
from traitscope.tracking._uprightness import quarter_turns
from traitscope.types import Face, Frame

VERSION = 3

WEIGHTS = "face_landmarker.task"

_BLACK = np.zeros((64, 64, 3), dtype=np.uint8)
_FORGETTING = 2
"""Black pictures shown between two clips: the first may still be searched where a face was."""

_STALE_SECONDS = 0.7
"""After a longer pause the place of a face says nothing: a moved head would be found twice."""

_CONFIDENCE = 0.5
"""MediaPipe's own, for whole pictures."""

_CLOSE_CONFIDENCE = 0.6
"""Of many small parts, one or the other holds what looks a little like a face."""

_ROOM = 1.0
"""Around a known face on each side, in face sizes: as far as it moves between two looks."""

_NOISE = (b"W0000 ", b"I0000 ", b"INFO: ", b"WARNING: All log", b"WARNING: Logging before")


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        self._model = weights.find(WEIGHTS).read_bytes()
        self._max_faces = max_faces
        self._free: Callable[[], Any] = lambda: None
        self._free_close: Callable[[], Any] = lambda: None
        self._close_landmarker: Any = None
        self._last_ms, self._began_ms = -1, 0
        self._begin()
        self._open()

    def restart(self) -> None:
        """Begin a new clip: forget faces and ids of the last one.

        The landmarker keeps where faces were; in black pictures it loses them, and then gives
        the same as a new one, which would take ten times as long.
        """
        self._begin()
        self._forget()
        self._began_ms = self._last_ms + 1

    def _begin(self) -> None:
        self._people, self._places, self._schedule = People(), Places(), Schedule()

    def _forget(self) -> None:
        for _ in range(_FORGETTING):
            lost = not self._detect(_BLACK, self._last_ms + 1)
        if not lost:
            self._open()

    def _open(self) -> None:
        self._free()
        self._last_ms, self._began_ms = -1, 0
        with _quiet():
            self._landmarker = self._create("VIDEO", _CONFIDENCE)
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

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        time_ms = round(frame.time * 1000) + 1
        if self._began_ms + time_ms - self._last_ms > 1000 * _STALE_SECONDS:
            self._forget()
        height, width = frame.image.shape[:2]
        whole = (0, 0, width, height)
        results = self._detect(frame.image, self._began_ms + time_ms)
        faces = [_face(result, whole) for result in results]
        faces += self._look_again(frame.image, faces)
        self._places.update([face.box for face in faces], (width, height))
        return self._people.see(frame, faces[: self._max_faces])

    def notes(self) -> tuple[str, ...]:
        """What was noticed in the clip that a reader must know."""
        return self._people.notes()

    def close(self) -> None:
        """Free the landmarkers."""
        self._free()
        self._free_close()

    def _look_again(self, image: Any, faces: list[Face]) -> list[Face]:
        """Faces that the look at the whole picture missed."""
        height, width = image.shape[:2]
        again: list[Face] = []
        for place in self._places.without([face.box for face in faces], (width, height)):
            near = self._near(image, place)
            if near is not None and _is_new(near, [*faces, *again]):
                again.append(near)
        if faces or again:
            self._schedule.saw()
        elif self._schedule.due():
            again = self._search(image)
            if not again and self._schedule.may_be_turned:
                self._turn(image)
        return again

    def _near(self, image: Any, place: Box) -> Face | None:
        """The face around a place, the one that overlaps it most; None if there is none."""
        height, width = image.shape[:2]
        faces = self._look_closely(image, around(place, width, height, room=_ROOM))
        best = max(faces, key=lambda face: overlap(face.box, place), default=None)
        return best if best is not None and overlap(best.box, place) > 0 else None

    def _search(self, image: Any) -> list[Face]:
        """Small faces in tiles of a picture, each seen again with itself in the middle."""
        height, width = image.shape[:2]
        confirmed: list[Face] = []
        for tile in tiles(width, height):
            for face in self._look_closely(image, tile):
                if _is_new(face, confirmed):
                    near = self._near(image, face.box)
                    if near is not None and _is_new(near, confirmed):
                        confirmed.append(near)
        return confirmed

    def _turn(self, image: Any) -> None:
        """Note whether a face is there when the picture is turned."""
        for turns in (2, 1, 3):
            turned = np.ascontiguousarray(np.rot90(image, turns))
            height, width = turned.shape[:2]
            faces = self._look_closely(turned, (0, 0, width, height))
            if any(quarter_turns(turned, face) == 0 for face in faces):
                self._people.saw_turned(turns)
                return

    def _look_closely(self, image: Any, window: Window) -> list[Face]:
        """Faces in a part of a picture; their rotation is as seen from the middle of the part."""
        if self._close_landmarker is None:  # most clips never need it
            with _quiet():
                self._close_landmarker = self._create("IMAGE", _CLOSE_CONFIDENCE)
                self._free_close = finalize(self, _close, self._close_landmarker)
                self._close_landmarker.detect(_picture(_BLACK))
        left, top, right, bottom = window
        part = np.ascontiguousarray(image[top:bottom, left:right])
        results = from_objects(self._close_landmarker.detect(_picture(part)))
        return [_face(result, window) for result in results]

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
    points = result.points * np.array([width, height, width], dtype=np.float32)
    points += np.array([left, top, 0], dtype=np.float32)
    return Face(
        box=_box(points),
        confidence=1.0,
        landmarks=points,
        blendshapes=result.blendshapes,
        rotation=to_angles(from_y_up(result.matrix[:3, :3])),
    )


def _is_new(face: Face, others: list[Face]) -> bool:
    return all(overlap(face.box, other.box) <= SAME_FACE for other in others)


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
