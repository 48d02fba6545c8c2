"""Clips in processes: some together where that pays, one by one where that ended a worker."""

from pathlib import Path

import pytest

from tests.support.expressions import DIE, evaluate_all, unless_there
from traitscope.features.dealing import _groups, deal, failure_of
from traitscope.features.extraction import clips_at_once
from traitscope.features.pool import Crash
from traitscope.features.request import make_request
from traitscope.types import Clip

GREEDY = "[0] * 10**18"


def test_tasks_are_done_together_and_come_back_with_their_places() -> None:
    tasks = [f"{number} ** 2" for number in range(7)]
    alone = list(deal(evaluate_all, tasks, workers=0))
    assert alone == [(number, (number**2, 1)) for number in range(7)]
    by_three = list(deal(evaluate_all, tasks, workers=0, together=3))
    assert [result[1] for _, result in by_three] == [3, 3, 3, 3, 3, 3, 1]
    assert [result[0] for _, result in by_three] == [number**2 for number in range(7)]


def test_no_worker_is_left_idle_by_a_group_that_holds_all_tasks() -> None:
    assert [len(group) for group in _groups(8, workers=2, together=100)] == [2, 2, 2, 2]
    assert [len(group) for group in _groups(7, workers=0, together=100)] == [7]
    assert [len(group) for group in _groups(3, workers=8, together=100)] == [1, 1, 1]


def test_a_task_that_ends_its_worker_costs_those_beside_it_nothing(tmp_path: Path) -> None:
    tasks = ["1", "2", DIE, "4", unless_there(tmp_path / "tried", DIE)]
    results = dict(deal(evaluate_all, tasks, workers=1, together=2))
    assert results == {0: (1, 2), 1: (2, 2), 2: Crash("signal 9"), 3: (4, 1), 4: (7, 1)}


def test_memory_that_one_task_lacks_is_a_failure_of_that_task_alone() -> None:
    results = dict(deal(evaluate_all, ["1", GREEDY, "3"], workers=0, together=3))
    assert results[0][0] == 1
    assert results[2][0] == 3
    failure = failure_of(Clip("b"), results[1])
    assert failure is not None
    assert failure.status == "out_of_memory"
    assert failure_of(Clip("a"), results[0]) is None


@pytest.mark.parametrize(
    ("requests", "worth"),
    [
        ({"short_term": {}}, 1),
        ({"text_counts": {}}, 1),
        ({"text_embedding": {}}, 64),
        ({"text_embedding": {}, "text_counts": {}}, 64),
        ({"text_embedding": {}, "short_term": {}}, 1),
        ({"embedding": {}}, 1),
        ({"embedding": {"source": "frames", "frames": {"rule": "even", "count": 6}}}, 10),
    ],
)
def test_clips_are_extracted_together_where_only_an_encoder_takes_time(requests, worth) -> None:
    assert clips_at_once([make_request(*item) for item in requests.items()]) == worth
