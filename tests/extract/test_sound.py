"""Waveform, bands, spectrum and functionals, by hand."""

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from traitscope.errors import ClipError, ConfigError, MissingError
from traitscope.extract import _spool, filterbank, logmel, spectrum, waveform
from traitscope.extract._bands import mel_triangles
from traitscope.features import _stream_files
from traitscope.features.request import make_request
from traitscope.types import Clip, Inputs, Waveform

RATE = 16000


def sound(samples: np.ndarray, rate: int = RATE) -> Inputs:
    return Inputs(Clip("c"), waveform=Waveform(samples.astype(np.float32), rate))


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def finish(module, inputs: Inputs, **settings):
    return module.Extractor(module.Config(**settings)).finish(inputs)


def test_a_waveform_is_cut_padded_or_whole() -> None:
    samples = np.linspace(-1, 1, 1000)
    whole = finish(waveform, sound(samples))
    np.testing.assert_array_equal(whole.values, samples.astype(np.float32))
    assert whole.time[-1] == 999 / RATE
    assert (
        finish(waveform, sound(samples), samples=300).values.tolist() == whole.values[:300].tolist()
    )
    padded = finish(waveform, sound(samples), samples=1200).values
    assert padded.shape == (1200,)
    assert not padded[1000:].any()
    integers = finish(waveform, sound(samples), dtype="int16").values
    assert integers.dtype == np.int16
    assert (integers[0], integers[-1]) == (-32767, 32767)


def test_a_sound_without_samples_is_named() -> None:
    for module in (waveform, logmel, filterbank, spectrum):
        with pytest.raises(ClipError, match="clip 'c'") as caught:
            finish(module, sound(np.empty(0)))
        assert caught.value.status == "too_short"


def test_triangles_peak_at_one_and_overlap_to_one() -> None:
    triangles = mel_triangles(26, 512, RATE, 0.0, 8000.0)
    assert triangles.shape == (26, 257)
    assert triangles.max(axis=1).min() > 0.4
    assert triangles.sum(axis=0).max() <= 1 + 1e-9


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3400.0])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float) -> None:
    stream = finish(logmel, sound(sine(hertz)))
    assert stream.values.shape == (98, 64)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 66) / 2595) - 1)
    loudest = int(stream.values.mean(axis=0).argmax())
    assert corners[loudest] < hertz < corners[loudest + 2]
    np.testing.assert_allclose(stream.time[:2], [0.0125, 0.0225])


def test_ten_times_the_amplitude_is_a_hundred_times_the_power() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, RATE)
    quiet, loud = (finish(logmel, sound(k * noise)).values for k in (0.1, 1.0))
    np.testing.assert_allclose(loud - quiet, np.log(100), atol=1e-3)


def test_a_filter_bank_by_hand() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    stream = finish(filterbank, sound(samples), rows=None)
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    power = np.abs(np.fft.rfft(emphasised[160:560], 512)) ** 2 / 512
    expected = np.log(mel_triangles(26, 512, RATE, 0.0, 8000.0) @ power)
    np.testing.assert_allclose(stream.values[1], expected, atol=1e-4)


def test_a_filter_bank_has_its_declared_length() -> None:
    long, short = (finish(filterbank, sound(sine(500, s)), rows=50) for s in (2.0, 0.2))
    assert long.values.shape == short.values.shape == (50, 26)
    assert long.mask.all()
    assert short.mask.sum() == 18
    assert np.isnan(short.values[18:]).all()


def test_a_sine_has_its_amplitude_at_its_frequency() -> None:
    stream = finish(spectrum, sound(sine(440, 15.302, 4000, 0.25), 4000))
    (amplitude,) = stream.values
    assert len(amplitude) == 30604
    peak = int(amplitude.argmax())
    assert peak * stream.info["hertz_per_bin"] == pytest.approx(440, abs=0.05)
    assert amplitude[peak] == pytest.approx(0.25, rel=0.05)
    offset = finish(spectrum, sound(np.full(61208, 0.3), 4000)).values[0]
    assert offset[0] == pytest.approx(0.3, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "features"), [("egemaps", 88), ("emobase", 988), ("compare", 6373)]
)
def test_opensmile_gives_named_functionals(name: str, features: int) -> None:
    pytest.importorskip("opensmile", reason="the extra audio is not installed")
    request = make_request(name, {})
    module = sys.modules[f"traitscope.extract.{name}"]
    rng = np.random.default_rng(0)
    voiced = sine(150, 2.0) + sine(300, 2.0, level=0.2) + rng.normal(0, 0.01, 2 * RATE)
    stream = module.Extractor(request.config).finish(sound(voiced))
    assert stream.values.shape == (1, features)
    assert len(set(stream.columns)) == features
    if name == "egemaps":
        pitch = stream.values[0, stream.columns.index("F0semitoneFrom27.5Hz_sma3nz_amean")]
        assert pitch == pytest.approx(12 * np.log2(150 / 27.5), abs=0.5)
    with pytest.raises(ClipError, match="too short"):
        module.Extractor(request.config).finish(sound(np.zeros(100)))


def test_without_opensmile_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from traitscope.extract import egemaps

    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises((MissingError, ImportError), match="opensmile"):
        egemaps.Extractor(egemaps.Config()).finish(sound(sine(200)))


def test_bands_above_half_the_sample_rate_are_refused() -> None:
    with pytest.raises(ConfigError, match="low_hz must be below half the sample rate"):
        make_request("logmel", {"sample_rate_hz": 8000, "low_hz": 4000})


def long_sound(seconds: int) -> Inputs:
    """Noise that lies in a file, as long sound does."""
    samples = _spool.room((seconds * RATE,), np.float32)
    samples[:] = np.resize(np.random.default_rng(0).normal(0, 0.1, 99_991), len(samples))
    return sound(samples)


@pytest.mark.parametrize(
    ("module", "seconds", "settings"),
    [
        (waveform, 300, {}),
        (waveform, 300, {"dtype": "int16", "samples": 310 * RATE}),
        (logmel, 200, {"bands": 256}),
        (filterbank, 200, {"bands": 256, "rows": 20_000}),
    ],
)
def test_long_sound_takes_no_memory_and_gives_what_it_gives_in_memory(
    module, seconds, settings, tmp_path, monkeypatch
) -> None:
    inputs = long_sound(seconds)
    finish(module, sound(sine(440)), **settings)  # makes the tables that are kept
    tracemalloc.start()
    stream = finish(module, inputs, **settings)
    stream = replace(stream, info={**stream.info, "more": 1})
    _stream_files.write_stream(tmp_path / "a.npz", stream, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy writes 16 MB at a time, and copies them; all of it would be 50 to 130 MB and more
    assert peak < 40e6
    monkeypatch.setattr(_spool, "_IN_MEMORY", 2**40)
    whole = finish(module, inputs, **settings)
    kept = _stream_files.read_stream(tmp_path / "a.npz", {})
    for one in (stream, kept):
        np.testing.assert_array_equal(one.values, whole.values)
        np.testing.assert_array_equal(one.time, whole.time)
        np.testing.assert_array_equal(one.mask, whole.mask)
    if module is waveform:
        np.testing.assert_array_equal(whole.time, np.arange(len(whole.values)) / RATE)
