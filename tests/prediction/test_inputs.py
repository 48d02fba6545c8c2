"""Which clips the arguments of a prediction are: folders, names that occur twice, words."""

import shutil
from pathlib import Path

import pytest

from tests.support.media_files import write_video
from traitscope.errors import ConfigError
from traitscope.features.request import make_request, of_speaker
from traitscope.prediction.inputs import clip_names, clip_of, media_in, named_paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    for place in ("day 1", "day 2"):
        (folder / place).mkdir(parents=True)
    write_video(folder / "day 1" / "a.mp4", frames=5)
    shutil.copy(folder / "day 1" / "a.mp4", folder / "day 2" / "a.mp4")
    shutil.copy(folder / "day 1" / "a.mp4", folder / "b")
    (folder / "a.srt").write_text("words")
    return folder


def test_folders_give_their_media_in_place_and_say_what_they_left_out(folder: Path) -> None:
    other = folder / "day 1" / "a.mp4"
    flat = media_in([other, folder])
    assert flat.files == (other, folder / "b")
    assert [out.path.name for out in flat.left_out] == ["a.srt", "day 1", "day 2"]
    deep = media_in([folder], recursive=True)
    assert deep.files == (folder / "b", other, folder / "day 2" / "a.mp4")
    assert [out.path.name for out in deep.left_out] == ["a.srt"]


def test_a_folder_without_media_stays_one_clip_that_fails_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    listing = media_in([tmp_path, tmp_path / "absent.mp4"])
    assert listing.files == (tmp_path, tmp_path / "absent.mp4")
    assert [out.reason for out in listing.left_out] == ["text"]


def test_names_that_occur_twice_are_told_apart_by_their_folders(folder: Path) -> None:
    paths = media_in([folder], recursive=True).files
    assert clip_names(paths) == ["b", "day 1_a.mp4", "day 2_a.mp4"]
    assert clip_names([Path("x/1/a.mp4"), Path("y/1/a.mp4"), Path("c.mp4")]) == [
        *("x_1_a.mp4", "y_1_a.mp4", "c.mp4"),
    ]
    assert clip_names([Path("a.mp4"), Path("a.mp4")]) == ["a.mp4", "a.mp4"]
    assert clip_names([]) == []
    assert clip_of(Path("x/a.mp4"), "x_a.mp4").id == "x_a.mp4"


def test_python_lists_a_folder_as_the_command_line_does(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert named_paths([folder], None) == list(media_in([folder]).files)
    assert [record.getMessage() for record in caplog.records] == [
        f"left out: {out.path} ({out.reason})" for out in media_in([folder]).left_out
    ]
    caplog.clear()
    assert named_paths([folder / "b", str(folder / "absent")], None) == [
        *(folder / "b", folder / "absent"),
    ]
    assert not caplog.records
    assert named_paths([], folder / "a.srt") == [folder / "a.srt"]
    (folder / "c").write_bytes((folder / "b").read_bytes())
    with pytest.raises(ConfigError, match=r"cannot be of 2 clips\. Give one clip"):
        named_paths([folder], folder / "a.srt")


def test_a_speaker_is_asked_of_all_that_read_words_and_of_nothing_else() -> None:
    requests = {name: make_request(name, {}) for name in ("transcript", "text_counts", "frames")}
    asked = of_speaker(requests, "Ann")
    assert asked["frames"] == requests["frames"]
    assert asked["transcript"] == make_request("transcript", {"speaker": "Ann"})
    assert asked["text_counts"].upstream == (asked["transcript"],)
    with pytest.raises(ConfigError, match=r"No words are read \(frames\).*Leave --speaker out"):
        of_speaker({"frames": requests["frames"]}, "Ann")
