"""Verdicts: each kind of system gets the sentence that it deserves, and no other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.made_systems import (
    FAST,
    judge,
    labels_of,
    made_corpus,
    part_of,
    rated_corpus,
    seeing,
    table_of,
)
from traitscope.data.protocols import Protocol, fold_numbers
from traitscope.evaluation import baselines
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.evaluation.report import Report, Verdict
from traitscope.types import TRAITS, Clip, Corpus, Target

CORPUS = made_corpus()
TEST = part_of(CORPUS)
GOOD = seeing(TEST)


def kinds(report: Report) -> list[tuple[str, str]]:
    return [(verdict.kind, verdict.part) for verdict in report.verdicts]


def find(report: Report, kind: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.kind == kind)


def test_a_memoriser_is_worthless_on_unseen_sources_and_no_better_than_a_look_up() -> None:
    fitted = part_of(CORPUS, "train")
    report = judge(CORPUS, baselines.lookup_shrunk(fitted, TEST, TRAITS))
    assert kinds(report) == [("worthless", "source_disjoint"), ("no_better", "all")]
    first, second = report.verdicts
    assert first.text.startswith("On sources never seen in fitting, m is worthless: no better than")
    assert second.against in ("lookup", "lookup_shrunk")
    assert "which sees no video (difference in skill " in second.text


def test_a_constant_is_worthless_because_it_follows_nothing() -> None:
    report = judge(CORPUS, np.full(GOOD.shape, 0.5))
    assert kinds(report) == [("worthless", "source_disjoint"), ("worthless", "all")]
    assert all("the predictions do not vary" in each.text for each in report.verdicts)


def test_a_good_model_is_better_than_the_strongest_baseline() -> None:
    report = judge(CORPUS, GOOD)
    assert kinds(report) == [("better", "source_disjoint"), ("better", "all")]
    # on unseen sources both look-ups are the constant
    assert report.verdicts[1].against in ("lookup", "lookup_shrunk")
    assert report.verdicts[0].against in ("constant", "median")


def test_the_strongest_constant_may_be_the_median() -> None:
    rng = np.random.default_rng(4)
    target = Target("openness", 0, 5, 1)
    clips = tuple(
        Clip(f"c{i}", split="test" if i % 2 else "train", targets={"openness": float(value)})
        for i, value in enumerate(np.minimum(rng.exponential(1.0, 600), 5))
    )
    corpus = Corpus("skewed", "apparent", (target,), clips)
    middle = np.median([clip.targets["openness"] for clip in part_of(corpus, "train")])
    table = pd.DataFrame({"clip": [c.id for c in part_of(corpus)], "predicted_openness": middle})
    report = evaluate_predictions(table, corpus, scoring=FAST)
    # better than the mean, and still but one value for every clip
    assert report.everything.model.macro("skill").low > 0
    assert (report.verdicts[0].kind, report.verdicts[0].against) == ("worthless", "median")


def test_a_system_that_is_spread_too_far_carries_signal_and_is_not_worthless() -> None:
    report = judge(CORPUS, 0.52 + 4 * (seeing(TEST, noise=0.08) - 0.52))
    assert kinds(report)[:2] == [("scale", "source_disjoint"), ("scale", "all")]
    text = report.verdicts[1].text
    assert "carries signal (r ." in text
    assert "(slope; 1 is right)" in text
    assert "worthless" not in " ".join(each.text for each in report.verdicts)


def test_a_shift_is_named_with_its_size() -> None:
    labels = labels_of(TEST)
    report = judge(CORPUS, labels + np.random.default_rng(1).normal(0, 0.05, GOOD.shape) + 0.3)
    text = report.verdicts[1].text
    assert "its mean is off by +0.3 (openness), +0.3 (conscientiousness)" in text
    assert "+0.3 (neuroticism (high = stable))" in text


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        (GOOD * 100, "per cent"),
        (1 + 4 * np.clip(GOOD, 0, 1), "on a scale such as 1 to 5"),
        ((GOOD - 0.52) / 0.1, "z-scores"),
        (2 * np.clip(GOOD, 0, 1) - 1, "on a scale from -1 to 1, or z-scores"),
    ],
)
def test_another_scale_is_guessed_first_of_all(values: np.ndarray, guess: str) -> None:
    report = judge(CORPUS, values)
    first, *rest = report.verdicts
    assert first.kind == "other_scale"
    assert first.targets == TRAITS
    assert f"are they {guess}" in first.text
    assert "% of them outside)" in first.text
    # a skill of -450 would be a number without a meaning
    assert [each.kind for each in rest] == ["scale", "scale"]
    assert not any("skill" in each.text for each in rest)
    assert not any("are they" in warning for warning in report.warnings)


def test_predictions_a_little_outside_are_counted() -> None:
    values = GOOD.copy()
    values[:9, 0] = 1.02
    report = judge(CORPUS, values)
    last = report.verdicts[-1]
    assert (last.kind, last.targets) == ("out_of_range", ("openness",))
    assert "labels in 0 to 1 (5 % of them outside)" in last.text  # 9 of 180


def test_a_trait_that_runs_against_its_labels_is_named() -> None:
    values = GOOD.copy()
    values[:, 4] = 1 - values[:, 4]
    report = judge(CORPUS, values)
    found = find(report, "direction")
    assert found.targets == ("neuroticism",)
    assert "neuroticism (high = stable) (r -." in found.text
    assert "swapped" not in {kind for kind, _ in kinds(report)}


def test_a_system_that_is_turned_around_runs_against_the_labels_and_nothing_is_swapped() -> None:
    report = judge(CORPUS, 1 - GOOD)
    assert kinds(report)[:2] == [("inverted", "source_disjoint"), ("inverted", "all")]
    assert find(report, "direction").targets == TRAITS
    assert "swapped" not in {kind for kind, _ in kinds(report)}


def test_two_traits_that_match_better_swapped_are_named() -> None:
    report = judge(CORPUS, GOOD[:, [0, 3, 2, 1, 4]])
    assert find(report, "swapped").targets == ("conscientiousness", "agreeableness")


def test_chance_alone_is_worthless_and_seldom_suspected() -> None:
    odd = 0
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.52, 0.05, GOOD.shape)
        found = {kind for kind, part in kinds(judge(CORPUS, values)) if part == "all"}
        odd += bool(found & {"direction", "swapped", "better"})
    assert odd <= 1  # one in twenty is what a test at .05 costs
    report = judge(CORPUS, np.random.default_rng(2).normal(0.52, 0.05, GOOD.shape))
    assert "cover 0 as well" in find(report, "worthless").text


def test_few_sources_leave_it_open() -> None:
    few = CORPUS.with_clips([c for c in CORPUS.clips if c.split != "test"] + TEST[:12])
    values = seeing(TEST[:12], noise=0.12)
    report = judge(few, values, TEST[:12])
    assert [each.kind for each in report.verdicts[:2]] == ["undecided", "undecided"]
    assert "12 sources leave open whether it is better" in report.verdicts[1].text
    fewer = CORPUS.with_clips([c for c in CORPUS.clips if c.split != "test"] + TEST[:3])
    text = judge(fewer, values[:3], TEST[:3]).verdicts[-1].text
    assert "3 sources are too few to tell whether m is better" in text


def test_missing_clips_are_scored_as_the_constant_beside() -> None:
    report = judge(CORPUS, GOOD[20:], TEST[20:])
    text = find(report, "missing").text
    labels = labels_of(TEST)
    constant = labels_of(part_of(CORPUS, "train")).mean(axis=0)
    filled = np.concatenate([np.tile(constant, (20, 1)), GOOD[20:]])
    lost, base = abs(labels - filled).mean(axis=0), abs(labels - constant).mean(axis=0)
    skill, accuracy = np.mean(1 - lost / base), 1 - lost.mean()
    assert text.startswith("20 of 180 labelled clips have no score. With the constant in their")
    assert f"accuracy {accuracy:.3f}".replace("0.", ".") in text
    assert f"skill {skill:.3f}".replace("0.", ".") in text


def test_what_a_missing_clip_costs_is_told_of_the_scores_in_the_table() -> None:
    folds = Protocol(kind="kfold", fold="all")
    number = fold_numbers(CORPUS, folds)
    # Each fold's model errs in its own way, so that scores within folds are not those of all.
    values = seeing(CORPUS.clips) + 0.1 * np.array([[number[c.id]] for c in CORPUS.clips])
    table = table_of(CORPUS.clips, values)[20:]
    report = evaluate_predictions(table, CORPUS, name="m", protocol=folds, scoring=FAST)
    own = report.parts["all"].model.metrics["ccc"]["macro"].value
    assert f"instead of {own:.3f}.".replace("0.", ".", 1) in find(report, "missing").text


def test_what_one_seed_scores_stands_beside_their_mean() -> None:
    tables = [table_of(TEST, seeing(TEST, noise=0.1, seed=seed)) for seed in range(5)]
    together = pd.concat([table.assign(seed=seed) for seed, table in enumerate(tables)])
    report = evaluate_predictions(together, CORPUS, name="m", scoring=FAST)
    own = report.parts["source_disjoint"].model.seeds.metrics["skill"]
    text = find(report, "seeds").text
    assert f"one of the 5 seeds alone has skill {own.mean:.3f}".replace("0.", ".", 1) in text


def test_the_ceiling_of_rated_labels_is_what_the_true_scores_reach() -> None:
    corpus = rated_corpus()
    true = labels_of(TEST)  # before raters erred
    report = judge(corpus, true + 0.1)
    labels = labels_of(part_of(corpus))
    for place, found in enumerate(report.ceiling.targets):
        assert found.basis == "3,k"
        assert set(found.icc) == {"1,1", "1,k", "2,1", "2,k", "3,1", "3,k"}
        assert found.r_max.value == pytest.approx(found.icc["3,k"].value ** 0.5)
        reached = np.corrcoef(true[:, place], labels[:, place])[0, 1]
        assert found.r_max.value == pytest.approx(reached, abs=0.03)
        # errors of .1 / sqrt(3) on a range of 3
        assert found.accuracy.value == pytest.approx(1 - 0.798 * 0.0577 / 3, abs=0.002)
        own = report.parts[report.leading].model.metrics["pearson"][found.target].value
        assert found.disattenuated.value == pytest.approx(own / found.r_max.value)
    assert "above_ceiling" not in {kind for kind, _ in kinds(report)}


def test_scores_above_the_ceiling_are_suspected() -> None:
    corpus = rated_corpus()
    found = find(judge(corpus, labels_of(part_of(corpus)) + 1e-3), "above_ceiling")
    assert found.targets == TRAITS
    assert "Has it seen the labels?" in found.text


def test_without_raters_the_ceiling_is_unknown_and_others_are_quoted_where_they_say_so() -> None:
    ceiling = judge(CORPUS, GOOD).ceiling
    assert ceiling.targets == ()
    assert ceiling.text.startswith("Unknown: this corpus holds no ratings of single raters")
    assert "Quoted, and not verified here" in ceiling.text
    other = judge(made_corpus(name="table:own.csv"), GOOD).ceiling
    assert "Quoted" not in other.text


def test_one_general_impression_is_named_where_it_is_all_there_is() -> None:
    impression = np.repeat(GOOD.mean(axis=1, keepdims=True), 5, axis=1)
    report = judge(CORPUS, impression + np.random.default_rng(8).normal(0, 1e-4, GOOD.shape))
    assert find(report, "halo").text.startswith("What it knows is one general impression")
    halo = judge(CORPUS, GOOD).halo
    unseen = [c.id for c in TEST if c.source not in {c.source for c in part_of(CORPUS, "train")}]
    keep = np.array([clip.id in unseen for clip in TEST])
    matrix = np.corrcoef(labels_of(TEST)[keep].T)
    assert halo.labels == pytest.approx(np.linalg.eigvalsh(matrix)[-1] / 5)
    labels, values = labels_of(TEST)[keep], GOOD[keep]
    level = labels_of(part_of(CORPUS, "train")).mean(axis=0)
    t, p, c = (each - each.mean(axis=-1, keepdims=True) for each in (labels, values, level[None]))
    left = np.mean(1 - abs(t - p).sum(axis=0) / abs(t - c).sum(axis=0))
    assert halo.skill.value == pytest.approx(left)
    assert halo.skill.low > 0


def test_subjects_that_nobody_knows_are_said() -> None:
    assert any("not person-disjoint" in warning for warning in judge(CORPUS, GOOD).warnings)
    people = [replace(clip, subject=clip.source) for clip in CORPUS.clips]
    report = judge(CORPUS.with_clips(people), GOOD)
    assert not any("not person-disjoint" in warning for warning in report.warnings)


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_predictions_that_are_all_but_the_labels_are_suspected_first(noise: float) -> None:
    labels = labels_of(TEST)
    report = judge(CORPUS, labels + np.random.default_rng(2).normal(0, noise, labels.shape))
    first = report.verdicts[0]
    assert (first.kind, first.targets) == ("above_ceiling", TRAITS)
    assert "were labels read where predictions should be?" in first.text
