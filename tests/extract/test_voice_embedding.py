"""Voices as numbers: rows where somebody speaks, the level that the network knows, its file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from traitscope.errors import ClipError, DataError, MissingError
from traitscope.extract.voice_embedding import Config, Extractor
from traitscope.nn.voice_encoder import VoiceEncoder, amplified, mel_spectra
from traitscope.types import Clip, Inputs, Stream, Waveform

RATE = 16_000


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random tensors in the published layout, among others that nobody reads."""
    folder = tmp_path_factory.mktemp("voices")
    torch.manual_seed(0)
    tensors = {"similarity_weight": torch.ones(1), **VoiceEncoder().state_dict()}
    torch.save({"step": 1, "model_state": tensors}, folder / "pretrained.pt")
    return folder


def described(encoder: Path, samples: np.ndarray) -> Stream:
    inputs = Inputs(Clip("c"), waveform=Waveform(samples.astype(np.float32), RATE))
    return Extractor(Config(encoder=str(encoder))).finish(inputs)


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).normal(size=round(seconds * RATE))


def test_a_row_stands_for_a_stretch_of_1600_ms_every_800_ms(encoder: Path) -> None:
    stream = described(encoder, noise(4.0))
    assert stream.time.tolist() == pytest.approx([0.8, 1.6, 2.4, 3.2])
    assert stream.values is not None
    assert stream.values.shape == (4, 256)
    assert np.linalg.norm(stream.values, axis=1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    assert described(encoder, noise(0.3)).values.shape == (1, 256)  # type: ignore[union-attr]


def test_where_nobody_speaks_there_is_no_voice(encoder: Path) -> None:
    pause = np.concatenate([noise(3.2), noise(4.8, level=0.0005), noise(3.2)])
    stream = described(encoder, pause)
    assert stream.values is not None
    quiet = (stream.time > 4.0) & (stream.time < 7.2)
    assert not stream.mask[quiet].any()
    assert stream.mask[stream.time < 3.0].all()
    assert np.isnan(stream.values[quiet]).all()
    with pytest.raises(ClipError, match="is silence") as error:
        described(encoder, np.zeros(RATE))
    assert error.value.status == "silent"


def test_quiet_sound_is_raised_to_the_level_that_the_network_knows(encoder: Path) -> None:
    assert amplified(noise(2, 10**-2).astype(np.float32)) == pytest.approx(10**0.5, rel=0.01)
    assert amplified(noise(2, 0.1).astype(np.float32)) == 1.0
    one, other = (described(encoder, noise(2, level)).values for level in (0.01, 0.001))
    assert np.allclose(one, other, atol=1e-5)  # type: ignore[arg-type]


def test_spectra_do_not_depend_on_where_they_are_cut_and_show_a_tone_in_its_band() -> None:
    samples = noise(1.0).astype(np.float32)
    whole = mel_spectra(samples, 0, 100)
    parts = np.concatenate([mel_spectra(samples, first, 25) for first in range(0, 100, 25)])
    assert np.allclose(whole, parts, rtol=1e-5)
    # Slaney's scale has 200 / 3 Hz a mel up to 1 kHz; 40 bands share 45.2 of them, so the middle
    # of band n (from 1) is n * 73.6 Hz: 440 Hz lies nearest to that of band 6.
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    assert mel_spectra(tone, 50, 1)[0].argmax() == 5


def test_a_file_that_is_no_encoder_says_so(tmp_path: Path) -> None:
    torch.save({"model_state": torch.nn.Linear(3, 2).state_dict()}, tmp_path / "pretrained.pt")
    with pytest.raises(DataError, match=r"no encoder of voices: lstm\.weight_ih_l0 is not there"):
        described(tmp_path, noise(2))


def test_without_the_package_one_is_told_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="weights fetch pypi:resemblyzer"):
        described(Path("pypi:resemblyzer"), noise(2))
