"""Synthetic clips that behave in one part alone, and behaviours that follow no trait."""

import csv
from pathlib import Path

import numpy as np
import pytest

from traitscope.corpora.synthetic import Config, episode, generate
from traitscope.corpora.synthetic._motion import Motion, within
from traitscope.errors import ConfigError


def motion(value: float) -> Motion:
    return Motion(*(np.full(50, value) for _ in range(8)))


def test_movements_are_mixed_inside_an_episode_alone() -> None:
    mixed = within(motion(1.0), motion(0.0), (2.0, 3.0), fps=10).smile
    assert mixed[22:29].tolist() == [1.0] * 7
    assert not mixed[:19].any()
    assert not mixed[32:].any()
    assert 0 < mixed[20] < 1  # a face glides


def test_an_episode_lies_inside_its_clip() -> None:
    config = Config(seconds=5, episode=0.4)
    spans = [episode(clip, config) for clip in range(50)]
    assert all(start > 0 and end < 5 for start, end in spans)
    assert np.ptp([start for start, _ in spans]) > 1
    assert {round(end - start, 6) for start, end in spans} == {2.0}
    assert episode(0, Config(seconds=5)) == (0.0, 5)


def test_the_truth_says_when(tmp_path: Path) -> None:
    config = Config(
        subjects=4, sources_per_subject=1, clips_per_source=1, seconds=0.8, fps=10, size=96
    ).model_copy(update={"episode": 0.5, "behaviours": ("smile",), "workers": 1})
    generate(tmp_path / "corpus", config=config)
    with (tmp_path / "corpus-truth" / "episodes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[0]["end"]) - float(rows[0]["start"]) == pytest.approx(0.4)
    with (tmp_path / "corpus-truth" / "behaviours.csv").open(newline="") as file:
        planted = list(csv.DictReader(file))
    assert len({row["smile"] for row in planted}) == 4
    assert {row["brow"] for row in planted} == {"0.2"}
    with pytest.raises((ConfigError, ValueError), match="there is no 'frown'"):
        Config(behaviours=("frown",))
