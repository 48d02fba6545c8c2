import gc
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.media_files import number_of, numbered, tone, write_sound, write_video
from traitscope.errors import ClipError
from traitscope.media import Spread, probe, read_frames, read_waveform


def read(path: Path, **settings):
    settings.setdefault("rates", ["native"])
    return [(frame, flags) for frame, flags in read_frames(path, **settings)]


def test_one_decode_serves_several_rates(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50)
    frames = read(path, rates=[5, 25, 2])
    assert [number_of(f.image) for f, _ in frames] == list(range(50))
    assert [number_of(f.image) for f, flags in frames if flags[0]] == list(range(0, 50, 5))
    assert [number_of(f.image) for f, flags in frames if flags[2]] == [0, 12, 25, 37]
    np.testing.assert_allclose([f.time for f, _ in frames], np.arange(50) / 25)


def test_frames_that_no_rate_wants_are_not_delivered(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50)
    assert [number_of(f.image) for f, _ in read(path, rates=[5])] == list(range(0, 50, 5))


def test_pixels_and_times_do_not_depend_on_the_other_rates(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=40)
    alone = {f.time: f.image for f, _ in read(path, rates=[4])}
    beside = {f.time: f.image for f, flags in read(path, rates=["native", 4]) if flags[1]}
    assert alone.keys() == beside.keys()
    assert all(np.array_equal(alone[t], beside[t]) for t in alone)


def test_variable_frame_rate_keeps_true_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.52, 1.3, 1.34]
    path = write_video(tmp_path / "vfr.mp4", times=times)
    frames = read(path, rates=["native", 5], end=1.38)
    np.testing.assert_allclose([f.time for f, _ in frames], times, atol=1e-4)
    assert [number_of(f.image) for f, flags in frames if flags[1]] == [0, 2, 4]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_metadata_is_applied(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "r.mp4", frames=3, rotation=rotation)
    image = read(path)[0][0].image
    expected = np.rot90(numbered(0), -rotation // 90)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 12
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]
    assert info.rotation_degrees == rotation


def test_start_and_end_are_half_open_and_times_are_relative(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100)
    frames = read(path, start=1.0, end=2.0)
    assert [number_of(f.image) for f, _ in frames] == list(range(25, 50))
    np.testing.assert_allclose([f.time for f, _ in frames], np.arange(25) / 25, atol=1e-6)


def test_a_start_between_frames_still_serves_the_first_moment(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50)
    frames = read(path, start=1.01, rates=[5])
    assert [number_of(f.image) for f, _ in frames] == [26, 30, 35, 40, 45]


def test_an_interval_shorter_than_a_frame_still_has_its_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50)
    assert [number_of(f.image) for f, _ in read(path, start=1.0, end=1.0001, rates=[5])] == [25]


def test_an_interval_beyond_the_end_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=25)
    with pytest.raises(ClipError, match=r"no frame from 5 s to 6 s; it lasts 1\.00 s") as caught:
        read(path, start=5, end=6)
    assert caught.value.status == "empty"


@pytest.mark.parametrize("name", ["live.mkv", "raw.h264"])
def test_moments_are_spread_over_a_file_that_does_not_say_how_long_it_is(
    tmp_path: Path, name: str
) -> None:
    """Recordings of browsers are such files: the length was not known when they began."""
    path = write_video(tmp_path / name, frames=100, options={"live": "1"} if "live" in name else {})
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe(path).duration_seconds == pytest.approx(4, abs=0.13)
    frames = read(path, rates=[Spread("even", 4)])
    np.testing.assert_allclose([f.time for f, _ in frames], [0.5, 1.5, 2.5, 3.5], atol=0.1)


@pytest.mark.parametrize(("first", "sound"), [(7.5, 2), (0.0, 9)])
def test_pictures_that_begin_late_or_end_before_the_sound_are_as_long_as_they_are(
    tmp_path: Path, first: float, sound: float
) -> None:
    """Matroska says one length for all tracks, counted from zero."""
    times = [first + n / 25 for n in range(75)]
    path = write_video(tmp_path / "a.mkv", times=times, sound=tone(sound), sound_start=first)
    assert probe(path).duration_seconds == pytest.approx(3, abs=0.03)
    reader = read_frames(path, rates=[Spread("even", 3)])
    np.testing.assert_allclose([f.time for f, _ in reader], [0.5, 1.5, 2.5], atol=0.05)
    assert reader.problem is None


def test_frames_do_not_pile_up(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=200)
    gc.collect()
    gc.freeze()  # what other tests left behind need not be looked through
    gc.disable()  # nothing may hang on the collector of cycles
    try:
        most = 0
        for number, _ in enumerate(read_frames(path, rates=["native"])):
            if number % 25 == 24:
                most = max(most, sum(isinstance(o, av.VideoFrame) for o in gc.get_objects()))
    finally:
        gc.enable()
        gc.unfreeze()
    assert most < 20


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", frames=1)
    frames = read(path, rates=[5, "native"])
    assert [(f.time, flags) for f, flags in frames] == [(0.0, (True, True))]


def test_high_frame_rates_are_thinned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "fast.mp4", frames=240, fps=240)
    assert [number_of(f.image) for f, _ in read(path, rates=[5])] == [0, 48, 96, 144, 192]


@pytest.mark.parametrize("name", ["with space.mp4", 'it\'s "quoted".mp4', "Müller.mp4", "a:b.mp4"])
def test_odd_file_names_are_names(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / "plain.mp4", frames=2).rename(tmp_path / name)
    assert len(read(path)) == 2
    assert probe(path).has_video


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="There is no file") as caught:
        read(tmp_path / "none.mp4")
    assert caught.value.status == "missing"


def test_a_file_of_0_bytes_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    for attempt in (lambda: read(path), lambda: probe(path)):
        with pytest.raises(ClipError, match="has 0 bytes") as caught:
            attempt()
        assert caught.value.status == "empty"


def test_a_text_file_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("this is not a film\n" * 50)
    with pytest.raises(ClipError, match="cannot be opened as media") as caught:
        read(path)
    assert caught.value.status == "undecodable"


def test_a_playlist_cannot_open_the_network(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(ClipError, match=r"cannot be (opened|decoded)|no video"):
        read(path)


def test_a_file_without_its_end_is_undecodable(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50)  # the index comes last
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ClipError) as caught:
        read(path)
    assert caught.value.status == "undecodable"


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=150, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    reader = read_frames(path, rates=["native"])
    numbers = [number_of(frame.image) for frame, _ in reader]
    assert 30 < len(numbers) < 140
    assert numbers[:30] == list(range(30))
    assert "video ends at" in str(reader.problem)


@pytest.mark.parametrize("rate", ["native", 5.0])
@pytest.mark.parametrize("frames", [25, 40])
def test_a_short_file_that_ends_early_says_so_too(
    tmp_path: Path, frames: int, rate: float | str
) -> None:
    """Less than a second is lost; the index of the file names all of its pictures."""
    path = write_video(tmp_path / "a.mp4", frames=frames, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    reader = read_frames(path, rates=[rate])
    assert list(reader)
    assert any(note.startswith("truncated: video ends at") for note in reader.notes)
    assert 0.1 < reader.share < 0.9


def test_a_last_picture_that_is_shown_for_long_is_no_early_end(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=[0, 0.04, 0.08, 0.12, 0.9])
    reader = read_frames(path, rates=["native"])
    assert len(list(reader)) == 5
    assert (reader.notes, reader.share) == ((), 1.0)


def test_damage_in_the_middle_is_noted_and_decoding_goes_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=150, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 400] = bytes(400)
    path.write_bytes(data)
    frames = [frame.time for frame, _ in read_frames(path, rates=["native"])]
    assert len(frames) > 100
    assert (np.diff(frames) > 0).all()


def test_sound_alone_has_no_video(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    with pytest.raises(ClipError, match="has no video track") as caught:
        read(path)
    assert caught.value.status == "no_video"
    info = probe(path)
    assert (info.has_video, info.has_audio, info.width) == (False, True, None)
    assert (info.sample_rate_hz, info.channels) == (16000, 1)


def test_probe_tells_the_facts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50, sound=tone(2, rate=44100), rate=44100)
    info = probe(path)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert info.fps == pytest.approx(25)
    assert (info.width, info.height, info.codec) == (96, 64, "h264")
    assert (info.has_audio, info.sample_rate_hz, info.channels) == (True, 44100, 1)


@pytest.mark.shared
def test_a_phone_clip_with_variable_rate_keeps_rising_times(shared: Path) -> None:
    path = shared / "data/clips/pyfeat_face_noface.mov"
    times = [f.time for f, _ in read(path, rates=[5])]
    assert len(times) == 33  # the last frame, of 6.36 s, is still on display at 6.4 s
    np.testing.assert_allclose(times, np.arange(33) / 5, atol=0.05)


def test_a_codec_that_nobody_knows_is_a_named_failure(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", frames=10, sound=tone(0.4)).read_bytes()
    for codec in (b"V_MPEG4/ISO/AVC", b"A_AAC"):
        path = tmp_path / "strange.mkv"
        path.write_bytes(whole.replace(codec, codec[:2] + b"X" * (len(codec) - 2)))
        read_one = read if codec.startswith(b"V") else read_waveform
        with pytest.raises(ClipError, match="codec that is not known here") as caught:
            read_one(path)
        assert caught.value.status == "undecodable"
        assert probe(path).has_video
