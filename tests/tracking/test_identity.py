import numpy as np
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
