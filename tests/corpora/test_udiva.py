"""UDIVA: people in sessions, z-scores, and neuroticism the other way round."""

from pathlib import Path

import cv2
import pytest

from tests.support.media_files import numbered, tone, write_sound, write_video
from tests.support.udiva_files import write_udiva
from traitscope import load_corpus
from traitscope.audit.corpus import inspect_corpus
from traitscope.corpora import first_impressions, udiva
from traitscope.errors import ConfigError, DataError
from traitscope.types import TRAITS

SESSIONS = {"train": {"8105": [12, 7]}, "valid": {"8106": ["3", "4"]}, "test": {"99": [5, 6]}}
SCORES = {str(n): [0.1 * n, -0.5, 0.0, 2.5, -0.1 * n] for n in (12, 7, 3, 4, 5, 6)}


def test_three_sessions_are_six_clips(tmp_path: Path) -> None:
    corpus = load_corpus(f"udiva:{write_udiva(tmp_path, SESSIONS, SCORES)}")
    assert (corpus.name, corpus.kind, corpus.aggregate) == ("udiva", "self_reported", "subject")
    assert [(c.id, c.subject, c.source, c.split) for c in corpus.clips] == [
        ("8105_FC1_T", "12", "8105", "train"),
        ("8105_FC2_T", "7", "8105", "train"),
        ("8106_FC1_T", "3", "8106", "validation"),
        ("8106_FC2_T", "4", "8106", "validation"),
        ("99_FC1_T", "5", "99", "test"),
        ("99_FC2_T", "6", "99", "test"),
    ]
    assert corpus.clips[0].targets == dict(zip(TRAITS, SCORES["12"], strict=True))


def test_z_scores_have_no_range_and_neuroticism_is_the_opposite_of_first_impressions(
    tmp_path: Path,
) -> None:
    corpus = udiva.load(write_udiva(tmp_path, SESSIONS, SCORES))
    assert all((t.low, t.high, t.direction) == (None, None, 1) for t in corpus.targets)
    assert corpus.target("neuroticism").label == "neuroticism"
    theirs = {target.name: target for target in first_impressions.TARGETS}
    assert theirs["neuroticism"].direction == -corpus.target("neuroticism").direction
    assert any("opposite of First Impressions" in note for note in corpus.notes)


def test_recordings_are_videos_or_folders_of_frames(tmp_path: Path) -> None:
    write_udiva(tmp_path, SESSIONS, SCORES)
    video = tmp_path / "train/talk_train/008105/FC1_T.mp4"
    frames = tmp_path / "valid/talk_valid/8106/FC2_T"
    both = tmp_path / "test/talk_test/99"
    for folder in (video.parent, frames, both / "FC1_T"):
        folder.mkdir(parents=True)
    for file in (video, frames.with_suffix(".wav"), both / "FC1_T.mp4", both / "FC1_A.mp4"):
        file.touch()
    clips = {clip.id: clip for clip in load_corpus(f"udiva:{tmp_path},fps=25").clips}
    assert (clips["8105_FC1_T"].path, clips["8105_FC1_T"].fps) == (video, None)
    assert (clips["8106_FC2_T"].path, clips["8106_FC2_T"].fps) == (frames, 25)
    assert clips["99_FC1_T"].path == both / "FC1_T.mp4"
    assert clips["99_FC2_T"].path is None


def test_one_task_can_be_chosen_in_the_address(tmp_path: Path) -> None:
    write_udiva(tmp_path, SESSIONS, SCORES, tasks=("talk", "animal", "lego"))
    assert len(load_corpus(f"udiva:{tmp_path}").clips) == 18
    corpus = load_corpus(f"udiva:{tmp_path},task=lego")
    assert corpus.name == "udiva (lego)"
    assert {clip.id[-2:] for clip in corpus.clips} == {"_L"}
    with pytest.raises(ConfigError, match=r"no task 'chess' in UDIVA. There are: talk"):
        load_corpus(f"udiva:{tmp_path},task=chess")
    with pytest.raises(ConfigError, match=r"There is no 'tasks' in options. Did you mean 'task'"):
        load_corpus(f"udiva:{tmp_path},tasks=lego")
    with pytest.raises(ConfigError, match="fps=fast is not a number of frames per second"):
        load_corpus(f"udiva:{tmp_path},fps=fast")
    with pytest.raises(DataError, match="has no annotations of ghost"):
        load_corpus(f"udiva:{tmp_path},task=ghost,fps=25")


def test_metadata_become_attributes(tmp_path: Path) -> None:
    metadata = "ID,GENDER,AGE,COUNTRY,EDUCATION\n012,F,23,Spain,3\n7,M,,Italy,\n"
    corpus = udiva.load(write_udiva(tmp_path, SESSIONS, SCORES, metadata=metadata))
    assert corpus.clips[0].attributes == {
        "gender": "F",
        "age": 23.0,
        "country": "Spain",
        "education": 3.0,
    }
    assert corpus.clips[1].attributes == {"gender": "M", "country": "Italy"}


def test_labels_are_counted_once_per_person(tmp_path: Path) -> None:
    sessions = {"train": {"1": [1, 2], "2": [1, 3]}, "test": {"3": [4, 5]}}
    scores = {str(n): [float(n), 0.0, 0.5 * n, 1.0, -n] for n in range(1, 6)}
    corpus = udiva.load(write_udiva(tmp_path, sessions, scores, tasks=("talk", "lego")))
    facts = inspect_corpus(corpus)
    assert (facts.clips, facts.subjects, facts.aggregate) == (12, 5, "subject")
    train = facts.targets[0].splits["train"]
    assert (train.labels, train.mean) == (3, 2)
    constant = facts.references[0]
    assert (constant.name, constant.scored) == ("constant", 2)
    # the mean of the 8 train clips is (1 1 1 1 2 2 3 3) / 8, the people score 4 and 5
    assert constant.mse["openness"] == pytest.approx((2.25**2 + 3.25**2) / 2)


def test_every_fault_is_listed(tmp_path: Path) -> None:
    scores = {**SCORES, "7": [1, 2, 3], "3": [0, 0, 0, 0, float("nan")], "5": [0, 0, 0, 0, "x"]}
    write_udiva(tmp_path, SESSIONS, {k: v for k, v in scores.items() if k != "12"})  # type: ignore[misc]
    talk = tmp_path / "annotation/talk"
    (talk / "parts_test_personality.json").write_text("{")
    (talk / "sessions_valid_id.json").write_text('{"8106": {"FC1_T": 3}}')
    with pytest.raises(DataError) as caught:
        udiva.load(tmp_path)
    message = str(caught.value)
    for part in [
        "no personality in parts_train_personality.json: participant 12",
        "parts_train_personality.json: not five numbers: participant 7",
        "sessions without FC2: sessions_valid_id.json: 8106",
        "parts_valid_personality.json: not a finite number: participant 3",
        "parts_test_personality.json is not readable as JSON",
    ]:
        assert part in message, part


def test_a_folder_without_annotations_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"annotation/TASK/sessions_SPLIT_id\.json"):
        udiva.load(tmp_path)


def test_recordings_are_cut_into_windows(tmp_path: Path) -> None:
    write_udiva(tmp_path, SESSIONS, SCORES)
    place = tmp_path / "train/talk_train/008105"
    place.mkdir(parents=True)
    write_video(place / "FC1_T.mp4", frames=80, fps=10)
    write_sound(place / "FC2_T.mp4", tone(2.95), codec="aac")
    whole = load_corpus(f"udiva:{tmp_path}")
    corpus = load_corpus(f"udiva:{tmp_path},window=3")
    assert [(c.id, c.start, c.end) for c in corpus.clips if c.split == "train"] == [
        ("8105_FC1_T_0-3", 0, 3),
        ("8105_FC1_T_3-6", 3, 6),
        ("8105_FC2_T_0-3", 0, 3),  # a container may be a little short
    ]
    assert [c for c in corpus.clips if c.split != "train"] == list(whole.clips[2:])
    first = corpus.clips[0]
    assert (first.subject, first.source, first.split) == ("12", "8105", "train")
    assert first.targets == whole.clips[0].targets
    assert "Recordings are cut into windows of 3 s, one every 3 s." in corpus.notes
    begun = load_corpus(f"udiva:{tmp_path},first=3")
    assert begun.clips == tuple(c for c in corpus.clips if c.start in {None, 0})
    assert "Of each recording the first 3 s are taken." in begun.notes
    assert not any("windows" in note for note in whole.notes)
    facts = inspect_corpus(corpus)
    assert (facts.clips, facts.subjects, facts.sources) == (7, 6, 3)


def test_windows_may_overlap_and_short_recordings_stay_whole(tmp_path: Path) -> None:
    write_udiva(tmp_path, SESSIONS, SCORES)
    frames = tmp_path / "test/talk_test/99/FC1_T"
    frames.mkdir(parents=True)
    for number in range(20):
        cv2.imwrite(str(frames / f"{number}.png"), numbered(number))
    damaged = tmp_path / "test/talk_test/99/FC2_T.mp4"
    damaged.write_bytes(b"no video")
    address = f"udiva:{tmp_path},task=talk,fps=4"
    corpus = load_corpus(f"{address},window=2,step=1.25")
    assert [c.id for c in corpus.clips if c.split == "test"] == [
        "99_FC1_T_0-2",
        "99_FC1_T_1.25-3.25",
        "99_FC1_T_2.5-4.5",
        "99_FC2_T",
    ]
    assert all(c.fps == 4 for c in corpus.clips if c.id.startswith("99_FC1"))
    large = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + 2 * (2**20).to_bytes(4, "big") + b"\x08\2\0\0\0"
    (frames / "0.png").write_bytes(large)  # beyond the limit, which says nothing of the length
    assert load_corpus(f"{address},window=2,step=1.25").clips == corpus.clips
    long = load_corpus(f"{address},window=60")
    assert [c.id for c in long.clips if c.split == "test"] == ["99_FC1_T", "99_FC2_T"]
    unknown = load_corpus(f"udiva:{tmp_path},window=2")  # nothing says how many frames a second
    assert [c.id for c in unknown.clips if c.split == "test"] == ["99_FC1_T", "99_FC2_T"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("window=0", "window=0 is not a number of seconds. Write for example 15"),
        ("window=long", "window=long is not a number of seconds"),
        ("window=3,step=-1", "step=-1 is not a number of seconds"),
        ("step=3", "step=3 has no effect without window. Write window=15,step=3"),
        ("windows=3", "Did you mean 'window'"),
        ("first=0", "first=0 is not a number of seconds"),
        ("first=3,window=3", "window=3 and first=3 exclude each other"),
    ],
)
def test_windows_that_cannot_be_meant_are_refused(
    tmp_path: Path, options: str, message: str
) -> None:
    write_udiva(tmp_path, SESSIONS, SCORES)
    with pytest.raises(ConfigError, match=message):
        load_corpus(f"udiva:{tmp_path},{options}")


PARTS = (
    "ID,GENDER,AGE,COUNTRY,MAXIMUM_STUDIES_LEVEL,OPENMINDEDNESS_Z,CONSCIENTIOUSNESS_Z,"
    "EXTRAVERSION_Z,AGREEABLENESS_Z,NEGATIVEEMOTIONALITY_Z\n"
    "23,F,24,SPAIN,Bachelor,0.5,-0.2,1.1,0.3,-0.7\n191,M,31,CHILE,PhD,-0.4,0.9,-0.3,0.1,\n"
)


def write_shipped(folder: Path, word: str = "train", *, parts: str = PARTS) -> Path:
    place = folder / word / "metadata" / f"metadata_{word}"
    place.mkdir(parents=True)
    header = "ID,DATE,PART.1,PART.2,KNOWN\n"
    (place / f"sessions_{word}.csv").write_text(f"{header}023191,2019-11-05,23,191,1\n")
    (place / f"parts_{word}.csv").write_text(parts)
    return folder


@pytest.mark.shared
def test_the_case_as_shipped_is_two_people(shared: Path) -> None:
    folder = shared / "data" / "cases" / "07_udiva_as_shipped" / "official"
    corpus = load_corpus(f"udiva:{folder}")
    place = folder / "train/recordings/talk_recordings_train/023191"
    assert [(c.id, c.subject, c.source, c.split, c.path) for c in corpus.clips] == [
        ("23191_FC1_T", "23", "23191", "train", place / "FC1_T.mp4"),
        ("23191_FC2_T", "191", "23191", "train", place / "FC2_T.mp4"),
    ]
    scores = dict(zip(TRAITS, (0.5, -0.2, 1.1, 0.3, -0.7), strict=True))
    assert corpus.clips[0].targets == scores
    assert corpus.clips[0].attributes["education"] == "Bachelor"
    cut = load_corpus(f"udiva:{folder},task=talk,window=1")
    assert {clip.subject for clip in cut.clips} == {"23", "191"}


def test_both_layouts_give_the_same_ids(tmp_path: Path) -> None:
    shipped = udiva.load(write_shipped(tmp_path / "a"), task="talk")
    sessions = {"train": {"23191": [23, 191]}}
    scores = {"23": [0.5, -0.2, 1.1, 0.3, -0.7], "191": [-0.4, 0.9, -0.3, 0.1, 0.0]}
    derived = udiva.load(write_udiva(tmp_path / "b", sessions, scores), task="talk")
    assert [(c.id, c.source, c.subject) for c in shipped.clips] == [
        (c.id, c.source, c.subject) for c in derived.clips
    ]
    assert shipped.clips[0].targets == derived.clips[0].targets
    assert "neuroticism" not in shipped.clips[1].targets  # the cell is empty


def test_all_tasks_with_recordings_and_the_splits_as_they_are_called(tmp_path: Path) -> None:
    write_shipped(tmp_path)
    semicolons = PARTS.replace(",", ";").replace(".", ",").replace("23;F", "5;F")
    write_shipped(tmp_path, "val", parts=semicolons.replace("191;M", "6;M"))
    file = tmp_path / "val/metadata/metadata_val/sessions_val.csv"
    file.write_text(file.read_text().replace("023191,2019-11-05,23,191", "023192,,5,6"))
    for name in ("talk_recordings_train/023191/FC1_T", "lego_recordings_train/023191/FC2_L"):
        place = tmp_path / "train" / "recordings" / f"{name}.mp4"
        place.parent.mkdir(parents=True)
        place.touch()
    corpus = load_corpus(f"udiva:{tmp_path}")
    assert [(c.id, c.split, c.path is not None) for c in corpus.clips if c.split == "train"] == [
        ("23191_FC1_T", "train", True),
        ("23191_FC1_L", "train", False),
        ("23191_FC2_T", "train", False),
        ("23191_FC2_L", "train", True),
    ]
    others = [c for c in corpus.clips if c.split == "validation"]
    assert {c.subject for c in others} == {"5", "6"}
    assert others[0].targets["openness"] == 0.5


def test_faults_of_the_shipped_tables_are_listed(tmp_path: Path) -> None:
    write_shipped(tmp_path, parts=PARTS.replace("191,M", "7,M").replace("1.1", "high"))
    with pytest.raises(DataError) as caught:
        load_corpus(f"udiva:{tmp_path}")
    assert "extraversion: not a number: participant 23 (high)" in str(caught.value)
    assert "not in the parts of sessions_train.csv: participant 191" in str(caught.value)
    (tmp_path / "train/metadata/metadata_train/parts_train.csv").unlink()
    with pytest.raises(DataError, match=r"files are missing: .*parts_train\.csv"):
        load_corpus(f"udiva:{tmp_path}")
