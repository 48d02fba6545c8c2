import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from traitscope.media.sampling import TOLERANCE_SECONDS, is_wanted, wanted


def test_a_lower_rate_takes_the_frame_on_display_at_each_moment() -> None:
    times = [n / 25 for n in range(25)]
    assert np.nonzero(wanted(times, 5, end=1.0))[0].tolist() == [0, 5, 10, 15, 20]
    # at 0.3333 s the frame of 0.32 s is on display, at 0.6667 s that of 0.64 s
    assert np.nonzero(wanted(times, 3, end=1.0))[0].tolist() == [0, 8, 16]


def test_native_takes_every_frame() -> None:
    assert wanted([0, 0.1, 0.11, 0.5], "native", end=0.6).all()


def test_a_higher_rate_never_delivers_a_frame_twice() -> None:
    assert wanted([0.0, 0.5, 1.0], 10, end=1.5).tolist() == [True, True, True]


def test_a_long_frame_stands_for_all_moments_it_is_on_display() -> None:
    times = [0.0, 0.1, 2.0, 2.1]
    assert wanted(times, 2, end=2.2).tolist() == [True, True, True, False]


def test_times_rounded_to_milliseconds_do_not_lose_frames() -> None:
    times = [round(n / 30, 3) for n in range(30)]
    assert wanted(times, 30, end=1.0).all()
    assert np.nonzero(wanted(times, 5, end=1.0))[0].tolist() == [0, 6, 12, 18, 24]


def test_the_first_frame_stands_in_for_the_start_of_the_clip() -> None:
    assert wanted([0.03, 0.07], 5, end=0.11).tolist() == [True, False]


rising = st.lists(st.floats(0.005, 0.5), min_size=1, max_size=60).map(
    lambda steps: np.concatenate([[0.0], np.cumsum(steps)])
)


@given(rising, st.floats(0.5, 60))
def test_at_each_moment_the_latest_frame_is_delivered(times: np.ndarray, rate: float) -> None:
    end = float(times[-1]) + 0.04
    flags = wanted(list(times), rate, end=end)
    moments = np.arange(0, int(end * rate) + 1) / rate
    moments = moments[moments < end - TOLERANCE_SECONDS]
    latest = np.searchsorted(times, moments + TOLERANCE_SECONDS, side="right") - 1
    slack = np.abs(times[:, None] - TOLERANCE_SECONDS - moments[None, :]).min() > 1e-9
    if slack:
        assert set(np.nonzero(flags)[0]) == set(latest)


@given(st.floats(0, 100), st.floats(0.01, 5), st.floats(0.5, 60))
def test_neighbouring_intervals_want_a_moment_once(
    since: float, length: float, rate: float
) -> None:
    middle, until = since + length, since + 2 * length
    both = is_wanted(since, middle, rate) or is_wanted(middle, until, rate)
    assert both == is_wanted(since, until, rate)
