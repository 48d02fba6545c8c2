"""First Impressions: labels in every layout, and every fault named."""

import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.label_files import KEYS, make_first_impressions, write_labels, write_transcripts
from traitscope import load_corpus
from traitscope.corpora import first_impressions
from traitscope.errors import DataError
from traitscope.types import TRAITS

A, B, C = "-bcdefghij_.000.mp4", "-bcdefghij_.001.mp4", "_BCDEFGHIJK.003.mp4"
VALUES = {key: round(0.1 * place, 1) for place, key in enumerate(KEYS, 1)}


def small(folder: Path) -> Path:
    """One clip in each split; the first two are of one source."""
    for split, clip in (("train", A), ("validation", B), ("test", C)):
        write_labels(folder, split, {clip: VALUES})
    return folder


def test_labels_alone_are_a_corpus(tmp_path: Path) -> None:
    corpus = load_corpus(f"fi:{small(tmp_path)}")
    assert (corpus.name, corpus.kind, corpus.aggregate) == ("first_impressions", "apparent", "clip")
    assert corpus.target_names == TRAITS
    assert [(c.id, c.split, c.source) for c in corpus.clips] == [
        (A, "train", "-bcdefghij_"),
        (B, "validation", "-bcdefghij_"),
        (C, "test", "_BCDEFGHIJK"),
    ]
    assert corpus.clips[0].targets == VALUES
    assert (corpus.clips[0].path, corpus.clips[0].transcript) == (None, None)


def test_neuroticism_is_stability_and_the_interview_comes_on_request(tmp_path: Path) -> None:
    corpus = first_impressions.load(small(tmp_path))
    assert corpus.target("neuroticism").label == "neuroticism (high = stable)"
    assert [corpus.target(name).direction for name in TRAITS] == [1, 1, 1, 1, -1]
    assert all((t.low, t.high) == (0, 1) for t in corpus.targets)
    assert corpus.target("interview") not in corpus.targets
    assert any("decide about people" in note for note in corpus.notes)
    assert any("CC BY-NC" in note for note in corpus.notes)


LAYOUTS: dict[str, tuple[str, dict[str, str]]] = {
    "labels and videos side by side": (".", {A: ".", B: ".", C: "."}),
    "folders per split": ("annotation", {A: "train", B: "valid", C: "test"}),
    "long names, capitals": ("Annotations", {A: "Training", B: "VALIDATION", C: "Test"}),
    "labels two levels down": ("meta/annotation", {A: "train", B: "val", C: "test"}),
    "a folder per zip": ("annotation", {A: "train/training80_01", B: "val/v/x", C: "test/test_1"}),
    "a training clip in the wrong folder": ("annotation", {A: "Validation", B: "train", C: "x"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_videos_are_found_and_the_split_is_the_labels(tmp_path: Path, layout: str) -> None:
    labels, videos = LAYOUTS[layout]
    small(tmp_path / labels)
    for clip, folder in videos.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / clip).touch()
        (tmp_path / folder / f"._{clip}").touch()
    corpus = first_impressions.load(tmp_path)
    assert [clip.split for clip in corpus.clips] == ["train", "validation", "test"]
    for clip in corpus.clips:
        assert clip.path == tmp_path / videos[clip.id] / clip.id
        assert clip.path.is_file()


def test_some_videos_and_strangers_are_counted(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / A).touch()
    (tmp_path / "holiday.mp4").touch()
    corpus = first_impressions.load(tmp_path)
    assert [clip.path is not None for clip in corpus.clips] == [True, False, False]
    assert "1 videos have no labels and are left out: holiday.mp4." in corpus.notes


def test_zips_alone_are_an_error_that_shows_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "training80_01.zip").touch()
    with pytest.raises(DataError, match=r"Zips are not read") as caught:
        first_impressions.load(folder)
    assert f"unzip -n -q '{folder}/*.zip' -d '{folder}'" in str(caught.value)


def test_labels_beside_zips_are_a_corpus_with_a_note(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "test_1.zip").touch()
    notes = " ".join(first_impressions.load(tmp_path).notes)
    assert f"unzip -n -q '{tmp_path}/*.zip' -d {tmp_path}" in notes


def test_a_folder_without_labels_or_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no label files \(annotation_training.pkl"):
        first_impressions.load(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        first_impressions.load(tmp_path / "no")
    small(tmp_path / "a/b/c")
    with pytest.raises(DataError, match="two levels down"):
        first_impressions.load(tmp_path)


def test_one_split_alone_is_a_corpus_with_a_note(tmp_path: Path) -> None:
    write_labels(tmp_path, "train", {A: VALUES})
    corpus = first_impressions.load(tmp_path)
    assert "There are no label files of validation and test." in corpus.notes


def test_copies_of_a_label_file_must_be_equal(tmp_path: Path) -> None:
    small(tmp_path / "annotation")
    small(tmp_path / "Annotations")
    assert len(first_impressions.load(tmp_path).clips) == 3
    write_labels(tmp_path / "Annotations", "test", {C: {**VALUES, "openness": 0.9}})
    with pytest.raises(DataError, match=r"two different label files of test: .*annotation_test"):
        first_impressions.load(tmp_path)


def test_transcripts_are_read_as_utf_8_or_latin_1_and_may_be_empty(tmp_path: Path) -> None:
    small(tmp_path)
    write_transcripts(tmp_path, "train", {A: "It’s -- well ... [UNKNOWN] " + "and so on " * 40})
    write_transcripts(tmp_path, "validation", {B.removesuffix(".mp4"): ""})
    (tmp_path / "transcription_test.pkl").write_bytes(
        b"\x80\x02}U\x13" + C.encode() + b"U\x04caf\xe9s."
    )
    texts = [clip.transcript for clip in first_impressions.load(tmp_path).clips]
    assert texts[0] is not None
    assert texts[0].startswith("It’s -- well ... [UNKNOWN] and")
    assert texts[1:] == ["", "café"]


def test_age_gender_and_ethnicity_become_attributes(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "eth_gender_annotations_dev.csv").write_text(
        f"VideoName;Ethnicity;Gender\n{A};2;1\n{B};3;2\nstranger_xx.000.mp4;1;1\n"
    )
    (tmp_path / "eth_gender_annotations_test.csv").write_text(
        f"VideoName;Ethnicity;Gender\n{C};9;2"
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "train/metadata.csv").write_text(
        f'file_name,video_id,age_group,transcription\n{A},-bcdefghij_,4,"Hello, you"\n'
    )
    (tmp_path / "test").mkdir()
    (tmp_path / "test/metadata.csv").write_text(f"file_name,age_group\ntest/{C},old\n")
    corpus = first_impressions.load(tmp_path)
    assert [clip.transcript for clip in corpus.clips] == ["Hello, you", None, None]
    assert [clip.attributes for clip in corpus.clips] == [
        {"age_group": 4.0, "ethnicity": "Caucasian", "gender": "male"},
        {"ethnicity": "African-American", "gender": "female"},
        {"gender": "female"},
    ]
    unknown = f"age_group 'old' of {C}, ethnicity '9' of {C}"
    assert f"Codes that are not known: {unknown}." in corpus.notes
    assert any("1 attributes have no labels" in note for note in corpus.notes)


def test_tables_of_people_that_cannot_be_read_do_not_cost_the_labels(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "eth_gender_annotations_dev.csv").write_text(f'VideoName;Gender\n"{A};1\n')
    (tmp_path / "metadata.csv").write_text(f"file_name,age_group\n{A},4.0\n{B},2,more\n")
    corpus = first_impressions.load(tmp_path)
    assert [clip.attributes for clip in corpus.clips] == [{"age_group": 4.0}, {}, {}]
    notes = " ".join(corpus.notes)
    assert "eth_gender_annotations_dev.csv is not readable as CSV" in notes
    assert "Not used: more cells than columns" in notes


def test_every_fault_is_listed_in_one_error(tmp_path: Path) -> None:
    small(tmp_path)
    bad: dict[str, Any] = {key: {A: 0.5} for key in KEYS if key != "agreeableness"}
    bad["openness"] = {A: 1.5, "short.mp4": 0.5, B: "high", "../../../x.000.mp4": 0.1}
    bad["extraversion"] = {A: float("nan")}
    (tmp_path / "annotation_training.pkl").write_bytes(pickle.dumps(bad, 2))
    (tmp_path / "annotation_test.pkl").write_bytes(b"\x80\x02}q\x00(U")
    (tmp_path / "transcription_training.pkl").write_bytes(pickle.dumps({A: 3}, 2))
    (tmp_path / "transcription_test.pkl").write_bytes(pickle.dumps("text", 2))
    with pytest.raises(DataError) as caught:
        first_impressions.load(tmp_path)
    message = str(caught.value)
    for part in [
        "annotation_training.pkl has no key 'agreeableness'",
        f"openness: outside 0 to 1: {A} (1.5)",
        f"extraversion: outside 0 to 1: {A} (nan)",
        f"openness: not a number: {B} (str)",
        "not the name of a clip (YouTube id, number, .mp4): 'short.mp4', '../../../x.000.mp4'",
        f"clips are in two splits: {B} (train and validation)",
        "annotation_test.pkl ends in the middle",
        f"transcription_training.pkl: not text: {A} (int)",
        "transcription_test.pkl: no dict, but str",
    ]:
        assert part in message, part


def test_a_missing_label_is_absent_and_not_zero(tmp_path: Path) -> None:
    write_labels(tmp_path, "train", {A: VALUES, B: {"openness": 0.5}})
    corpus = first_impressions.load(tmp_path)
    assert corpus.clips[1].targets == {"openness": 0.5}
    assert np.isnan(corpus.labels(["agreeableness"])[1, 0])


def test_version_1_without_interview_is_read(tmp_path: Path) -> None:
    labels = {A: {k: v for k, v in VALUES.items() if k != "interview"}}
    path = write_labels(tmp_path, "train", labels)
    tree = pickle.loads(path.read_bytes(), encoding="latin1")
    del tree["interview"]
    path.write_bytes(pickle.dumps(tree, 2))
    corpus = first_impressions.load(tmp_path)
    assert corpus.optional == ()
    with pytest.raises(DataError, match="has no target 'interview'"):
        corpus.target("interview")


def test_a_label_file_that_runs_commands_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    small(tmp_path)
    (tmp_path / "annotation_test.pkl").write_bytes(pickle.dumps({"openness": Evil()}, 2))
    with pytest.raises(DataError, match=r"asks for the global 'posix\.system'"):
        first_impressions.load(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_ten_thousand_clips_load_in_five_times_the_time_of_two_thousand(tmp_path: Path) -> None:
    made = {}
    for share in (5, 1):
        sizes = {"train": 6000 // share, "validation": 2000 // share, "test": 2000 // share}
        made[share] = make_first_impressions(tmp_path / str(share), **sizes, sources=3060 // share)

    def seconds(share: int) -> float:
        started = time.process_time()
        first_impressions.load(tmp_path / str(share))
        return time.process_time() - started

    # A search for each clip would take 25 times as long, every time. What else a machine does
    # may cost a measurement its worth, but not all of five.
    assert any(seconds(1) < 15 * seconds(5) for _ in range(5))
    corpus = first_impressions.load(tmp_path / "1")
    assert len(corpus.clips) == 10_000
    assert all(clip.targets == made[1][str(clip.split)][clip.id] for clip in corpus.clips)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_videos_in_linked_folders_are_found_and_circles_are_not_followed(tmp_path: Path) -> None:
    name = "-bcdefghij_.000.mp4"
    folder, disk = tmp_path / "fi", tmp_path / "disk"
    write_labels(folder / "annotation", "train", {name: dict.fromkeys(KEYS, 0.5)})
    disk.mkdir()
    (disk / name).touch()
    (disk / "round").symlink_to(folder)
    (folder / "train").symlink_to(disk)
    assert first_impressions.load(folder).clips[0].path == folder / "train" / name
