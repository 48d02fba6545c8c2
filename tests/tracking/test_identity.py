from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.tracking._identity import MAX_GAP_SECONDS, Linker


def box(x: float, y: float = 100, size: float = 80):
    return (x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def test_two_people_keep_their_ids_whatever_the_order() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100), box(300)]) == (0, 1)
    assert linker.assign(0.2, [box(310), box(95)]) == (1, 0)
    assert linker.assign(0.4, [box(320)]) == (1,)
    assert linker.assign(0.6, [box(100), box(325)]) == (0, 1)


def test_an_id_survives_a_short_gap_and_not_a_long_one() -> None:
    linker = Linker()
    linker.assign(0.0, [box(100)])
    for number in range(1, 15):  # 2.8 s without the face, seen five times a second
        linker.assign(number / 5, [])
    assert linker.assign(MAX_GAP_SECONDS, [box(120)]) == (0,)
    for number in range(16, 31):
        linker.assign(number / 5, [])
    assert linker.assign(2 * MAX_GAP_SECONDS + 0.2, [box(120)]) == (1,)


def test_looks_far_apart_see_the_same_person_who_may_be_away_for_two() -> None:
    linker = Linker()
    for number in range(6):
        assert linker.assign(10.0 * number, [box(100 + number)]) == (0,)
    for time in (60.0, 70.0):
        linker.assign(time, [])
    assert linker.assign(80.0, [box(100)]) == (0,)
    for time in (90.0, 100.0, 110.0):
        linker.assign(time, [])
    assert linker.assign(120.0, [box(100)]) == (1,)


def test_a_jump_across_the_picture_is_somebody_else() -> None:
    linker = Linker()
    linker.assign(0.0, [box(100)])
    assert linker.assign(0.2, [box(300)]) == (1,)


def test_after_a_cut_the_place_of_a_face_says_nothing() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100)]) == (0,)
    assert linker.assign(0.2, [box(100)], cut=True) == (1,)
    assert linker.assign(0.4, [box(102)]) == (1,)


def test_a_face_of_another_size_is_somebody_else() -> None:
    linker = Linker()
    linker.assign(0.0, [box(100, size=40)])
    assert linker.assign(0.2, [box(100, size=160)]) == (1,)


def test_a_frame_without_faces_is_no_problem() -> None:
    linker = Linker()
    assert linker.assign(0.0, []) == ()
    assert linker.assign(0.2, [box(1)]) == (0,)


@given(st.lists(st.lists(st.floats(0, 1000), max_size=4), max_size=10))
def test_no_id_is_given_twice_in_a_frame(frames: list[list[float]]) -> None:
    linker = Linker()
    for number, centres in enumerate(frames):
        ids = linker.assign(number / 5, [box(x) for x in centres])
        assert len(set(ids)) == len(ids) == len(centres)


@given(st.lists(st.floats(-15, 15), min_size=2, max_size=30))
def test_a_slowly_moving_face_is_one_track(steps: list[float]) -> None:
    linker = Linker()
    ids = {linker.assign(n / 5, [box(500 + x)])[0] for n, x in enumerate(np.cumsum(steps))}
    assert ids == {0}


@dataclass
class Seen:
    """A look at a person (a place in the space of people) before a scene."""

    person: float | None
    scene: int = 0
    size: tuple[int, int] = (640, 480)
    asked: list[int] = field(default_factory=list)

    @property
    def impression(self) -> np.ndarray:
        return np.eye(9)[self.scene]

    @property
    def descriptor(self) -> np.ndarray | None:
        self.asked.append(1)
        return None if self.person is None else np.array([self.person, 0.0])

    def keep(self) -> None:
        pass


ANNA, BEN = 0.0, 0.7


def test_a_cut_to_another_person_at_the_same_place_is_another_id() -> None:
    linker = Linker()
    for number in range(5):
        assert linker.assign(number / 5, [box(100)], [Seen(ANNA)]) == (0,)
    for number in range(5, 10):
        assert linker.assign(number / 5, [box(102)], [Seen(BEN, scene=1)]) == (1,)
    assert linker.assign(2.0, [box(100)], [Seen(ANNA + 0.1, scene=2)]) == (0,)


def test_a_jump_cut_leaves_a_person_who_they_are() -> None:
    linker = Linker()
    for number in range(20):
        where, size = (100, 80) if number % 2 else (500, 240)
        look = Seen(ANNA + 0.02 * number, scene=number % 9)
        assert linker.assign(number / 5, [box(where, size=size)], [look]) == (0,)


def test_two_people_who_change_places_at_a_cut_keep_their_ids() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100), box(400)], [Seen(ANNA), Seen(BEN)]) == (0, 1)
    after = [Seen(BEN + 0.1, scene=1), Seen(ANNA - 0.1, scene=1)]
    assert linker.assign(0.2, [box(100), box(400)], after) == (1, 0)


def test_who_comes_back_after_a_long_gap_is_known_again() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100)], [Seen(ANNA)]) == (0,)
    for number in range(1, 100):
        assert linker.assign(number / 5, [box(400)], [Seen(BEN)]) == (1,)
    assert linker.assign(20.0, [box(150)], [Seen(ANNA)]) == (0,)


def test_pictures_that_change_their_size_leave_people_where_they_are() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100), box(300)], [Seen(ANNA), Seen(BEN)]) == (0, 1)
    halved = [Seen(None, size=(320, 240)) for _ in range(2)]
    boxes = [box(50, 50, size=40), box(150, 50, size=40)]
    assert linker.assign(0.2, boxes, halved) == (0, 1)


def test_where_place_is_sure_nobody_is_described() -> None:
    linker = Linker()
    looks = []
    for number in range(200):
        pair = [Seen(ANNA), Seen(BEN)]
        looks += pair
        linker.assign(number / 5, [box(100 + number % 7), box(300)], pair)
    assert not any(look.asked for look in looks)


def test_a_face_too_small_to_describe_goes_by_its_place() -> None:
    linker = Linker()
    assert linker.assign(0.0, [box(100)], [Seen(None)]) == (0,)
    assert linker.assign(0.2, [box(100)], [Seen(None, scene=1)]) == (0,)
    assert linker.assign(0.4, [box(300)], [Seen(None, scene=2)]) == (1,)


def test_a_person_first_seen_badly_after_a_cut_is_known_a_little_later() -> None:
    linker = Linker()
    for number in range(10):
        linker.assign(number / 5, [box(100)], [Seen(ANNA)])
    blurred = Seen(ANNA + 0.6, scene=1)
    assert linker.assign(2.0, [box(110)], [blurred]) == (1,)
    ids = [linker.assign(n / 5, [box(110)], [Seen(ANNA, scene=1)])[0] for n in range(11, 20)]
    assert ids == [1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_new_person_is_described_a_few_times_and_then_no_more() -> None:
    linker = Linker()
    linker.assign(0.0, [box(100)], [Seen(ANNA)])
    looks = [Seen(BEN, scene=1) for _ in range(100)]
    ids = {linker.assign(1 + n / 5, [box(100)], [look])[0] for n, look in enumerate(looks)}
    assert ids == {1}
    assert 1 <= sum(bool(look.asked) for look in looks) <= 3


def test_a_crowd_does_not_fill_the_memory() -> None:
    linker = Linker()
    for number in range(200):
        person = 10.0 * number
        assert linker.assign(5.0 * number, [box(100)], [Seen(person, number % 9)]) == (number,)
    assert len(linker._tracks) < 30


@pytest.mark.parametrize("others", [0, 1, 2])
def test_ids_are_unique_whoever_is_alike(others: int) -> None:
    linker = Linker()
    for number in range(30):
        looks = [Seen(0.01 * n, scene=(number + n) % 3) for n in range(1 + others)]
        ids = linker.assign(number / 5, [box(100 * (n + 1)) for n in range(1 + others)], looks)
        assert len(set(ids)) == len(ids)
