"""What of a folder is media: every container that opens, no words, tables, posters or loops."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import numbered, tone, write_sound, write_video
from traitscope.media.folders import is_media, media_files


def names(folder: Path, *, recursive: bool = False) -> list[str]:
    listing = media_files(folder, recursive=recursive)
    return [path.relative_to(folder).as_posix() for path in listing.files]


def reasons(folder: Path, *, recursive: bool = False) -> dict[str, str]:
    listing = media_files(folder, recursive=recursive)
    return {out.path.relative_to(folder).as_posix(): out.reason for out in listing.left_out}


def write_picture(path: Path, kind: str = ".png") -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(cv2.imencode(kind, numbered(1))[1].tobytes())
    return path


@pytest.mark.shared
def test_the_mixed_folder_of_the_cases_is_read_whole(shared: Path) -> None:
    folder = shared / "data" / "cases" / "13_folder_of_media" / "mixed"
    found = ["00012.MTS", "b.mp4", "c.gif", "d.ogv", "no_extension"]
    assert names(folder) == found
    assert reasons(folder) == {"sub": "a folder; --recursive looks into it"}
    assert names(folder, recursive=True) == [*found, "sub/e.mp4"]
    assert reasons(folder, recursive=True) == {}


@pytest.mark.parametrize("kind", ["mpegts", "matroska", "mp4", "nut", "flv"])
def test_a_container_is_known_by_what_is_in_it(tmp_path: Path, kind: str) -> None:
    whole = write_video(tmp_path / "a.mp4", frames=5, format=kind)
    odd = whole.rename(tmp_path / "REC0001.M2T")
    bare = tmp_path / "recording"
    bare.write_bytes(odd.read_bytes())
    assert names(tmp_path) == ["REC0001.M2T", "recording"]


def test_sound_without_a_suffix_is_media(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", tone(0.5)).rename(tmp_path / "voice memo")
    assert names(tmp_path) == ["voice memo"]


def test_what_is_no_media_is_named_with_its_reason(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "notes").write_text("some words")
    (tmp_path / "utf16.doc").write_text("some words", encoding="utf-16")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.mp4\n")
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(1).bytes(200_000))
    (tmp_path / "nothing.dat").write_bytes(b"")
    (tmp_path / ".DS_Store").write_bytes(b"\0\1")
    write_picture(tmp_path / "photo.webp", ".png")
    write_picture(tmp_path / "photo_without_suffix")
    np.save(tmp_path / "array.npy", np.zeros(1000))
    assert names(tmp_path) == ["a.mp4"]
    said = reasons(tmp_path)
    assert said.pop("noise.bin")  # which of two reasons depends on what FFmpeg takes it for
    assert said == {
        ".DS_Store": "hidden",
        "array.npy": "no media that can be opened",
        "list.m3u8": "text",
        "notes": "text",
        "nothing.dat": "empty",
        "photo.webp": "a picture",
        "photo_without_suffix": "a picture",
        "scores.csv": "a table",
        "utf16.doc": "text",
    }


def test_a_damaged_file_of_a_usual_suffix_is_a_clip_that_fails_later(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.MKV").write_bytes(b"\0" * 100)
    assert names(tmp_path) == ["a.mp4", "b.MKV"]


def test_words_and_a_poster_beside_a_recording_are_no_clips(tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", frames=5)
    write_picture(tmp_path / "talk.jpg", ".jpg")
    for name in ("talk.srt", "talk.en.vtt", "talk.mp4.txt", "talk.json", "talk.tsv"):
        (tmp_path / name).write_text("words")
    assert names(tmp_path) == ["talk.mp4"]
    said = reasons(tmp_path)
    assert said.pop("talk.jpg") == "a picture beside talk.mp4"
    assert len(said) == 5
    assert set(said.values()) == {"beside talk.mp4, whose words it may hold"}


def test_a_folder_of_images_is_one_clip_also_with_its_sound(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "frames" / f"{number}.png")
    assert media_files(tmp_path / "frames").files == (tmp_path / "frames",)
    write_sound(tmp_path / "frames" / "sound.wav", tone(0.5))
    (tmp_path / "frames" / "fps.txt").write_text("25")
    assert media_files(tmp_path / "frames").files == (tmp_path / "frames",)
    assert names(tmp_path) == []
    assert names(tmp_path, recursive=True) == ["frames"]


def test_a_cover_beside_sound_makes_no_clip_of_images(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", tone(0.5))
    write_picture(tmp_path / "cover.jpg", ".jpg")
    assert names(tmp_path) == ["a.wav"]
    assert reasons(tmp_path) == {"cover.jpg": "a picture"}


def test_a_gif_is_media_when_it_moves(tmp_path: Path) -> None:
    import av

    for name, frames in (("moves.gif", 3), ("still.gif", 1)):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("gif", rate=10)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb8"
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
                container.mux(stream.encode(frame.reformat(format="rgb8")))
            container.mux(stream.encode())
    assert names(tmp_path) == ["moves.gif"]
    assert reasons(tmp_path) == {"still.gif": "a single picture"}
    assert is_media(tmp_path / "moves.gif")
    assert not is_media(tmp_path / "still.gif")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "study", tmp_path / "disk"
    (folder / "sub").mkdir(parents=True)
    write_video(folder / "sub" / "a.mp4", frames=5)
    elsewhere.mkdir()
    write_video(elsewhere / "b.mp4", frames=5)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "c.mp4").symlink_to(elsewhere / "b.mp4")
    (folder / "sub" / "up").symlink_to(folder)
    (elsewhere / "self").symlink_to(elsewhere)
    (folder / "again").symlink_to(folder / "sub")
    (folder / "gone.mp4").symlink_to(tmp_path / "absent.mp4")
    assert names(folder, recursive=True) == ["c.mp4", "linked/b.mp4", "sub/a.mp4"]
    said = reasons(folder, recursive=True)
    assert sorted(said) == ["again", "gone.mp4", "linked/self", "sub/up"]
    assert said["again"] == f"the same folder as {folder / 'sub'}"
    assert said["sub/up"] == f"the same folder as {folder}"
    assert said["gone.mp4"] == "a link to what is not there"
    through = tmp_path / "through"
    through.symlink_to(folder)
    assert names(through) == ["c.mp4"]
