"""Where audits come from and are kept: runs, tables, files beside the evaluation; leakage."""

from pathlib import Path

import pandas as pd
import pytest

from tests.audit.people import make
from traitscope.audit import read_audits, save, scored_run, scored_table
from traitscope.audit.calibration import audit_calibration
from traitscope.audit.leakage import audit_leakage
from traitscope.errors import DataError
from traitscope.types import Clip, Corpus, Target


def test_audits_are_kept_beside_the_evaluation(tmp_path: Path) -> None:
    scored = make(people=8)
    for audit in (audit_leakage(scored), audit_calibration(scored, resamples=50)):
        save(audit, tmp_path / "here")
    assert [a.audit for a in read_audits(tmp_path / "here")] == ["calibration", "leakage"]
    assert read_audits(tmp_path / "nowhere") == []
    (tmp_path / "here" / "audit-leakage.json").write_text("[]")
    with pytest.raises(DataError, match=r"audit-leakage\.json was not written by this version"):
        read_audits(tmp_path / "here")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no run\.yaml.*--predictions FILE"):
        scored_run(tmp_path)


def test_leaks_are_counted_by_kind() -> None:
    def clip(name: str, split: str, source: str, subject: str | None = None) -> Clip:
        return Clip(name, source=source, subject=subject, split=split, targets={"x": 0.5})

    clips = (
        clip("a", "train", "s1", "p1"),
        clip("b", "test", "s1", "p1"),
        clip("c", "test", "s2", "p1"),
        clip("d", "test", "s3", "p2"),
    )
    corpus = Corpus("hand", "apparent", (Target("x", 0.0, 1.0, 1),), clips)
    frame = pd.DataFrame({"clip": ["b", "c", "d"], "predicted_x": [0.1, 0.2, 0.3]})
    audit = audit_leakage(scored_table(frame, corpus))
    counts = {leak.kind: leak.clips for leak in audit.findings}
    assert counts["clips from a fitted source"] == 1
    assert counts["clips of a fitted subject"] == 2
    assert counts["clips that were fitted"] == 0
    assert any("2 of 3 scored clips share a subject" in text for text in audit.sentences)


def test_clusters_tie_sources_and_people_together() -> None:
    scored = make(people=7, clips=4)
    assert scored.clusters.max() + 1 == 7
    assert scored.head()["clusters"] == 7
