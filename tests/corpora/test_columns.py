"""Tables whose columns have other names than ours, as questionnaires come out of a spreadsheet."""

from pathlib import Path

import pytest
import yaml

from traitscope import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.types import Corpus

ROWS = (
    "Code;Datei;Alter;Offenheit;Extraversion",
    "Tn01;videos/Tn01_Gespräch1.mp4;22;4,5;3,9",
    "Tn01;videos\\Tn01_Gespräch2.mp4;22;5,0;",
)
SEVEN = {"low": 1, "high": 7, "direction": 1}
COLUMNS = {"path": "Datei", "subject": "Code", "openness": "Offenheit", "age": "Alter"}


def load(folder: Path, columns: object = COLUMNS, rows: tuple[str, ...] = ROWS) -> Corpus:
    (folder / "scores.csv").write_bytes("\r\n".join(rows).encode("cp1252"))
    declared = {
        "kind": "self_reported",
        "columns": columns,
        "targets": {"openness": SEVEN, "extraversion": SEVEN},
        "attributes": ["age"],
    }
    (folder / "clips.yaml").write_text(yaml.safe_dump(declared))
    return load_corpus(f"table:{folder / 'scores.csv'}")


def test_columns_are_called_as_the_declaration_says_and_clips_by_their_files(
    tmp_path: Path,
) -> None:
    corpus = load(tmp_path)
    first, second = corpus.clips
    assert (first.id, first.subject) == ("Tn01_Gespräch1", "Tn01")
    assert first.path == tmp_path / "videos/Tn01_Gespräch1.mp4"
    # "Extraversion" is ours in other letters
    assert first.targets == {"openness": 4.5, "extraversion": 3.9}
    assert first.attributes == {"age": 22}
    assert (second.id, second.targets) == ("Tn01_Gespräch2", {"openness": 5.0})
    assert "No column is called clip: clips are named by their files." in corpus.notes


def test_one_column_may_be_clip_and_subject(tmp_path: Path) -> None:
    rows = ("Code;Offenheit;Extraversion;Alter", "Tn01;4;3;20")
    both = {"clip": "Code", "subject": "Code", "openness": "Offenheit", "age": "Alter"}
    (clip,) = load(tmp_path, both, rows).clips
    assert (clip.id, clip.subject) == ("Tn01", "Tn01")


def test_every_column_that_cannot_be_meant_is_named(tmp_path: Path) -> None:
    columns = {**COLUMNS, "path": "Datein", "rank": "Alter", "extraversion": "Code"}
    rows = (ROWS[0] + ";extraversion", *(row + ";1" for row in ROWS[1:]))
    with pytest.raises(DataError) as caught:
        load(tmp_path, columns, rows)
    for line in (
        "columns: there is no column 'Datein' to be 'path' (is 'Datei' meant?)",
        "columns: 'rank' is no column of ours and not declared",
        "columns: 'Code' cannot be 'extraversion', which the table has already",
    ):
        assert line in str(caught.value)


def test_without_a_declaration_it_asks_which_column_is_which(tmp_path: Path) -> None:
    # Words in a column of a table without ids: that was a traceback.
    rows = tuple(row.replace("Datei", "Film") for row in ROWS)
    (tmp_path / "scores.csv").write_bytes("\r\n".join(rows).encode("cp1252"))
    with pytest.raises(ConfigError) as caught:
        load_corpus(f"table:{tmp_path / 'scores.csv'}")
    shown = str(caught.value)
    assert "  clip: FILL          # the column that names a clip" in shown
    assert "  Offenheit: {low: FILL, high: FILL, direction: FILL}   # found: 4.5 to 5" in shown
    assert "Film: {" not in shown  # it holds no numbers
    template = yaml.safe_load(shown[shown.index("name:") :])
    assert set(template) == {"name", "kind", "columns", "targets", "attributes", "media"}
