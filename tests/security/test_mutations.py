import pytest

from benchmarks.endurance.attack import attack
from benchmarks.endurance.targets import TARGETS

CASES = {"unpickler": 100, "words": 60, "pictures": 20, "media": 8, "checkpoint": 12}
"""On every run, of each target; 25 of others."""
SLOW = {"unpickler": 300, "words": 200, "pictures": 60, "media": 25, "checkpoint": 40}
"""Up to this one where there is time; 80 of others. `benchmarks/endurance` goes on for minutes."""

ONCE = {
    "store": (592, 610, 1237, 1250),  # encrypted, packed otherwise, a bare end of line
    "pictures": (1276,),  # a PNG with a part of gigabytes
    "media": (96, 446, 635, 2622),  # late tracks, a rate without sense, a codec nobody reads
}
"""What crashed once."""


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, seeds in ONCE.items() for seed in seeds]
)
def test_what_crashed_once_is_mended(name: str, seed: int) -> None:
    assert not attack(name, range(seed, seed + 1)).crashes


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damage_of_any_kind_is_an_error_of_ours_or_none(name: str) -> None:
    found = attack(name, range(CASES.get(name, 25)))
    assert not found.crashes
    assert found.outcomes["read"] < found.outcomes.total()  # it does damage


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_more_damage_is_an_error_of_ours_or_none(name: str) -> None:
    assert not attack(name, range(CASES.get(name, 25), SLOW.get(name, 80))).crashes
