"""``compare``: what is printed of differences, equivalence and seeds."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.support.evaluated_systems import frame
from tests.support.prepared import make_corpus
from traitscope.cli import main


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_equivalence_families_and_seeds_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = make_corpus(tmp_path / "corpus", clips=60)
    seeds = [frame(address, "test", seed=seed).assign(seed=seed) for seed in range(2)]
    pd.concat(seeds).to_csv(tmp_path / "a.csv", index=False)
    seeds[0].to_csv(tmp_path / "b.csv", index=False)
    given = ["compare", tmp_path / "a.csv", tmp_path / "b.csv", "--labels", address]
    assert run(*given, "--margin", "0.5") == 0
    printed = capsys.readouterr()
    assert "a.csv (mean of 2 seeds)" in printed.out
    assert "p (not within 0.5)" in printed.out
    assert "the 5 tests of 1 pair and 5 targets; those of macro scores are a family of 1" in (
        printed.out.replace("\n", " ")
    )
    assert "is seed 0 of" in printed.err.replace("\n", " ")
    assert run(*given, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["margin"] == 0.02
    assert all(each["p_equivalent"] is not None for each in found["differences"])
    assert run(*given, "--margin", "-1") == 2
    assert "The margin -1 must be a positive number" in capsys.readouterr().err
