"""Sound through an encoder on disk: a row per second, and plain words where there is none."""

from pathlib import Path

import numpy as np
import pytest

from traitscope.errors import ClipError, DataError, MissingError
from traitscope.extract.audio_embedding import SAMPLE_RATE_HZ, Config, Extractor
from traitscope.types import Clip, Inputs, Waveform

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wav2vec 2.0 of two narrow layers with random tensors."""
    place = tmp_path_factory.mktemp("encoder")
    config = transformers.Wav2Vec2Config(
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_stride=(20, 16),
        conv_kernel=(40, 16),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(place)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(place)
    return place


def embedded(samples: np.ndarray, encoder: Path, **settings: float) -> object:
    inputs = Inputs(Clip("a"), Waveform(samples.astype(np.float32), SAMPLE_RATE_HZ))
    return Extractor(Config(encoder=str(encoder), **settings)).finish(inputs)  # type: ignore[arg-type]


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE_HZ)) * 0.1


def test_there_is_a_row_per_second_and_a_rest_belongs_to_the_last(encoder: Path) -> None:
    stream = embedded(noise(3.4), encoder)
    assert stream.values.shape == (3, 12)
    np.testing.assert_allclose(stream.time, [0.5, 1.5, 2.7])
    assert np.isfinite(stream.values).all()
    assert len(embedded(noise(3.6), encoder).time) == 4
    assert len(embedded(noise(3.4), encoder, row_seconds=0.5).time) == 7


def test_a_row_hears_its_own_second(encoder: Path) -> None:
    sound = noise(3)
    before = embedded(sound, encoder).values
    sound[2 * SAMPLE_RATE_HZ + 4000 :] *= np.sin(np.arange(12_000) / 3)
    change = np.abs(embedded(sound, encoder).values - before).sum(axis=1)
    assert change.argmax() == 2


def test_loudness_has_no_say_where_the_encoder_wants_it_normalised(encoder: Path) -> None:
    loud, soft = (embedded(noise(2) * factor, encoder).values for factor in (1, 0.01))
    np.testing.assert_allclose(loud, soft, atol=0.02)


def test_a_long_sound_is_heard_in_parts_of_its_own(encoder: Path) -> None:
    sound = noise(45)
    whole = embedded(sound, encoder)
    assert whole.values.shape == (45, 12)
    first = embedded(sound[: 30 * SAMPLE_RATE_HZ], encoder)
    np.testing.assert_allclose(whole.values[:30], first.values, atol=1e-6)


def test_too_little_sound_is_a_reason(encoder: Path) -> None:
    with pytest.raises(ClipError, match="has 100 samples; an encoder needs 400"):
        embedded(noise(1)[:100], encoder)


def test_what_is_not_there_or_does_not_hear_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="Fetch it with: hf download nobody/nothing"):
        embedded(noise(1), Path("nobody/nothing"))
    transformers.BertConfig(vocab_size=8).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="is a 'bert', which does not read waveforms"):
        embedded(noise(1), tmp_path)
