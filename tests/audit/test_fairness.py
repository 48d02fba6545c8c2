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
    group = next(g for g in audit["groups"] if g["value"] == value)
    return group["cells"][target][measure]


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
    assert cell(audit, "a", measure="residual")["value"] == pytest.approx(0.1)
    assert cell(audit, "b", measure="residual")["value"] == pytest.approx(-0.2)
    assert cell(audit, "b", measure="error")["value"] == pytest.approx(0.2)
    assert cell(audit, "a")["value"] == pytest.approx(0.3)
    assert cell(audit, "b", measure="error_gap")["value"] == pytest.approx(0.1)


@pytest.mark.parametrize("bias", [0.12, -0.12])
def test_a_planted_bias_is_found_with_its_sign(bias: float) -> None:
    audit = audit_fairness(make(3, bias=bias))
    found = cell(audit, "female")
    assert np.sign(found["value"]) == np.sign(bias)
    assert found["low"] < bias < found["high"]
    assert found["low"] * found["high"] > 0
    assert found["p_holm"] < 0.05
    assert cell(audit, "male")["value"] == pytest.approx(-found["value"], rel=1e-5)
    assert cell(audit, "female", "extraversion")["p_holm"] > 0.05


def test_intervals_cover_0_where_there_is_no_bias() -> None:
    outside, corrected, whole = 0, 0, 0
    for seed in range(8):
        audit = audit_fairness(make(seed), resamples=500, seed=seed)
        gaps = [
            c["residual_gap"] for g in audit["groups"] if "cells" in g for c in g["cells"].values()
        ]
        gaps = [gap for gap in gaps if gap["low"] is not None]
        whole += len(gaps)
        outside += sum(gap["low"] > 0 or gap["high"] < 0 for gap in gaps)
        corrected += sum(gap["p_holm"] < 0.05 for gap in gaps)
    assert whole > 300
    assert outside / whole < 0.08
    assert corrected == 0


def test_small_groups_are_listed_without_numbers() -> None:
    audit = audit_fairness(make(), minimum=150)
    small = [g for g in audit["groups"] if "cells" not in g]
    assert small
    assert all(g["reason"] == "fewer than 150 clips" and g["clips"] < 150 for g in small)
    one = make(people=3, clips=60)
    few = audit_fairness(one, minimum=20)["groups"]
    assert {g["reason"] for g in few} == {"fewer than 5 sources or people"}
    assert any("Only 3 sources or people" in note for note in audit_fairness(one)["notes"])
    assert not any("Only" in note for note in audit_fairness(make(), resamples=50)["notes"])


def test_pairs_of_attributes_are_groups_too() -> None:
    values = {g["value"] for g in audit_fairness(make())["groups"] if "×" in g["attribute"]}
    assert len(values) == 6
    assert any(value.startswith("female ×") for value in values)


def test_numbers_with_many_values_are_cut_into_thirds() -> None:
    groups = [g for g in audit_fairness(make())["groups"] if g["attribute"] == "age"]
    assert len(groups) == 3
    assert sum(g["clips"] for g in groups) == 360
    spans = [tuple(map(int, g["value"].split(" to "))) for g in groups]
    assert spans == sorted(spans)
    assert all(a <= b < c for (a, b), (c, _) in pairwise(spans))


def test_the_audit_never_says_fair() -> None:
    audit = audit_fairness(make())
    said = " ".join(audit["notes"]).lower()
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
    assert [g["value"] for g in audit["groups"]] == ["0", "1", "2"]
    (tmp_path / "other.csv").write_text("clip,x\nnobody,1\n")
    with pytest.raises(DataError, match=r"No row of .*other\.csv belongs to a clip \(such as p0_0"):
        read_attributes(tmp_path / "other.csv", scored.clips)


def test_without_attributes_the_cure_is_named() -> None:
    with pytest.raises(DataError, match=r"--attributes file\.csv"):
        audit_fairness(make(), attributes={})
