from pathlib import Path

import numpy as np
import pytest

from traitscope.errors import ClipError
from traitscope.media import is_silent, read_sound, read_waveform
from traitscope.types import Waveform

from ..media_files import tone, write_sound, write_video


def test_a_wav_at_the_asked_rate_comes_back_exactly(tmp_path: Path) -> None:
    samples = (np.arange(-16000, 16000) / 32768).astype(np.float32)[None]
    path = write_sound(tmp_path / "a.wav", samples)
    waveform, problem = read_sound(path)
    np.testing.assert_array_equal(waveform.samples, samples[0])
    assert waveform.samples.dtype == np.float32
    assert (waveform.sample_rate_hz, problem) == (16000, None)


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


def test_seeking_in_aac_gives_the_same_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=150, sound=tone(6))
    whole = read_waveform(path).samples
    part = read_waveform(path, start=3, end=4).samples
    np.testing.assert_allclose(part, whole[48000:64000], atol=1e-3)


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
