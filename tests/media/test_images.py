from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import number_of, numbered, tone, write_sound
from traitscope.errors import ClipError
from traitscope.media import probe, read_frames, read_waveform


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "clip é 1"
    folder.mkdir()
    for number in range(12):
        suffix = ("png", "jpg", "bmp")[number % 3]
        _, data = cv2.imencode(f".{suffix}", numbered(number)[:, :, ::-1])
        (folder / f"frame_{number + 1}.{suffix}").write_bytes(data.tobytes())
    return folder


def test_images_come_in_natural_order_with_their_times(folder: Path) -> None:
    frames = [f for f, _ in read_frames(folder, rates=["native"], fps=4)]
    assert [number_of(f.image) for f in frames] == list(range(12))
    assert [f.time for f in frames] == [n / 4 for n in range(12)]
    assert frames[0].image[2, 2, 0] > 150 > frames[0].image[2, 2, 2]  # red, not blue


def test_fps_may_be_written_in_the_folder(folder: Path) -> None:
    (folder / "fps.txt").write_text("4\n")
    frames = [f for f, _ in read_frames(folder, rates=[2], start=1.0, end=2.5)]
    assert [number_of(f.image) for f in frames] == [4, 6, 8]
    info = probe(folder)
    assert (info.duration_seconds, info.fps, info.width, info.height) == (3.0, 4.0, 96, 64)


@pytest.mark.parametrize("text", [None, "soon", "0"])
def test_without_fps_the_error_names_both_cures(folder: Path, text: str | None) -> None:
    if text is not None:
        (folder / "fps.txt").write_text(text)
    with pytest.raises(ClipError, match=r"Set fps for the clip .* or write the number into"):
        probe(folder)


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_a_wav_inside_or_beside_is_the_sound(folder: Path, place: str) -> None:
    with pytest.raises(ClipError, match="has no audio track"):
        read_waveform(folder)
    path = folder / "sound.wav" if place == "inside" else folder.with_name(f"{folder.name}.wav")
    write_sound(path, tone(1))
    assert len(read_waveform(folder).samples) == 16000
    assert probe(folder, fps=4).has_audio


def test_a_folder_without_images_has_no_video(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="holds no images") as caught:
        read_frames(tmp_path, rates=[5], fps=4)
    assert caught.value.status == "no_video"


def test_a_broken_image_is_named_and_left_out(folder: Path) -> None:
    (folder / "frame_3.bmp").write_bytes(b"")
    reader = read_frames(folder, rates=["native"], fps=4)
    assert [number_of(frame.image) for frame, _ in reader] == [0, 1, *range(3, 12)]
    assert "frame_3.bmp is not a readable image" in str(reader.problem)


def test_a_folder_of_broken_images_is_undecodable(folder: Path) -> None:
    reader = read_frames(folder, rates=["native"], fps=4)
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(ClipError, match="No frame of") as caught:
        list(reader)
    assert caught.value.status == "undecodable"


def test_an_image_folder_is_read_in_rgb(folder: Path) -> None:
    frame, _ = next(iter(read_frames(folder, rates=[1], fps=1)))
    assert np.abs(frame.image.astype(int) - numbered(0)).mean() < 3
