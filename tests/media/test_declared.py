"""What a file declares of its pictures and tracks is used: more of each kind than the cases."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.declared_files import (
    combing,
    write_cover,
    write_exif,
    write_interlaced,
    write_light,
    write_pixels,
    write_tracks,
)
from tests.support.media_files import number_of, numbered, tone, write_sound, write_video
from traitscope.errors import ClipError
from traitscope.media import Tracks, probe, read_frames, read_sound


def images(path: Path, **settings) -> list[np.ndarray]:
    reader = read_frames(path, rates=["native"], **settings)
    return [frame.image for frame, _ in reader]


def pitch(path: Path, track: int | None = None) -> int:
    """The loudest frequency, in Hz."""
    waveform = read_sound(path, track=track).waveform
    power = np.abs(np.fft.rfft(waveform.samples[:16000]))
    return int(np.argmax(power))


@pytest.mark.parametrize(
    ("name", "codec", "size", "aspect", "width"),
    [
        ("pal.avi", "dvvideo", (720, 576), Fraction(16, 15), 768),
        ("ntsc.mpg", "mpeg2video", (720, 480), Fraction(8, 9), 640),
        ("hdv.mp4", "libx264", (1440, 1080), Fraction(4, 3), 1920),
        ("wide.mkv", "libx264", (160, 120), Fraction(3, 2), 240),
    ],
)
def test_pixels_become_square(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int], aspect: Fraction, width: int
) -> None:
    path = write_pixels(tmp_path / name, codec, size, aspect)
    found = images(path)
    assert {image.shape for image in found} == {(size[1], width, 3)}
    assert [number_of(image) for image in found] == list(range(5))
    info = probe(path)
    assert (info.width, info.height, info.pixel_aspect) == (width, size[1], aspect)
    assert f"{width} x {size[1]} square ones" in info.notes[-1]


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(199, 200), Fraction(1, 60)])
def test_pixels_that_are_square_but_for_rounding_or_not_believable_stay(
    tmp_path: Path, aspect: Fraction
) -> None:
    path = write_pixels(tmp_path / "a.mp4", "libx264", (160, 120), aspect)
    assert images(path)[0].shape == (120, 160, 3)
    assert probe(path).notes == ()


@pytest.mark.parametrize(
    ("codec", "aspects", "widths"),
    [
        ("mpeg2video", (Fraction(1), Fraction(4, 3)), (160, 213)),
        ("libx264", (Fraction(1), Fraction(2)), (160, 320)),
        ("libx264", (Fraction(3, 2), Fraction(1)), (240, 160)),
    ],
)
def test_the_shape_of_pixels_may_change_in_the_middle(
    tmp_path: Path, codec: str, aspects: tuple[Fraction, ...], widths: tuple[int, ...]
) -> None:
    parts = [
        write_pixels(tmp_path / f"{number}.ts", codec, (160, 120), aspect)
        for number, aspect in enumerate(aspects)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    reader = read_frames(path, rates=["native"])
    found = [frame.image.shape[1] for frame, _ in reader]
    # a decoder may say so two pictures before it hands out the first of the other shape
    assert found[:3] + found[5:] == [widths[0]] * 3 + [widths[1]] * 5
    assert any("squared: the shape of the pixels changes, from" in note for note in reader.notes)


@pytest.mark.parametrize(("transfer", "white"), [("smpte2084", 0.58), ("arib-std-b67", 0.75)])
def test_the_white_of_high_dynamic_range_is_white(
    tmp_path: Path, transfer: str, white: float
) -> None:
    """203 candela per square metre, by BT.2408; without tone mapping it is 148 or 191."""
    path = write_light(tmp_path / "a.mp4", transfer, white)
    assert images(path)[0].mean() > 245
    name = "PQ" if transfer == "smpte2084" else "HLG"
    assert probe(path).transfer == name
    assert probe(path).notes == (f"tone-mapped: the pictures are of high dynamic range ({name})",)


@pytest.mark.parametrize(
    ("name", "codec", "options", "bottom_first"),
    [
        ("top.mp4", "libx264", {"flags": "+ilme+ildct", "x264-params": "tff=1"}, False),
        ("bottom.mkv", "libx264", {"flags": "+ilme+ildct", "x264-params": "bff=1"}, True),
        ("top.mpg", "mpeg2video", {"flags": "+ilme+ildct", "b": "4000000"}, False),
    ],
)
def test_interlaced_pictures_are_filled_up(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], bottom_first: bool
) -> None:
    path = write_interlaced(tmp_path / name, codec, options, bottom_first=bottom_first)
    for settings in ({"rates": ["native"]}, {"rates": [5]}):
        reader = read_frames(path, **settings)
        frames = [frame for frame, _ in reader]
        assert max(combing(frame.image) for frame in frames[1:-1]) < 3
        assert reader.notes == ("deinterlaced: the pictures are interlaced",)
    assert [frame.time for frame, _ in read_frames(path, rates=["native"])] == pytest.approx(
        [n / 25 for n in range(12)]
    )
    assert probe(path).fields == ("bottom field first" if bottom_first else "top field first")


def test_progressive_pictures_pass_no_filter(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr("traitscope.media._showing._graph")
    path = write_video(tmp_path / "a.mp4", frames=5)
    assert len(images(path)) == 5
    info = probe(path)
    assert (info.fields, info.transfer, info.pixel_aspect) == ("progressive", "SDR", 1)


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mov"])
def test_exif_in_pictures_is_no_failure(tmp_path: Path, name: str) -> None:
    found = images(write_exif(tmp_path / name, turn=1))
    assert [number_of(image) for image in found] == list(range(5))
    assert found[0].shape == numbered(0).shape
    turned = images(write_exif(tmp_path / f"turned_{name}", turn=6))
    assert len(turned) == 5


SOUNDS = [tone(1, hertz=hertz) for hertz in (300, 500, 700)]


@pytest.mark.parametrize(
    ("name", "flags", "number"),
    [
        ("a.mkv", {"default": 3}, 3),
        ("a.mkv", {"default": 2}, 2),
        ("a.mkv", {"default": 0, "aside": 1}, 2),
        ("a.mp4", {}, 1),
    ],
)
def test_the_default_track_is_heard_and_any_can_be_chosen(
    tmp_path: Path, name: str, flags: dict[str, int], number: int
) -> None:
    path = write_tracks(tmp_path / name, SOUNDS, **flags)
    assert pitch(path) == 100 + 200 * number
    assert [pitch(path, track) for track in (1, 2, 3)] == [300, 500, 700]
    assert read_sound(path).notes[0].startswith(f"track: audio {number} of 3")
    assert (probe(path).audio_tracks, probe(path).audio_track) == (3, number)
    assert probe(path, tracks=Tracks(audio=1)).audio_track == 1
    with pytest.raises(ClipError, match="has 3 audio tracks, and no track 4") as caught:
        read_sound(path, track=4)
    assert caught.value.status == "no_audio"
    with pytest.raises(ClipError, match="has 1 video track, and no track 2"):
        read_frames(path, rates=[1], track=2)
    with pytest.raises(ClipError, match="no track 2"):
        probe(path, tracks=Tracks(video=2))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
@pytest.mark.parametrize("flagged", [True, False])
def test_a_cover_is_no_video(tmp_path: Path, name: str, flagged: bool) -> None:
    beside = write_cover(tmp_path / name, tone(1), frames=25, flagged=flagged)
    assert len(images(beside)) == 25
    assert (probe(beside).codec, probe(beside).video_tracks) == ("h264", 1)
    alone = write_cover(tmp_path / f"sound_{name}", tone(1), frames=0, flagged=flagged)
    assert not probe(alone).has_video
    assert len(read_sound(alone).waveform.samples) == pytest.approx(16000, abs=1100)


def test_the_cover_of_an_mp3_is_no_video(tmp_path: Path) -> None:
    assert not probe(write_cover(tmp_path / "a.mp3", tone(1), frames=0)).has_video


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mov"])
def test_a_film_of_jpegs_is_no_cover(tmp_path: Path, name: str) -> None:
    path = write_pixels(tmp_path / name, "mjpeg", (160, 120), Fraction(1))
    assert [number_of(image) for image in images(path)] == list(range(5))


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("7.1", 8), ("quad", 4)])
def test_every_channel_is_heard(tmp_path: Path, layout: str, channels: int) -> None:
    levels = []
    for channel in range(channels):
        sound = np.zeros((channels, 16000), np.float32)
        sound[channel] = tone(1)[0]
        path = write_sound(tmp_path / f"{channel}.wav", sound, layout=layout)
        levels.append(read_sound(path).waveform.samples.std())
    assert min(levels) > 0.02
    if channels > 4:
        assert np.argmax(levels[:3]) == 2  # the centre, where people speak


def test_eight_channels_in_planes_are_measured_without_a_crash(tmp_path: Path) -> None:
    sound = np.zeros((8, 16000), np.float32)
    sound[:2] = np.concatenate([tone(1), -tone(1)])
    path = write_sound(tmp_path / "a.m4a", sound, layout="7.1", codec="aac")
    opposite = read_sound(path)
    assert opposite.notes[0].startswith("out-of-phase: channels cancel")
    assert opposite.waveform.samples.std() > 0.3


@pytest.mark.parametrize(
    ("name", "codec", "layout", "channels"),
    [
        ("a.wav", "pcm_s16le", "stereo", 2),
        ("a.wav", "pcm_u8", "stereo", 2),
        ("a.mp3", "libmp3lame", "stereo", 2),
        ("a.flac", "flac", "quad", 4),
    ],
)
def test_opposite_channels_are_heard(
    tmp_path: Path, name: str, codec: str, layout: str, channels: int
) -> None:
    sound = np.repeat(tone(3), channels, axis=0) * np.array([[1], [-1]] * (channels // 2))
    path = write_sound(tmp_path / name, sound, layout=layout, codec=codec)
    opposite = read_sound(path)
    assert opposite.waveform.samples.std() == pytest.approx(0.354, rel=0.08)
    assert opposite.notes == ("out-of-phase: channels cancel each other, so channel 1 is heard",)
    part = read_sound(path, start=1, end=2)
    assert part.waveform.samples.std() == pytest.approx(0.354, rel=0.08)
    assert len(part.waveform.samples) == 16000


def test_channels_that_differ_are_mixed(tmp_path: Path) -> None:
    one, other = tone(1), tone(1, hertz=700)
    for number, sound in enumerate(
        ([one, other], [one, 0 * one], [one, -0.5 * one], [0 * one, 0 * one])
    ):
        stereo = np.concatenate(sound)
        path = write_sound(tmp_path / f"{number}.wav", stereo, layout="stereo")
        mix = read_sound(path)
        assert mix.notes == ()
        np.testing.assert_allclose(mix.waveform.samples, stereo.mean(axis=0), atol=1e-4)
