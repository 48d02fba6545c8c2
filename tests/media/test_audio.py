from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.media_files import tone, write_sound, write_video
from traitscope.errors import ClipError
from traitscope.media import is_silent, read_sound, read_waveform
from traitscope.types import Waveform


def test_a_wav_at_the_asked_rate_comes_back_exactly(tmp_path: Path) -> None:
    samples = (np.arange(-16000, 16000) / 32768).astype(np.float32)[None]
    path = write_sound(tmp_path / "a.wav", samples)
    sound = read_sound(path)
    waveform = sound.waveform
    np.testing.assert_array_equal(waveform.samples, samples[0])
    assert waveform.samples.dtype == np.float32
    assert (waveform.sample_rate_hz, sound.notes, sound.share) == (16000, (), 1.0)


@pytest.mark.parametrize(
    ("layout", "channels", "rate"),
    [("mono", 1, 8000), ("stereo", 2, 44100), ("5.1", 6, 48000), ("quad", 4, 22050)],
)
def test_any_layout_and_rate_becomes_mono_16_khz(
    tmp_path: Path, layout: str, channels: int, rate: int
) -> None:
    sound = np.repeat(tone(2, rate=rate, level=0.9), channels, axis=0)
    path = write_sound(tmp_path / "a.wav", sound, rate=rate, layout=layout)
    waveform = read_waveform(path)
    assert len(waveform.samples) == pytest.approx(32000, abs=40)
    assert 0.5 < np.abs(waveform.samples).max() <= 1.0
    spectrum = np.abs(np.fft.rfft(waveform.samples))
    assert np.argmax(spectrum) / waveform.duration_seconds == pytest.approx(440, abs=1)


def test_one_channel_of_two_is_heard_at_half_level(tmp_path: Path) -> None:
    sound = np.concatenate([tone(1, level=0.8), np.zeros((1, 16000), np.float32)])
    path = write_sound(tmp_path / "a.wav", sound, layout="stereo")
    assert np.abs(read_waveform(path).samples).max() == pytest.approx(0.4, abs=0.01)


def test_start_and_end_cut_to_the_sample(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(4, hertz=3.3))
    whole = read_waveform(path).samples
    part = read_waveform(path, start=1.5, end=2.25).samples
    np.testing.assert_array_equal(part, whole[24000:36000])


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_an_interval_beyond_the_sound_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.wav":
        write_sound(path, tone(2))
    else:
        write_video(path, frames=100, sound=tone(2))
    with pytest.raises(
        ClipError, match=r"has no sound from 3 s to 3\.5 s; it lasts 2\.\d\d s"
    ) as caught:
        read_waveform(path, start=3, end=3.5)
    assert caught.value.status == "empty"


def test_seeking_in_aac_gives_the_same_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=150, sound=tone(6))
    whole = read_waveform(path).samples
    part = read_waveform(path, start=3, end=4).samples
    np.testing.assert_allclose(part, whole[48000:64000], atol=1e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize(("pictures", "sound"), [(0.0, 0.7), (0.4, 0.0), (10.0, 10.5)])
def test_sound_has_the_times_of_the_pictures_wherever_it_begins(
    tmp_path: Path, name: str, pictures: float, sound: float
) -> None:
    """A file may start anywhere, and its tracks apart: time zero is the first picture."""
    times = [pictures + n / 25 for n in range(50)]
    silence, beep = np.zeros((1, 16000), np.float32), tone(1, hertz=1000)
    path = write_video(
        tmp_path / name,
        times=times,
        sound=np.concatenate([silence, beep], axis=1),
        sound_start=sound,
    )
    samples = read_waveform(path).samples
    heard = np.flatnonzero(np.abs(samples) > 0.1)[0] / 16000
    assert heard == pytest.approx(sound + 1 - pictures, abs=0.005)
    part = read_waveform(path, start=0.5, end=2).samples
    heard = np.flatnonzero(np.abs(part) > 0.1)[0] / 16000
    assert heard == pytest.approx(max(sound + 0.5 - pictures, 0), abs=0.005)


def test_much_sound_before_the_first_picture_is_left_out_and_named(tmp_path: Path) -> None:
    times = [2 + n / 25 for n in range(25)]
    path = write_video(tmp_path / "a.mkv", times=times, sound=tone(3))
    sound = read_sound(path)
    assert sound.waveform.duration_seconds == pytest.approx(1, abs=0.08)
    assert sound.notes == ("early-sound: 2.00 s before the first picture are left out",)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_lost_sound_is_a_pause_and_moves_nothing(tmp_path: Path, name: str) -> None:
    sound = np.concatenate([tone(2), np.zeros((1, 16000), np.float32), tone(1)], axis=1)
    write_video(tmp_path / f"whole_{name}", frames=100, sound=sound)
    with (
        av.open(str(tmp_path / f"whole_{name}")) as source,
        av.open(str(tmp_path / name), "w") as target,
    ):
        copies = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            lost = packet.stream.type == "audio" and packet.pts is not None
            if packet.size and not (lost and 0.5 < packet.pts * packet.time_base < 1.5):
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    samples = read_waveform(tmp_path / name).samples
    assert len(samples) == pytest.approx(4 * 16000, abs=1300)
    assert np.abs(samples[10000:22000]).max() < 0.01
    assert np.abs(samples[16000 * 3 - 4000 : 16000 * 3 - 400]).max() < 0.01
    assert np.abs(samples[16000 * 3 + 400 :][:8000]).max() > 0.4


@pytest.mark.shared
def test_sound_that_begins_with_the_second_scene_is_heard_there(shared: Path) -> None:
    samples = read_waveform(shared / "data/clips/pyfeat_face_noface.mov").samples
    assert len(samples) / 16000 == pytest.approx(2.43 + 3.99, abs=0.05)
    assert not samples[: round(2.42 * 16000)].any()
    assert np.abs(samples[round(2.6 * 16000) :]).max() > 0.1


def test_a_silent_track_is_sound_and_no_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=25, sound=np.zeros((1, 16000), np.float32))
    assert is_silent(read_waveform(path))
    assert not is_silent(read_waveform(write_sound(tmp_path / "b.wav", tone(1))))


def test_no_track_is_no_audio(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="has no audio track") as caught:
        read_waveform(write_video(tmp_path / "a.mp4", frames=3))
    assert caught.value.status == "no_audio"


def test_a_track_without_data_is_undecodable(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    path.write_bytes(path.read_bytes()[:80])
    waveform_or_error = pytest.raises(
        ClipError, match=r"No sound .* can be decoded|cannot be opened"
    )
    path.write_bytes(path.read_bytes()[:44])
    with waveform_or_error as caught:
        read_waveform(path)
    assert caught.value.status == "undecodable"


def test_long_sound_lies_in_a_file_and_is_the_same(tmp_path: Path, monkeypatch) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 40_000)).astype(np.float32)
    path = write_sound(tmp_path / "a.wav", noise)
    short = read_waveform(path).samples
    monkeypatch.setattr("traitscope.media.audio._LONG_SAMPLES", 10_000)
    monkeypatch.setattr("traitscope.media.audio._BLOCK", 3_000)
    long = read_waveform(path).samples
    assert isinstance(long, np.memmap)
    np.testing.assert_array_equal(long, short)
    assert not is_silent(Waveform(long, 16000))
