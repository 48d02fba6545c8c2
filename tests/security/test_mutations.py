import pytest

from benchmarks.endurance.attack import attack
from benchmarks.endurance.targets import TARGETS

CASES = {"unpickler": 300, "words": 200, "pictures": 60, "media": 25, "checkpoint": 40}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damage_of_any_kind_is_an_error_of_ours_or_none(name: str) -> None:
    found = attack(name, range(CASES.get(name, 80)))
    assert not found.crashes
    assert found.outcomes["read"] < found.outcomes.total()  # it does damage
