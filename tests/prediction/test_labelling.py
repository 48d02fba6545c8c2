"""The traits of a clip in every row of its OpenFace table."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.openface_tables import clip_name, write_table
from traitscope.cli import main
from traitscope.errors import ConfigError, DataError
from traitscope.features.preparation import prepare
from traitscope.prediction.clips import predict
from traitscope.prediction.openface import label_rows
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train
from traitscope.types import TRAITS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ridge on OpenFace's signals of a long table."""
    folder = tmp_path_factory.mktemp("openface")
    address = f"openface:{write_table(folder / 'rows.csv', clips=96)}"
    settings = ["model.streams=[signals]", "features.signals.backend=openface"]
    from traitscope.corpora import load_corpus

    prepare(load_corpus(address), requests_for("functionals", settings), store=folder / "store")
    data = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    return train("functionals", [*data, *settings], to=folder / "run")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_gets_the_scores_of_its_clip_and_keeps_its_cells(
    run: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "new.csv", clips=3, first=100)
    predictions = label_rows(load(run), table, tmp_path / "out" / "labelled.csv")
    before, after = read(table), read(tmp_path / "out" / "labelled.csv")
    assert len(before) == len(after) == 3 * 45
    assert [p.clip for p in predictions] == [clip_name(100 + n) for n in range(3)]
    scores = {p.clip: p.scores for p in predictions}
    assert len({p.scores["openness"] for p in predictions}) == 3
    for old, new in zip(before, after, strict=True):
        assert {key: new[key] for key in old} == old
        for trait in TRAITS:
            assert float(new[f"predicted_{trait}"]) == pytest.approx(
                scores[new["File"]][trait], abs=1e-6
            )


def test_a_table_is_scored_without_writing_it_too(run: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", clips=2, first=50)
    labelled = label_rows(load(run), table, tmp_path / "labelled.csv")
    assert predict(run, table) == labelled
    assert [p.coverage["signals"] for p in labelled] == [7 / 8] * 2  # at five per second


def test_scores_carry_what_was_planted(run: Path, tmp_path: Path) -> None:
    import numpy as np

    table = write_table(tmp_path / "new.csv", clips=20, first=200)
    rows = {row["File"]: row for row in read(table)}
    found = {p.clip: p.scores for p in predict(run, table)}
    for trait, column in zip(
        TRAITS, ("openness", "conscientiousness", "extroversion"), strict=False
    ):
        true = [float(rows[name][column]) for name in found]
        assert np.corrcoef(true, [scores[trait] for scores in found.values()])[0, 1] > 0.6


def test_a_clip_without_a_face_has_empty_cells_and_a_reason(run: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", clips=2, first=10)
    rows = read(table)
    for row in rows[:45]:
        row["success"] = "0"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    predictions = label_rows(load(run), table, tmp_path / "labelled.csv")
    assert [p.status for p in predictions] == ["no_face", "ok"]
    after = read(tmp_path / "labelled.csv")
    assert after[0]["predicted_openness"] == ""
    assert after[-1]["predicted_openness"] != ""


def test_a_table_of_one_clip_needs_no_names(run: Path, tmp_path: Path) -> None:
    rows = read(write_table(tmp_path / "long.csv", clips=1, first=7))
    path = tmp_path / "one.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        kept = [name for name in rows[0] if name not in {"ID", "File"}]
        file.write(", ".join(kept) + "\n")
        for row in rows:
            file.write(", ".join(row[name] for name in kept) + "\n")
    predictions = label_rows(load(run), path, tmp_path / "labelled.csv")
    assert [(p.clip, p.status) for p in predictions] == [("one.csv", "ok")]
    first, second = (tmp_path / "labelled.csv").read_text().splitlines()[:2]
    assert first.startswith("split, frame, timestamp")
    assert second.endswith(f"{predictions[0].scores['neuroticism']:.6f}")


def test_what_cannot_be_done_is_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "new.csv", clips=1)
    with pytest.raises(ConfigError, match="would overwrite"):
        label_rows(load(run), table, table)
    label_rows(load(run), table, tmp_path / "labelled.csv")
    with pytest.raises(DataError, match="has predicted_agreeableness"):
        label_rows(load(run), tmp_path / "labelled.csv", tmp_path / "again.csv")
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(run), str(table), str(table), "--label-rows", str(tmp_path / "x.csv")])
    assert stopped.value.code == 2
    assert "takes one OpenFace table" in capsys.readouterr().err


def test_the_verb_writes_the_table(run: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", clips=1)
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(run), str(table), "--label-rows", str(tmp_path / "x.csv"), "--json"])
    assert not stopped.value.code
    assert len(read(tmp_path / "x.csv")) == 45


def test_semicolons_stay_semicolons(run: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", clips=2, first=30)
    plain = label_rows(load(run), table, tmp_path / "plain.csv")
    text = table.read_text().replace(",", ";").replace(".", ",").replace(",000,mp4", ".000.mp4")
    other = tmp_path / "semicolons.csv"
    other.write_text(text.replace(",001,mp4", ".001.mp4"), encoding="utf-8-sig")
    again = label_rows(load(run), other, tmp_path / "labelled.csv")
    assert [replace(one, path=str(table)) for one in again] == plain
    before = other.read_text(encoding="utf-8-sig").splitlines()
    after = (tmp_path / "labelled.csv").read_text(encoding="utf-8").splitlines()
    assert all(new.startswith(f"{old};") for old, new in zip(before, after, strict=True))
    assert after[1].endswith(f"{plain[0].scores['neuroticism']:.6f}".replace(".", ","))


def test_rows_that_moved_are_refused_before_any_score(run: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", clips=1)
    table.write_text(table.read_text().replace("\n", ",\n").replace(",\n", "\n", 1))
    with pytest.raises(DataError, match=r"more cells than columns .*: row 2,"):
        label_rows(load(run), table, tmp_path / "labelled.csv")
    with pytest.raises(DataError, match=r"more cells than columns .*: row 2,"):
        predict(run, table)
