"""Plain recordings without labels: every verb of features works on them, training does not."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.media_files import tone, write_sound, write_video
from traitscope import load_corpus
from traitscope.cli import main
from traitscope.errors import DataError
from traitscope.features.store import Store


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two sounds, one of them without a suffix in a folder below, beside words and a table."""
    folder = tmp_path / "videos"
    (folder / "monday").mkdir(parents=True)
    write_sound(folder / "a.wav", tone(1.0))
    write_sound(folder / "b.wav", tone(1.0)).rename(folder / "monday" / "b")
    (folder / "scores.csv").write_text("a,b\n1,2\n")
    (folder / "monday" / "notes.txt").write_text("words")
    return folder


def stopped(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    code = caught.value.code
    return code if isinstance(code, int) else 0


def test_files_of_all_folders_are_clips_and_the_rest_is_named(recordings: Path) -> None:
    corpus = load_corpus(f"folder:{recordings}")
    assert [(clip.id, clip.path) for clip in corpus.clips] == [
        ("a.wav", recordings / "a.wav"),
        ("monday__b", recordings / "monday" / "b"),
    ]
    assert (corpus.name, corpus.targets) == ("folder:videos", ())
    assert corpus.notes == (
        "There are no labels here: for features only.",
        "Left out: monday/notes.txt (text), scores.csv (a table).",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_are_followed_once(recordings: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    write_video(elsewhere / "c.mp4", frames=3)
    (elsewhere / "round").symlink_to(recordings)
    (recordings / "linked").symlink_to(elsewhere)
    ids = [clip.id for clip in load_corpus(f"folder:{recordings}").clips]
    assert ids == ["a.wav", "linked__c.mp4", "monday__b"]


def test_what_cannot_be_a_corpus_of_recordings_is_an_error(
    recordings: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"There is no folder .*absent"):
        load_corpus(f"folder:{tmp_path / 'absent'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no recordings\. It is empty"):
        load_corpus(f"folder:{tmp_path / 'empty'}")
    (tmp_path / "empty" / "a.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"Left out: a\.csv \(a table\)"):
        load_corpus(f"folder:{tmp_path / 'empty'}")
    write_sound(recordings / "c.wav", tone(0.2)).rename(recordings / "monday__b")
    with pytest.raises(DataError, match="would both be the clip 'monday__b'"):
        load_corpus(f"folder:{recordings}")


def test_features_of_plain_recordings_are_made_shown_and_exported(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, store = f"folder:{recordings}", tmp_path / "store"
    assert stopped("corpus", "check", address) == 0
    assert "Left out: monday/notes.txt (text)" in capsys.readouterr().out
    assert stopped("prepare", address, "--store", store, "--extract", "logmel") == 0
    (key,) = Store(store).fingerprints()
    assert [row.status for row in Store(store).statuses(key).values()] == ["ok", "ok"]
    assert stopped("features", "show", store, "--clip", "monday__b") == 0
    table = tmp_path / "t.csv"
    table.write_text("clip,x\na.wav,1\nmonday__b,2\n")
    capsys.readouterr()
    imported = ("features", "import", store, table, "--name", "mine", "--corpus", address)
    assert stopped(*imported, "--json") == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 2
    written = tmp_path / "out.parquet"
    assert stopped("features", "export", store, "mine", "--parquet", written) == 0
    assert written.is_file()


def test_there_is_nothing_to_train_or_to_score(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, store = f"folder:{recordings}", tmp_path / "store"
    (tmp_path / "t.csv").write_text("clip,x\na.wav,1\nmonday__b,2\n")
    stopped("features", "import", store, tmp_path / "t.csv", "--name", "mine", "--corpus", address)
    settings = ("model.streams=[mine]", f"data.corpus={address}", f"data.store={store}")
    capsys.readouterr()
    assert stopped("train", "functionals", *settings, "--to", tmp_path / "run") == 2
    assert "folder:videos has no labels" in capsys.readouterr().err
    (tmp_path / "p.csv").write_text("clip,predicted_openness\na.wav,0.5\n")
    assert stopped("evaluate", "--predictions", tmp_path / "p.csv", "--labels", address) == 2
    assert "folder:videos has no labels" in capsys.readouterr().err
