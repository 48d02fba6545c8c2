"""Splits as files: written, used again, given by others, refused where they do not fit."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command_line import type_in
from tests.support.prepared import make_corpus
from traitscope import load_corpus
from traitscope.data.manifests import read_manifest, write_manifest
from traitscope.data.protocols import Protocol, each_fold, manifest_facts, split
from traitscope.errors import DataError
from traitscope.types import SPLITS, Corpus


@pytest.fixture
def address(tmp_path: Path) -> str:
    return make_corpus(tmp_path)


def parts(corpus: Corpus, protocol: Protocol) -> dict[str, list[str]]:
    dealt = split(corpus, protocol)
    return {name: [clip.id for clip in dealt.part(name)] for name in SPLITS}


def test_a_written_manifest_gives_the_same_splits(tmp_path: Path, address: str) -> None:
    path, corpus = tmp_path / "m.csv", load_corpus(address)
    random = ["kind=random", "seed=3"]
    assert type_in("corpus", "manifest", address, *random, "--to", path).returncode == 0
    used = Protocol(manifest=str(path))
    assert parts(corpus, used) == parts(corpus, Protocol(kind="random", seed=3))
    assert manifest_facts(used)["manifest"] == f"{path} ({read_manifest(path).mark})"


def test_a_manifest_of_folds_gives_each_fold(tmp_path: Path, address: str) -> None:
    path, corpus = tmp_path / "m.csv", load_corpus(address)
    folds = ["protocol.kind=kfold", "fold=all", "seed=3"]
    assert type_in("corpus", "manifest", address, *folds, "--to", path).returncode == 0
    used = each_fold(Protocol(kind="kfold", fold="all", manifest=str(path)))
    made = each_fold(Protocol(kind="kfold", fold="all", seed=3))
    assert [parts(corpus, each) for each in used] == [parts(corpus, each) for each in made]
    with pytest.raises(DataError, match=r"kind=kfold protocol\.folds=5"):
        split(corpus, Protocol(manifest=str(path)))
    with pytest.raises(DataError, match=r"Say protocol\.folds=5"):
        split(corpus, Protocol(kind="kfold", folds=4, manifest=str(path)))


def test_a_manifest_that_does_not_fit_names_the_clips(tmp_path: Path, address: str) -> None:
    path, corpus = tmp_path / "m.csv", load_corpus(address)
    places = {clip.id: "train" for clip in corpus.clips}
    write_manifest(path, corpus, places)
    first, *others = corpus.clips
    used = Protocol(manifest=str(path))
    with pytest.raises(DataError, match=r"the corpus has not: 1 \(c000\)"):
        split(corpus.with_clips(others), used)
    with pytest.raises(DataError, match=r"lacks clips of the corpus: 1 \(new\)"):
        split(corpus.with_clips([*corpus.clips, replace(first, id="new")]), used)
    labels = dict.fromkeys(first.targets, 0.5)
    with pytest.raises(DataError, match=r"other labels than when it was written: 1 \(c000\)"):
        split(corpus.with_clips([replace(first, targets=labels), *others]), used)


def test_lists_of_others_are_taken_and_an_empty_split_leaves_out(
    tmp_path: Path, address: str
) -> None:
    corpus = load_corpus(address)
    lists = tmp_path / "lists"
    lists.mkdir()
    ids = [clip.id for clip in corpus.clips]
    for name, part in {"train": ids[:20], "val": ids[20:30], "test": ids[30:]}.items():
        lines = [f"data\\{name}\\{clip}.mp4" for clip in part]
        (lists / f"{name}.txt").write_text("\n".join(lines))
    given = parts(corpus, Protocol(manifest=str(lists)))
    assert given == {"train": ids[:20], "validation": ids[20:30], "test": ids[30:]}
    path = tmp_path / "m.csv"
    with path.open("w", newline="") as file:
        rows = [[clip, "" if clip == "c000" else "Test"] for clip in ids]
        csv.writer(file).writerows([["clip", "split"], *rows])
    assert parts(corpus, Protocol(manifest=str(path)))["test"] == ids[1:]


def test_ids_with_a_point_keep_it(tmp_path: Path, address: str) -> None:
    corpus = load_corpus(address)
    corpus = corpus.with_clips([replace(corpus.clips[0], id=f"abc.00{n}") for n in range(3)])
    path = tmp_path / "m.csv"
    path.write_text("clip,split\nabc.000.mp4,train\nabc.001.mp4,test\nabc.002,test\n")
    assert parts(corpus, Protocol(manifest=str(path)))["test"] == ["abc.001", "abc.002"]
