import json
from pathlib import Path

import pytest

from traitscope.cli import main

DECLARED = """
kind: self_reported
targets:
  neuroticism: {low: 0, high: 1, direction: -1}
  warmth: {low: null, high: null, direction: null}
attributes: [gender]
notes: [Not for hiring.]
"""
TABLE = """clip,source,subject,split,neuroticism,warmth,gender
a,one,s1,train,0.2,-1,f
b,one,s1,train,0.4,,f
c,two,s2,test,0.6,3,
d,one,s1,test,,3,m
"""


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "clips.yaml").write_text(DECLARED)
    (tmp_path / "a.wav").touch()
    path = tmp_path / "clips.csv"
    path.write_text(TABLE)
    return path


def test_labels_without_media_are_a_corpus_with_facts(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("corpus", "check", f"table:{table}", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["clips"], facts["kind"]) == (4, "self_reported")
    without_words = {"transcripts": 0, "empty_transcripts": 0}
    assert facts["splits"] == {
        "train": {"clips": 2, "sources": 1, "subjects": 1, **without_words},
        "test": {"clips": 2, "sources": 2, "subjects": 2, **without_words},
    }
    assert facts["shared"] == {"train and test": {"sources": 1, "subjects": 1}}
    assert facts["missing_media"] == {"count": 3, "first": ["b", "c", "d"]}
    stability, warmth = facts["targets"]
    assert stability["label"] == "neuroticism (high = stable)"
    assert stability["splits"]["train"] == {
        "labels": 2,
        "mean": pytest.approx(0.3),
        "sd": pytest.approx(0.1),
        "icc_within_source": None,
    }
    assert stability["splits"]["test"]["labels"] == 1
    assert (warmth["low"], warmth["direction"]) == (None, None)
    assert facts["attributes"] == {"gender": 3}
    warnings = "\n".join(facts["warnings"])
    assert "No direction is declared for warmth" in warnings
    assert "neuroticism: 1 of 4 clips have no label" in warnings
    assert "train and test: " in warnings


def test_the_facts_are_printed_for_people(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("corpus", "check", f"table:{table}") == 0
    out, err = capsys.readouterr()
    assert err == ""
    for part in [
        "table:clips.csv: 4 clips of 2 sources and 2 people, self-reported traits",
        "Not for hiring.",
        "neuroticism (high = stable)",
        "0.3000 (0.1000, 2)",
        "z-scores",
        "not declared",
        "shared by train and test: 1 sources, 1 subjects",
        "attribute gender: 3 of 4 clips",
        "media: missing for 3 of 4 clips",
    ]:
        assert part in out


def test_what_an_evaluation_could_tell_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips.yaml").write_text(
        "kind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    rows = [f"c{n},p{n // 2},{'test' if n % 4 < 2 else 'train'},0.{n % 7 + 1}" for n in range(80)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip,subject,split,openness", *rows]))
    assert run("corpus", "check", f"table:{tmp_path / 'clips.csv'}", "--json") == 0
    planned = json.loads(capsys.readouterr().out)["planning"]["test"]
    assert planned["clusters"] == 20
    assert set(planned["metrics"]) == {"accuracy", "skill", "ccc", "pearson"}
    assert 0 < planned["metrics"]["ccc"]["half_width"] < 1
    assert run("corpus", "check", f"table:{tmp_path / 'clips.csv'}") == 0
    printed = capsys.readouterr().out
    assert "what an evaluation could tell: macro scores of a model with r = 0.5" in printed
    assert "difference found" in printed


def test_a_split_without_labels_of_a_target_is_printed(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(TABLE.replace("0.6", ""))
    assert run("corpus", "check", f"table:{table}") == 0
    assert "no labels" in capsys.readouterr().out


def test_faults_are_listed_and_the_exit_code_is_2(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(TABLE.replace("0.2", "2").replace("train,0.4", "dev,x"))
    assert run("corpus", "check", f"table:{table}") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "neuroticism: outside 0 to 1: a (2)" in err
    assert "neuroticism: not a number: b (x)" in err
    assert "b ('dev')" in err
