"""Baselines: values by hand, and that none of them sees a test label."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from traitscope.errors import DataError
from traitscope.evaluation import baselines
from traitscope.types import Clip

TARGETS = ("openness", "neuroticism")


def clip(name: str, source: str, openness: float, **attributes: str | float) -> Clip:
    targets = {"openness": openness, "neuroticism": 1 - openness}
    return Clip(name, source=source, targets=targets, attributes=attributes)


FITTED = [clip("a", "s", 0.2), clip("b", "s", 0.4), clip("c", "t", 0.9)]
TEST = [clip("x", "s", 0.0), clip("y", "t", 0.0), clip("z", "u", 0.0)]


def test_the_constant_is_the_mean_of_the_fitted_clips() -> None:
    assert baselines.constant(FITTED, TEST, TARGETS) == pytest.approx(np.full((3, 2), 0.5))


def test_the_look_up_by_hand() -> None:
    predicted = baselines.lookup(FITTED, TEST, TARGETS)
    assert predicted[:, 0] == pytest.approx([0.3, 0.9, 0.5])
    assert predicted[:, 1] == pytest.approx([0.7, 0.1, 0.5])


def test_the_look_up_shrunk_by_one_clip_by_hand() -> None:
    predicted = baselines.lookup_shrunk(FITTED, TEST, TARGETS, shrinkage=1)
    assert predicted[:, 0] == pytest.approx([(0.6 + 0.5) / 3, (0.9 + 0.5) / 2, 0.5])


def sourced(noise: float, sources: int = 400) -> list[Clip]:
    rng = np.random.default_rng(0)
    return [
        clip(f"c{s}-{i}", f"s{s}", float(mean + rng.normal(0, noise)))
        for s, mean in enumerate(rng.normal(0.5, 0.1, sources))
        for i in range(3)
    ]


def test_shrinkage_follows_how_alike_the_clips_of_a_source_are() -> None:
    # the best k is the variance within sources over the variance between them
    assert baselines.fit_shrinkage(sourced(0.01), TARGETS) == 0
    assert baselines.fit_shrinkage(sourced(0.1), TARGETS) == 1
    assert baselines.fit_shrinkage(sourced(0.2), TARGETS) in {3, 4, 6}


def test_shrinkage_without_siblings_is_one() -> None:
    assert baselines.fit_shrinkage([clip("a", "s", 0.2), clip("b", "t", 0.3)], TARGETS) == 1


def test_a_missing_label_is_left_out() -> None:
    partial = [*FITTED, Clip("d", source="t", targets={"openness": 0.5})]
    predicted = baselines.lookup(partial, TEST, TARGETS)
    assert predicted[1] == pytest.approx([0.7, 0.1])


def test_a_target_nobody_labelled_is_an_error() -> None:
    with pytest.raises(DataError, match="No fitted clip has a label for extraversion"):
        baselines.constant(FITTED, TEST, ("openness", "extraversion"))


def attributed(number: int, seed: int) -> list[Clip]:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(number):
        gender, age = rng.choice(["female", "male"]), float(rng.normal(40, 10))
        level = 0.5 + 0.2 * (gender == "female") + 0.01 * (age - 40)
        extra: dict[str, str | float] = {"gender": str(gender), "code": f"n{seed}-{i}"}
        if i % 10:
            extra["age"] = age
        made.append(clip(f"c{seed}-{i}", f"s{seed}-{i}", level, **extra))
    return made


def test_metadata_finds_what_attributes_explain() -> None:
    fitted, test = attributed(300, 0), attributed(100, 1)
    target = np.array([c.targets["openness"] for c in test])
    predicted = baselines.metadata(fitted, test, TARGETS)[:, 0]
    there = np.array(["age" in c.attributes for c in test])
    assert np.abs(predicted - target)[there].mean() < 0.02
    assert baselines.has_metadata(fitted, test)


def test_attributes_without_meaning_fall_back_to_the_constant() -> None:
    rng = np.random.default_rng(2)
    fitted = [
        clip(f"c{i}", f"s{i}", float(rng.random()), hair=str(rng.choice(["a", "b"])))
        for i in range(200)
    ]
    predicted = baselines.metadata(fitted, fitted, TARGETS)
    assert np.ptp(predicted[:, 0]) < 0.05
    assert not baselines.has_metadata(FITTED, TEST)


def test_an_attribute_that_is_the_same_for_all_is_no_attribute() -> None:
    same = [clip(f"c{i}", f"s{i}", 0.1 * i, age=30.0, hair="a") for i in range(9)]
    assert not baselines.has_metadata(same, same)


def test_permuted_labels_are_fitted_labels_in_another_order() -> None:
    predicted = baselines.permuted(FITTED, TEST, TARGETS, seed=1)
    assert sorted(predicted[:, 0]) == pytest.approx([0.2, 0.4, 0.9])
    assert predicted.sum(axis=1) == pytest.approx(np.ones(3))
    assert baselines.permuted(FITTED, TEST * 3, TARGETS).shape == (9, 2)


@pytest.mark.parametrize(
    "baseline",
    [
        baselines.constant,
        baselines.lookup,
        baselines.lookup_shrunk,
        baselines.metadata,
        baselines.permuted,
    ],
)
def test_no_baseline_sees_a_test_label(
    baseline: Callable[[Sequence[Clip], Sequence[Clip], Sequence[str]], np.ndarray],
) -> None:
    fitted, test = attributed(40, 0), attributed(20, 1)
    blind = [replace(c, targets={}) for c in test]
    seen = baseline(fitted, test, TARGETS)
    assert seen.shape == (20, 2)
    assert (seen == baseline(fitted, blind, TARGETS)).all()
