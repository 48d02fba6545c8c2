"""The time of a training is that of all its sittings."""

import os
import time
from pathlib import Path

import pytest

from traitscope.experiments.sittings import sit, spent_on
from traitscope.files import write_json


def test_a_killed_sitting_counts_up_to_its_last_sign_of_life(tmp_path: Path) -> None:
    run = tmp_path / "seed-0"
    epoch = run / "plots" / "epoch.png"
    begun = time.time()

    def killed() -> None:
        epoch.parent.mkdir(parents=True)
        for file, seconds in ((run / "run.yaml", 1), (epoch, 100)):
            file.write_text("x")
            os.utime(file, (begun + seconds, begun + seconds))
        raise KeyboardInterrupt

    assert spent_on(run) == 0
    with pytest.raises(KeyboardInterrupt):
        sit(run, killed)
    assert 0 < spent_on(run) <= 100  # less what passed before the work began
    before = spent_on(run)
    whole = sit(run, lambda: write_json(run / "metrics.json", {}))
    assert whole >= before
    assert spent_on(run) == whole
    assert sit(run, lambda: None) >= whole


def test_a_sitting_that_left_nothing_took_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        sit(tmp_path / "seed-0", lambda: 1 / 0)
    assert spent_on(tmp_path / "seed-0") == 0
