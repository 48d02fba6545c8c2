"""Several corpora as one: ranges, directions, domains, and a training on both."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.support.prepared import history, make_corpus, make_store
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.training.fitting import train

BOTH = "corpora: ['table:a/clips.csv', 'table:b/clips.csv']\n"


def table(
    folder: Path,
    rows: dict[str, dict[str, float]],
    *,
    low: float | None = 0,
    high: float | None = 1,
) -> Path:
    """A table whose neuroticism points the other way where its range is another one."""
    folder.mkdir()
    names = sorted({name for row in rows.values() for name in row})
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "split", *names])
        writer.writerows([clip, "train", *map(row.get, names)] for clip, row in rows.items())
    flipped = high == 1
    targets = {
        name: {
            "low": low,
            "high": high,
            "direction": -1 if name == "neuroticism" and flipped else 1,
        }
        for name in names
    }
    facts = {"name": folder.name, "kind": "apparent", "targets": targets}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    return folder


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Two tables of other ranges, directions and targets, one id in both, and the file."""
    table(tmp_path / "a", {"one": {"openness": 0.5, "neuroticism": 0.25}})
    other = {"openness": 4.0, "neuroticism": 2.5, "interview": 7.0}
    table(tmp_path / "b", {"one": other, "two": other}, low=1, high=7)
    (tmp_path / "both.yaml").write_text(BOTH)
    return tmp_path


def test_labels_come_into_the_range_and_direction_of_the_first(both: Path) -> None:
    corpus = load_corpus(f"joined:{both / 'both.yaml'}")
    assert [clip.id for clip in corpus.clips] == ["one", "one__2", "two"]
    assert [clip.attributes["domain"] for clip in corpus.clips] == ["a", "b", "b"]
    assert corpus.clips[0].targets == {"openness": 0.5, "neuroticism": 0.25}
    # 4 of 1..7 is the middle; 2.5 is a quarter, of the opposite.
    assert corpus.clips[1].targets == pytest.approx(
        {"openness": 0.5, "neuroticism": 0.75, "interview": 7.0}
    )
    ranges = {t.name: (t.low, t.high, t.direction) for t in corpus.targets}
    assert ranges["neuroticism"] == (0, 1, -1)
    assert ranges["interview"] == (1, 7, 1)
    assert any("1 ids stood in two corpora" in note for note in corpus.notes)


def test_what_cannot_be_joined_is_refused(both: Path) -> None:
    facts = both / "b" / "clips.yaml"
    text = facts.read_text()
    address = f"joined:{both / 'both.yaml'}"
    facts.write_text(text.replace("direction: 1", "direction: null", 3))
    with pytest.raises(DataError, match=r"Whether a high .* is not said in b"):
        load_corpus(address)
    facts.write_text(text.replace("low: 1", "low: null").replace("high: 7", "high: null"))
    with pytest.raises(DataError, match=r"a range in one corpus and is a z-score in another \(b\)"):
        load_corpus(address)
    facts.write_text(text.replace("kind: apparent", "kind: self_reported"))
    with pytest.raises(ConfigError, match=r"a is apparent, b is self_reported.*kind: apparent"):
        load_corpus(address)
    (both / "both.yaml").write_text(f"kind: self_reported\n{BOTH}")
    assert load_corpus(address).kind == "self_reported"
    (both / "both.yaml").write_text("corpora: ['table:a/clips.csv', 'my_lab.mine:b']\n")
    with pytest.raises(ConfigError, match=r"both\.yaml names 'my_lab\.mine'"):
        load_corpus(address)


def test_a_run_learns_from_both(tmp_path: Path) -> None:
    make_corpus(tmp_path / "a", clips=20)
    text = (tmp_path / "a" / "clips.csv").read_text()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "clips.csv").write_text(text.replace("\nc", "\nd").replace(",s0", ",t0"))
    (tmp_path / "b" / "clips.yaml").write_text((tmp_path / "a" / "clips.yaml").read_text())
    (tmp_path / "both.yaml").write_text(BOTH)
    address = f"joined:{tmp_path / 'both.yaml'}"
    make_store(tmp_path / "store", address, streams=["mid_term"])
    settings = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}"]
    settings += ["train.epochs=1", "trainer.tensorboard=false"]
    run = train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    used = (run / "clips.csv").read_text()
    assert "c000" in used
    assert "d000" in used
    (row,) = history(run)
    assert np.isfinite(float(row["train_loss"]))
