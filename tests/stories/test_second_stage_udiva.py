"""A second stage on UDIVA: windows of sessions scored frame by frame, and people in the end."""

from pathlib import Path

import pytest

from tests.stories import test_udiva_story as udiva
from traitscope import evaluate, load_corpus, train, write_report
from traitscope.prediction.frames import score_frames

pytestmark = pytest.mark.slow

place, address, store = udiva.place, udiva.address, udiva.store


def test_people_of_sessions_are_scored_by_a_second_stage(
    place: Path, address: str, store: Path
) -> None:
    data = [f"data.corpus={address}", f"data.store={store}", *udiva.QUICK]
    features = ["features.frames.rate=2", "features.frames.size=32"]
    run = train("hrnet", [*data, *features, *udiva.SMALL, *udiva.ONE_STAGE], to=place / "first")
    scored = score_frames(run, load_corpus(address), store)
    assert [r.config.name for r in scored.requests] == ["frame_scores", "frame_features"]  # type: ignore[attr-defined]
    second = train("statistics_mlp", [*data, f"data.first_stage={run}"], to=place / "second")
    report = evaluate(second)
    assert report.everything.clips == 5  # people of the test, whatever number of windows they have
    page = write_report([report], place / "page.html")
    assert "statistics_mlp" in Path(page).read_text(encoding="utf-8")
