"""Groups of people: planted bias with its sign, none where there is none, and never a verdict."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.audit.people import make
from traitscope.audit import scored_table
from traitscope.audit.fairness import audit_fairness, read_attributes
from traitscope.errors import DataError
from traitscope.types import Clip, Corpus, Target


def cell(audit, value: str, target: str = "openness", measure: str = "residual_gap"):
    group = next(g for g in audit.groups if g.value == value)
    return getattr(group.cells[target], measure)


def test_residuals_gaps_and_errors_by_hand() -> None:
    true = [0.2, 0.4, 0.6, 0.8]
    clips = tuple(
        Clip(f"c{i}", split="test", targets={"openness": t}, attributes={"g": "ab"[i % 2]})
        for i, t in enumerate(true * 5)
    )
    corpus = Corpus(
        "hand",
        "apparent",
        (Target("openness", 0.0, 1.0, 1),),
        (*clips, Clip("t", split="train", targets={"openness": 0.5})),
    )
    # a (true .2 and .6) is predicted .1 too high; b exactly, but for one side .2 too low
    score = [(t + 0.1) if i % 2 == 0 else t - 0.2 for i, t in enumerate(true * 5)]
    frame = pd.DataFrame({"clip": [c.id for c in clips], "predicted_openness": score})
    audit = audit_fairness(scored_table(frame, corpus), minimum=5)
    assert cell(audit, "a", measure="residual").value == pytest.approx(0.1)
    assert cell(audit, "b", measure="residual").value == pytest.approx(-0.2)
    assert cell(audit, "b", measure="error").value == pytest.approx(0.2)
    assert cell(audit, "a").value == pytest.approx(0.3)
    assert cell(audit, "b", measure="error_gap").value == pytest.approx(0.1)


@pytest.mark.parametrize("bias", [0.12, -0.12])
def test_a_planted_bias_is_found_with_its_sign(bias: float) -> None:
    audit = audit_fairness(make(3, bias=bias))
    found = cell(audit, "female")
    assert np.sign(found.value) == np.sign(bias)
    assert found.low < bias < found.high
    assert found.low * found.high > 0
    clear = cell(audit, "female", measure="beyond")
    assert np.sign(clear.value) == np.sign(bias)
    assert clear.p_holm < 0.05
    assert cell(audit, "male").value == pytest.approx(-found.value, rel=1e-5)
    assert cell(audit, "male", measure="beyond").p_holm == clear.p_holm
    assert cell(audit, "female", "extraversion", measure="beyond").p_holm > 0.05


def test_intervals_cover_0_where_there_is_no_bias() -> None:
    outside, corrected, whole = 0, 0, 0
    for seed in range(8):
        audit = audit_fairness(make(seed), resamples=500, seed=seed)
        cells = [c for _, own in audit.measured for c in own.values()]
        cells = [c for c in cells if c.residual_gap.low is not None]
        whole += len(cells)
        outside += sum(c.residual_gap.leaves_out(0) for c in cells)
        corrected += sum(c.beyond.holds(0.05) for c in cells)
    assert whole > 300
    assert outside / whole < 0.08
    assert corrected == 0


def by_hand(labels, scores, groups):
    """One clip per person with a label, a score and a group; fitted labels have the mean .5."""
    target = (Target("openness", 0.0, 1.0, 1),)
    clips = tuple(
        Clip(f"c{i}", split="test", targets={"openness": t}, attributes={"g": g})
        for i, (t, g) in enumerate(zip(labels, groups, strict=True))
    )
    fitted = Clip("t", split="train", targets={"openness": 0.5})
    frame = pd.DataFrame({"clip": [c.id for c in clips], "predicted_openness": scores})
    return scored_table(frame, Corpus("hand", "apparent", target, (*clips, fitted)))


def test_gaps_in_labels_predictions_and_of_the_constant_by_hand() -> None:
    # women are labelled .2 higher; scores are a quarter of the label, whoever is scored
    men, women = [0.2, 0.4, 0.6], [0.4, 0.6, 0.8]
    labels = np.array([*men * 8, *women * 8])
    groups = ["m"] * 24 + ["w"] * 24
    audit = audit_fairness(by_hand(labels, 0.375 + 0.25 * labels, groups))
    expected = {
        "label": 0.6,
        "prediction": 0.525,
        "label_gap": 0.2,
        "prediction_gap": 0.05,
        "residual_gap": -0.15,
        "given_label": 0.0,  # equal labels are scored alike
        "given_prediction": 0.0,  # here labels follow from scores, so equal scores do too
        "constant_error_gap": 0.5 / 3 - 0.5 / 3,
        "pearson": 1.0,
        "ccc": 2 * 0.25 / (1 + 0.0625 + 0.075**2 / (0.08 / 3)),
        "beyond": 0.0,
    }
    for measure, value in expected.items():
        assert cell(audit, "w", measure=measure).value == pytest.approx(value, abs=1e-5), measure
    # at equal labels women get .1 more
    biased = 0.375 + 0.25 * labels + 0.1 * (np.array(groups) == "w")
    audit = audit_fairness(by_hand(labels, biased, groups))
    assert cell(audit, "w", measure="given_label").value == pytest.approx(0.1)
    assert cell(audit, "w", measure="given_prediction").value == pytest.approx(0.4)
    assert cell(audit, "w", measure="beyond").value == 0  # .15 is less than the labels' .2


def test_the_constant_has_residual_gaps_but_no_clear_one() -> None:
    rng = np.random.default_rng(0)
    women = np.arange(400) % 2 == 0
    labels = np.where(women, 0.56, 0.5) + rng.normal(0, 0.1, 400)
    groups = ["w" if one else "m" for one in women]
    for scores in (np.full(400, 0.53), 0.53 + 1e-9 * rng.normal(size=400), 0.4 + 0.25 * labels):
        audit = audit_fairness(by_hand(labels, scores, groups))
        gap = cell(audit, "w")
        assert gap.high < 0
        assert cell(audit, "w", measure="beyond").p_holm == 1
        assert "2 of its 2 have an interval without 0" in audit.notes[0]


def test_what_leaves_the_range_of_shrinking_is_clear_on_either_side() -> None:
    rng = np.random.default_rng(0)
    women = np.arange(400) % 2 == 0
    labels = np.where(women, 0.56, 0.5) + rng.normal(0, 0.1, 400)
    groups = ["w" if one else "m" for one in women]
    for bias, clear in ((-0.05, True), (0.03, False), (0.12, True)):
        scores = 0.4 + 0.25 * labels + bias * women + rng.normal(0, 0.03, 400)
        found = cell(audit_fairness(by_hand(labels, scores, groups)), "w", measure="beyond")
        assert (found.p_holm < 0.05) == clear
        assert np.sign(found.value) == (np.sign(bias) if clear else 0)


def test_two_halves_of_an_attribute_are_one_test() -> None:
    audit = audit_fairness(make(), resamples=50)
    # gender 1, age 3, pairs 6 groups; five traits
    assert audit.tests == (1 + 3 + 6) * 5
    assert "over all 50 tests" in audit.notes[1]


def test_small_groups_are_listed_without_numbers() -> None:
    audit = audit_fairness(make(), minimum=150)
    small = [g for g in audit.groups if g.cells is None]
    assert small
    assert all(g.reason == "fewer than 150 clips" and g.clips < 150 for g in small)
    one = make(people=3, clips=60)
    few = audit_fairness(one, minimum=20).groups
    assert {g.reason for g in few} == {"fewer than 5 sources or people"}
    assert any("Only 3 sources or people" in note for note in audit_fairness(one).notes)
    assert not any("Only" in note for note in audit_fairness(make(), resamples=50).notes)


def test_pairs_of_attributes_are_groups_too() -> None:
    values = {g.value for g in audit_fairness(make()).groups if "×" in g.attribute}
    assert len(values) == 6
    assert any(value.startswith("female ×") for value in values)


def test_numbers_with_many_values_are_cut_into_thirds() -> None:
    groups = [g for g in audit_fairness(make()).groups if g.attribute == "age"]
    assert len(groups) == 3
    assert sum(g.clips for g in groups) == 360
    spans = [tuple(map(int, g.value.split(" to "))) for g in groups]
    assert spans == sorted(spans)
    assert all(a <= b < c for (a, b), (c, _) in pairwise(spans))


def test_the_audit_never_says_fair() -> None:
    audit = audit_fairness(make())
    said = " ".join(audit.notes).lower()
    assert "does not show that there is no bias" in said
    assert "fair " not in said
    assert "unbiased" not in said


def test_attributes_come_from_a_table_with_any_id_column(tmp_path: Path) -> None:
    scored = make()
    lines = ["VideoName;Ethnicity", *(f"{c.id}.mp4;{i % 3}" for i, c in enumerate(scored.clips))]
    (tmp_path / "who.csv").write_text("\n".join(lines))
    known = read_attributes(tmp_path / "who.csv", scored.clips)
    assert list(known) == ["Ethnicity"]
    audit = audit_fairness(scored, attributes=known)
    assert [g.value for g in audit.groups] == ["0", "1", "2"]
    (tmp_path / "other.csv").write_text("clip,x\nnobody,1\n")
    with pytest.raises(DataError, match=r"No row of .*other\.csv belongs to a clip \(such as p0_0"):
        read_attributes(tmp_path / "other.csv", scored.clips)


def test_without_attributes_the_cure_is_named() -> None:
    with pytest.raises(DataError, match=r"--attributes file\.csv"):
        audit_fairness(make(), attributes={})


def followers(bias: float, *, slope: float = 0.25, clips: int = 2):
    """People of two clips; women are labelled .06 higher, and scored ``bias`` beyond ``slope``."""
    rng = np.random.default_rng(4)
    women = np.arange(400) % 2 == 0
    own = np.repeat(0.5 + 0.06 * women + rng.normal(0, 0.1, 400), clips)
    is_woman, person = np.repeat(women, clips), np.repeat(np.arange(400), clips)
    labels = own + rng.normal(0, 0.1, len(own))
    scores = 0.4 + slope * own + bias * is_woman + rng.normal(0, 0.03, len(own))
    made = tuple(
        Clip(f"c{i}", subject=f"p{p}", split="test", targets={"x": t}, attributes={"g": "mw"[w]})
        for i, (p, w, t) in enumerate(zip(person, is_woman.astype(int), labels, strict=True))
    )
    fitted = Clip("t", split="train", targets={"x": 0.5})
    frame = pd.DataFrame({"clip": [c.id for c in made], "predicted_x": scores})
    corpus = Corpus("pairs", "apparent", (Target("x", 0.0, 1.0, 1),), (*made, fitted))
    return audit_fairness(scored_table(frame, corpus), resamples=100)


def test_scores_that_follow_the_group_within_the_labels_gap_are_found() -> None:
    biased = followers(0.045)
    gap = cell(biased, "w", "x", "follows")
    assert gap.holds(0.05)
    assert gap.value == pytest.approx(0.045, abs=0.015)
    assert not cell(biased, "w", "x", "beyond").holds(0.05)
    assert any("2 of 2 hold" in note for note in biased.notes)
    # nobody is judged by the group here: shrinking alone, a constant, or scores of pure noise
    for slope in (0.25, 1.0, 0.0):
        assert not cell(followers(0.0, slope=slope), "w", "x", "follows").holds(0.05)


def test_whether_scores_follow_the_group_is_unknown_with_one_clip_each() -> None:
    audit = followers(0.045, clips=1)
    assert cell(audit, "w", "x", "follows") is None
    assert any("is not known here" in note for note in audit.notes)
