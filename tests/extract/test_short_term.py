import warnings
from pathlib import Path

import numpy as np
import pytest

from traitscope.errors import ClipError
from traitscope.extract.short_term import (
    BASE_COLUMNS,
    COLUMNS,
    Config,
    Extractor,
    short_term_features,
)
from traitscope.types import Clip, Inputs, Waveform

RATE = 16000
TIME = np.arange(3 * RATE) / RATE


def reference(signal: np.ndarray, window: int, step: int) -> np.ndarray:
    """What the package pyAudioAnalysis returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = pytest.importorskip("pyAudioAnalysis.ShortTermFeatures")
        return features.feature_extraction(signal, RATE, window, step)[0]


def int16(signal: np.ndarray) -> np.ndarray:
    return signal.astype(np.int16)


def signals() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(TIME)) * 3000
    bursts = np.where(np.sin(2 * np.pi * 1.3 * TIME) > 0, noise, 0)
    return {
        "noise": int16(noise),
        "bursts": int16(bursts),
        "tone": int16(20000 * np.sin(2 * np.pi * 440 * TIME)),
        "tone_on_dc": int16(200 * np.sin(2 * np.pi * 1000 * TIME) + 5000),
        "chirp": int16(9000 * np.sin(2 * np.pi * (50 + 900 * TIME) * TIME)),
        "barely_audible": rng.integers(-1, 2, len(TIME)).astype(np.int16),
        "silence": np.zeros(len(TIME), np.int16),
    }


def agrees(signal: np.ndarray, window: int, step: int) -> None:
    theirs, ours = reference(signal, window, step), short_term_features(signal, RATE, window, step)
    assert ours.shape == theirs.shape
    allowed = 1e-6 * np.maximum(np.ptp(theirs, axis=1, keepdims=True), 1)
    wrong = (np.abs(ours - theirs) > allowed).any(axis=1)
    assert not wrong.any(), [COLUMNS[i] for i in np.nonzero(wrong)[0]]


@pytest.mark.parametrize(("window", "step"), [(800, 400), (4800, 4800), (801, 333), (1600, 800)])
@pytest.mark.parametrize("name", list(signals()))
def test_values_are_those_of_the_package(name: str, window: int, step: int) -> None:
    agrees(signals()[name], window, step)


@pytest.mark.shared
@pytest.mark.parametrize(("window", "step"), [(800, 400), (48000, 48000)])
def test_speech_gives_the_values_of_the_package(shared: Path, window: int, step: int) -> None:
    from scipy.io import wavfile

    rate, samples = wavfile.read(shared / "data/clips/speech_two_speakers.wav")
    assert rate == RATE
    agrees(samples, window, step)


def test_int16_and_float_give_equal_results() -> None:
    for signal in signals().values():
        as_float = (signal / 2**15).astype(np.float32)
        np.testing.assert_array_equal(
            short_term_features(signal, RATE, 800, 400),
            short_term_features(as_float, RATE, 800, 400),
        )


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = signals()["chirp"]
    whole = short_term_features(signal, RATE, 800, 400)
    monkeypatch.setattr("traitscope.extract.short_term._BATCH_SAMPLES", 7000)
    np.testing.assert_allclose(short_term_features(signal, RATE, 800, 400), whole, atol=1e-9)


def test_simple_features_by_hand() -> None:
    square = np.tile([1.0, 1.0, -1.0, -1.0], 400)
    values = dict(zip(COLUMNS, short_term_features(square, RATE, 800, 800)[:, 0], strict=True))
    assert values["zcr"] == pytest.approx(399 / 799)  # a change every second sample
    assert values["energy"] == pytest.approx(1.0)
    assert values["energy_entropy"] == pytest.approx(np.log2(10))
    assert values["spectral_centroid"] == pytest.approx(0.5, abs=0.01)  # fs / 4
    assert values["spectral_flux"] == 0
    assert values["delta_energy"] == 0


def test_windows_too_small_for_the_package_still_have_chroma() -> None:
    values = short_term_features(signals()["tone"], RATE, 160, 160)
    chroma = values[[COLUMNS.index(f"chroma_{n}") for n in range(1, 13)]]
    assert np.isfinite(values).all()
    assert (chroma.sum(axis=0) > 0).all()


def test_sound_shorter_than_a_window_has_no_rows() -> None:
    assert short_term_features(np.zeros(799), RATE, 800, 400).shape == (68, 0)
    assert short_term_features(np.zeros(0), RATE, 800, 400).shape == (68, 0)


def run(samples: np.ndarray, **settings):
    waveform = Waveform(samples.astype(np.float32), RATE)
    return Extractor(Config(**settings)).finish(Inputs(Clip("c"), waveform=waveform))


def test_the_stream_has_named_columns_and_the_middle_of_each_window() -> None:
    stream = run(np.sin(TIME * 1000))
    assert stream.columns == COLUMNS
    assert len(COLUMNS) == 68
    assert stream.values.shape == (119, 68)
    np.testing.assert_allclose(stream.time[:3], [0.025, 0.05, 0.075])
    assert BASE_COLUMNS[:2] == ("zcr", "energy")


def test_segments_cut_the_clip_into_equal_windows() -> None:
    stream = run(np.sin(TIME * 1000), segments=10)
    np.testing.assert_allclose(stream.time, 0.15 + 0.3 * np.arange(10))


def test_silence_is_finite() -> None:
    assert np.isfinite(run(np.zeros(RATE)).values).all()


def test_too_short_sound_is_named() -> None:
    with pytest.raises(ClipError, match="too short for one window") as caught:
        run(np.zeros(700))
    assert caught.value.status == "too_short"
