from pathlib import Path

import pytest

from traitscope import load_corpus, registry
from traitscope.errors import ConfigError, DataError, MissingError


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("clips.csv", r"does not say which corpus.*table:clips\.csv.*There are: .*table"),
        ("/data/fi", "does not say which corpus.*CORPUS:/data/fi"),
        ("C:\\clips\\clips.csv", r"does not say which corpus.*table:C:"),
        ("/odd:place/clips.csv", r"does not say which corpus.*table:/odd:place"),
        ("tabel:clips.csv", "no 'tabel' in corpora. Did you mean 'table'"),
        ("table:", "has no path; write for example table:/data/clips"),
    ],
)
def test_an_address_that_cannot_be_meant_is_an_error(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_corpus(address)


def test_a_table_may_be_on_a_windows_drive_or_have_a_colon() -> None:
    with pytest.raises(DataError, match="There is no table C:"):
        load_corpus("table:C:\\clips.csv")


def test_fi_is_short_for_first_impressions(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(room: str, name: str, **_: bool) -> None:
        asked.append((room, name))
        raise MissingError("enough")

    monkeypatch.setattr(registry, "load", load)
    with pytest.raises(MissingError):
        load_corpus("fi:/data/fi")
    assert asked == [("corpora", "first_impressions")]


def test_a_corpus_from_outside_is_loaded_by_its_dotted_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab/my_corpus.py").write_text(
        "from traitscope.types import Clip, Corpus, Target\n"
        "def load(path):\n"
        "    target = Target('openness', 0, 1, 1)\n"
        "    return Corpus('mine', 'apparent', (target,), (Clip(path.name),))\n"
    )
    (tmp_path / "my_lab/no_corpus.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_corpus("my_lab.my_corpus:/data/mine").clips[0].id == "mine"
    with pytest.raises(ConfigError, match=r"has no function load\(path\)"):
        load_corpus("my_lab.no_corpus:/data/mine")
