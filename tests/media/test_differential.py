"""Files made on the spot are read as the ffmpeg program reads them; `benchmarks.media` has all."""

import shutil
from pathlib import Path

import pytest

from benchmarks.media.combinations import COMBINATIONS, Combination, make
from benchmarks.media.comparison import Reading, disagreements, ours, theirs

CHOSEN = (
    "h264 b-frames.ts",
    "mpeg4 b-frames.avi",
    "uneven.mkv",
    "webcam of 1000.webm",
    "bottom first.ts",
    "pal wide.mpg",
    "turned 90.mp4",
    "pictures later.mkv",
    "default is the second.mkv",
    "cover before video.mkv",
    "opposite.m4a",
    "centre of 5.1.ac3",
)


@pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="the programs ffmpeg and ffprobe are not installed",
)
@pytest.mark.parametrize(
    "one", [one for one in COMBINATIONS if one.name in CHOSEN], ids=lambda one: one.name
)
def test_a_file_is_read_as_ffmpeg_reads_it(tmp_path: Path, one: Combination) -> None:
    path = make(one, tmp_path)
    assert disagreements(ours(one, path), theirs(one, path)) == []


def test_there_are_enough_combinations_and_their_names_differ() -> None:
    names = [one.name for one in COMBINATIONS]
    assert len(names) == len(set(names)) >= 40
    assert set(CHOSEN) <= set(names)


def test_every_kind_of_disagreement_is_seen() -> None:
    import numpy as np

    right = Reading(np.arange(3) / 25, (160, 120), 2.0, 0.1)
    assert disagreements(right, right) == []
    wrong = (
        Reading(np.arange(2) / 25, (160, 120), 2.0, 0.1),
        Reading(np.arange(3) / 24, (160, 120), 2.0, 0.1),
        Reading(np.arange(3) / 25, (120, 160), 2.0, 0.1),
        Reading(np.arange(3) / 25, (160, 120), 1.5, 0.1),
        Reading(np.arange(3) / 25, (160, 120), 2.0, 0.05),
    )
    assert [len(disagreements(other, right)) for other in wrong] == [1] * 5
