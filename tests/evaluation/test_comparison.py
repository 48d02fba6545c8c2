"""Systems side by side: on the clips they share, in pairs, with all that was asked counted."""

import json

import pandas as pd
import pytest

from tests.support.made_systems import FAST, knowing, made_corpus, part_of, row
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.evaluation.comparison import compare_predictions
from traitscope.evaluation.systems import System
from traitscope.types import TRAITS

CORPUS = made_corpus(600, 150)
TEST = part_of(CORPUS)


def test_seeds_are_replicates_and_an_ensemble_is_not_one_of_them() -> None:
    runs = [knowing(TEST, 0.1, seed).assign(seed=seed) for seed in range(3)]
    scores = [f"predicted_{name}" for name in TRAITS]
    mean = runs[0].assign(**{name: sum(run[name] for run in runs) / 3 for name in scores})
    systems = [
        System("seeds", pd.concat(runs)),
        System("one", runs[1]),
        System("ensemble", mean),
    ]
    found = compare_predictions(systems, CORPUS, scoring=FAST)
    assert found.seeds == {"seeds": 3, "one": 1, "ensemble": 1}
    one = evaluate_predictions(runs[1], CORPUS, scoring=FAST)
    assert found.scores["one"]["skill"]["macro"] == row(one, "model").macro("skill").value
    notes = " ".join(found.notes)
    assert "one is seed 1 of seeds" in notes
    assert "ensemble is the ensemble of the seeds of seeds" in notes
    assert "one, ensemble: trained once" in notes
    assert "the 15 tests of 3 pairs and 5 targets" in found.families
    with pytest.raises(ConfigError, match="margin 0 must be a positive number"):
        compare_predictions(systems, CORPUS, scoring=FAST, margin=0)


def test_systems_are_compared_on_the_clips_they_share() -> None:
    systems = [
        System("good", knowing(TEST, 0.03)),
        System("poor", knowing(TEST, 0.12, 1).iloc[10:]),
        System("same", knowing(TEST, 0.12, 1)),
    ]
    report = compare_predictions(systems, CORPUS, scoring=FAST)
    assert report.clips == 110
    assert report.notes == ("poor: 10 of 120 clips have no usable prediction.",)
    found = {(d.first, d.second, d.target): d for d in report.differences if d.metric == "skill"}
    assert len(found) == 18
    assert found["good", "poor", "macro"].low > 0
    assert found["good", "poor", "openness"].p_holm < 0.1
    assert found["good", "poor", "openness"].p_holm > found["good", "poor", "openness"].p
    assert found["poor", "same", "macro"].value == 0
    json.dumps(report.model_dump(mode="json"), allow_nan=False)


def test_systems_that_differ_by_rounding_do_not_differ() -> None:
    one = knowing(TEST, 0.1)
    two = one.copy()
    scores = [name for name in two.columns if name.startswith("predicted_")]
    two[scores] += 2.3e-16
    assert not one.equals(two)
    found = compare_predictions([System("one", one), System("two", two)], CORPUS, scoring=FAST)
    assert {row.p for row in found.differences} == {1.0}
    assert {row.value for row in found.differences} == {0.0}


def test_one_system_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="a comparison takes two or more"):
        compare_predictions([System("a", knowing(TEST, 0.1))], CORPUS)
    halves = [System("a", knowing(TEST[:60], 0.1)), System("b", knowing(TEST[60:], 0.1))]
    with pytest.raises(DataError, match="no clips or no targets in common"):
        compare_predictions(halves, CORPUS)
