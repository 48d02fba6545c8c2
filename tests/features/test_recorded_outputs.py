"""A changed output needs a higher VERSION, on whatever processor the change was made.

After raising VERSION, record what the extractor (or ``tracking.dlib``, or ``media``) gives now:

    python -m tests.support.recorded_outputs NAME ...
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.recorded_outputs import (
    EXTRACTORS,
    MEDIA,
    decoded,
    outputs,
    record_of,
    recorded,
    summary,
)
from traitscope import registry

OPTIONAL = dict.fromkeys(("compare", "egemaps", "emobase"), "opensmile")
"""Packages that are not installed everywhere."""

CLOSE = (0.002, 1e-5)
"""Shares of a column's own size, and of the largest column's: above rounding, below a change."""

ROUNDED = dict.fromkeys(("faces", "frames", "embedding", *OPTIONAL), (0.01, 1e-3))
"""Made of pictures, whose colours are rounded to whole numbers, or in single precision."""

PIXELS = 1.5
"""Of a face of 110 px: resizing rounds, and a detector sums in another order."""


def kept(name: str, version: int | None) -> Any:
    before = recorded(name)
    assert before is not None, f"nothing is recorded of {name}: {cure(name)}"
    assert before.get("version") == version, cure(name)
    return before


def cure(name: str) -> str:
    whose = "all extractors that read media" if name == MEDIA else name
    return (
        f"raise VERSION of {whose} if the output changed, then: "
        f"python -m tests.support.recorded_outputs {name}"
    )


def assert_close(now: dict[str, Any], before: dict[str, Any], name: str) -> None:
    assert now.keys() == before.keys(), cure(name)
    numbers = {"mean", "sd"} & now.keys()
    for key in now.keys() - numbers:
        assert now[key] == before[key], f"{key}: {cure(name)}"
    if numbers:
        own, largest = ROUNDED.get(name, CLOSE)
        size = np.abs(before["mean"]) + np.array(before["sd"])
        for key in ("mean", "sd"):
            off = np.abs(np.array(now[key]) - before[key])
            over = off > own * size + largest * size.max()
            assert not over.any(), f"{key} of columns {np.flatnonzero(over)}: {cure(name)}"


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_changed_output_needs_a_higher_version(name: str) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    before = kept(name, registry.load("extract", name).VERSION)
    now = [{"settings": settings, **summary(stream)} for settings, stream in outputs(name)]
    assert len(now) == len(before["cases"]), cure(name)
    for one, other in zip(now, before["cases"], strict=True):
        assert_close(one, other, name)


def test_a_changed_decoder_needs_higher_versions_of_what_reads_it() -> None:
    before, now = kept(MEDIA, None), decoded()
    for key in ("times", "samples_16000", "samples_4000"):
        assert now[key] == pytest.approx(before[key], abs=1e-3), cure(MEDIA)
    # Conversion of colours and the sound codec are not exact to the bit.
    assert now["colours"] == pytest.approx(before["colours"], abs=2.0), cure(MEDIA)
    for key in ("loudness_16000", "loudness_4000"):
        assert now[key] == pytest.approx(before[key], rel=0.02, abs=1e-4), cure(MEDIA)


@pytest.mark.parametrize(
    "backend", ["dlib", "haar", pytest.param("mediapipe", marks=pytest.mark.shared)]
)
def test_a_changed_tracker_needs_a_higher_version(
    backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "mediapipe":
        request.getfixturevalue("shared_weights")
    name = f"tracking.{backend}"
    face = kept(name, registry.load("tracking", backend).VERSION)["face"]
    now = record_of(name)["face"]
    assert now["box"] == pytest.approx(face["box"], abs=2 * PIXELS), cure(name)
    assert len(now["points"]) == len(face["points"]), cure(name)
    if face["points"]:
        off = np.hypot(*(np.array(now["points"]) - face["points"]).T)
        assert off.mean() < PIXELS, cure(name)
    assert (now["rotation"] or []) == pytest.approx(face["rotation"] or [], abs=0.1), cure(name)


def test_what_is_kept_is_small() -> None:
    files = [path for path in Path(__file__).with_name("recorded").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 500_000
