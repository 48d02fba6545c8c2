import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.hostile_media import (
    CALLS,
    bmp_bomb,
    gif_bomb,
    jpeg_bomb,
    png_bomb,
    watched,
    webp_bomb,
    write_packets,
    write_pauses,
)
from tests.support.media_files import write_video
from traitscope.errors import ClipError, ConfigError
from traitscope.media import Limits, parse_limits, probe, read_frames, read_sound
from traitscope.media._headers import picture_size
from traitscope.media.folders import media_files
from traitscope.media.images import load
from traitscope.media.pictures import decoded


@pytest.mark.skipif(sys.platform != "linux", reason="who opens a file is asked with inotify")
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_file_that_names_its_neighbour_is_refused_and_the_neighbour_stays_closed(
    name: str, tmp_path: Path
) -> None:
    write_video(tmp_path / "neighbour.mp4", frames=3)
    write_video(tmp_path / "neighbour.ts", frames=3, format="mpegts")
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"frame{number:03d}.jpg"), np.zeros((64, 64, 3), np.uint8))
    path = tmp_path / name
    path.write_bytes(CALLS[name].replace(b"{0}", b"neighbour"))
    with watched(tmp_path) as opened:
        for read in (probe, read_sound, lambda path: list(read_frames(path, rates=["native"]))):
            with pytest.raises(ClipError, match=r"Give the recording|Re-encode it") as caught:
                read(path)
            assert str(path) in str(caught.value)
    assert set(opened) == {name}  # nothing else, and the watch saw that


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("hls.mp4", "a playlist"),
        ("concat.mp4", "a list of files"),
        ("dash.mpd", "a playlist"),
        ("address.sdp", "the address of a stream"),
        ("words.vtt", "a file of subtitles"),
        ("pointer.mp4", "a Git LFS pointer"),
        ("page.mp4", "a web page"),
        ("terminal.ans", "text"),
    ],
)
def test_what_is_no_recording_is_told_as_what_it_is(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(CALLS[name])
    with pytest.raises(ClipError, match=f"cannot be opened as media: it is {what}"):
        probe(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    ["concat:a.mp4|b.mp4", "http://127.0.0.1/a.mp4", "data:video/mp4;base64,AAAA", "pipe:0", "-"],
)
def test_a_name_is_never_an_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClipError, match="There is no file"):
        probe(Path(name))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    for name in ("pipe.mp4", "zero.mp4"):
        with pytest.raises(ClipError, match="0 bytes"):
            probe(tmp_path / name)


def test_a_folder_of_hostile_files_lists_none_as_a_clip_by_its_content(tmp_path: Path) -> None:
    for name, content in CALLS.items():
        (tmp_path / f"{name}.unknown").write_bytes(content)
    assert media_files(tmp_path).files == ()


BOMBS = {
    "png": png_bomb(30_000, 30_000),
    "jpg": jpeg_bomb(20_000, 20_000),
    "bmp": bmp_bomb(30_000, 30_000),
    "webp": webp_bomb(16_000, 16_000),
    "gif": gif_bomb(65_000, 65_000),
}


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_picture_is_measured_before_it_is_decoded(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "frame.png"  # whatever its name says
    file.write_bytes(BOMBS[kind])
    with pytest.raises(ClipError, match=r"limit of 67,108,864 pixels.*--limit pixels=") as caught:
        load(file)
    assert caught.value.status == "too_large"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".gif"])
def test_a_usual_picture_has_the_size_its_header_says(suffix: str) -> None:
    image = np.zeros((48, 80, 3), np.uint8)
    data = cv2.imencode(suffix, image)[1].tobytes()
    assert decoded(data, Path("x"), Limits(pixels=48 * 80)) is not None
    with pytest.raises(ClipError, match="80 x 48 pixels"):
        decoded(data, Path("x"), Limits(pixels=48 * 80 - 1))


def test_a_picture_of_a_kind_whose_size_is_not_read_first_is_none() -> None:
    data = cv2.imencode(".tiff", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    assert decoded(data, Path("x")) is None


def test_a_part_of_a_png_that_says_it_holds_gigabytes_is_not_waited_for() -> None:
    data = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = b"\x68\0\0\x98"
    assert picture_size(data) is None
    assert decoded(bytes(data), Path("x")) is None


def test_a_file_of_a_picture_has_a_limit_of_bytes(tmp_path: Path) -> None:
    file = tmp_path / "frame.png"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(ClipError, match=r"limit of 268,435,456 bytes.*--limit bytes="):
        load(file)


def test_pictures_of_a_recording_have_a_limit(tmp_path: Path) -> None:
    data = png_bomb(12_000, 12_000)
    path = write_packets(tmp_path / "a.mov", "png", [(0.0, data), (0.1, data)])
    for read in (probe, lambda path: list(read_frames(path, rates=["native"]))):
        with pytest.raises(ClipError, match=r"12000 x 12000 pixels.*limit") as caught:
            read(path)
        assert caught.value.status == "too_large"


def test_a_limit_of_pixels_is_exact(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=3)
    limits = Limits(pixels=96 * 64 - 1)
    with pytest.raises(ClipError, match="96 x 64"):
        list(read_frames(path, rates=[1.0], limits=limits))
    assert len(list(read_frames(path, rates=["native"], limits=Limits(pixels=96 * 64)))) == 3


def test_a_picture_days_after_the_others_is_beyond_the_limit_of_seconds(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=[0.0, 0.04, 0.08, 50_000.0])
    with pytest.raises(ClipError, match=r"limit of 43,200 seconds.*--limit seconds=50000"):
        list(read_frames(path, rates=["native"]))
    assert len(list(read_frames(path, rates=["native"], limits=Limits(seconds=1e6)))) == 4


def test_a_clip_has_a_limit_of_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=10)
    with pytest.raises(ClipError, match="limit of 9 pictures"):
        list(read_frames(path, rates=["native"], limits=Limits(pictures=9)))


@pytest.mark.parametrize("times", [[0.0, 900_000.0], [n * 3000.0 for n in range(12)]])
def test_a_small_file_does_not_ask_for_days_of_silence(times: list[float], tmp_path: Path) -> None:
    path = write_pauses(tmp_path / "a.mka", times)
    assert path.stat().st_size < 50_000
    with pytest.raises(ClipError, match=r"limit of 3,600 silence seconds.*--limit silence_seconds"):
        read_sound(path)


def test_a_pause_within_the_limit_is_silence(tmp_path: Path) -> None:
    path = write_pauses(tmp_path / "a.mka", [0.0, 20.0])
    assert read_sound(path).waveform.duration_seconds == pytest.approx(20.1, abs=0.01)
    with pytest.raises(ClipError, match="pauses for 20 s"):
        read_sound(path, limits=Limits(silence_seconds=10))


def test_sound_has_a_limit_of_seconds(tmp_path: Path) -> None:
    path = write_pauses(tmp_path / "a.mka", [n / 10 for n in range(20)])
    with pytest.raises(ClipError, match="limit of 1 seconds"):
        read_sound(path, limits=Limits(seconds=1))


def test_limits_are_raised_by_name() -> None:
    assert parse_limits(["pixels=200000000", "seconds=1e5"]).pixels == 200_000_000
    with pytest.raises(ConfigError, match="did you mean 'pixels'"):
        parse_limits(["pixel=3"])
    with pytest.raises(ConfigError, match="greater than 0"):
        parse_limits(["pixels=0"])
