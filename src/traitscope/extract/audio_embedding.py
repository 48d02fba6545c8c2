"""How a clip sounds as vectors: a row per second from any encoder of waveforms (extra ``text``).

Sound in; the mean of what the encoder gives within each second out. Any wav2vec 2.0, HuBERT, WavLM
... of Hugging Face, from a folder or the local cache (https://arxiv.org/abs/2006.11477,
https://arxiv.org/abs/2106.07447, https://arxiv.org/abs/2110.13900).
"""

from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from traitscope.errors import ClipError
from traitscope.extract._speech import SAMPLE_RATE_HZ, SpeechConfig
from traitscope.nn.sound_encoder import LEAST_SAMPLES, SoundEncoder, read_sound_encoder
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("audio",)
CONTRACT = {"extracts": "its encoder is fetched by the user; tests use a small random one"}

CHUNK_ROWS = 30
"""Rows heard at once. Attention takes memory with the square of the length; and an encoder that
was taught on utterances gains nothing from minutes."""


class Config(SpeechConfig):
    """Settings of the embedding."""

    encoder: str = "facebook/wav2vec2-base"
    """Name of an encoder in the cache, or a folder that holds one."""
    row_seconds: Annotated[float, Field(ge=0.1, le=30)] = 1.0
    """Length of what one row stands for."""


class Extractor:
    """Compute the embedding of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give a row per ``row_seconds``; a rest of less than half of one belongs to the last row.

        Raises:
            ClipError: the sound is too short for any row.
        """
        assert inputs.waveform is not None
        samples = inputs.waveform.samples
        if len(samples) < LEAST_SAMPLES:
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} has {len(samples)} samples; an encoder "
                f"needs {LEAST_SAMPLES}. Leave the clip out.",
                status="too_short",
            )
        encoder = _opened(self._config.encoder)
        length = round(self._config.row_seconds * SAMPLE_RATE_HZ)
        count = max(1, round(len(samples) / length))
        edges = np.append(np.arange(count) * length, len(samples))
        rows = []
        for first in range(0, count, CHUNK_ROWS):
            inside = edges[first : first + CHUNK_ROWS + 1]
            heard = encoder(samples[inside[0] : inside[-1]])
            # Vectors come at even steps; each belongs to the row that its middle lies in.
            middles = inside[0] + (np.arange(len(heard)) + 0.5) * (inside[-1] - inside[0]) / len(
                heard
            )
            place = np.searchsorted(inside, middles, side="right") - 1
            rows += [heard[place == row].mean(axis=0) for row in range(len(inside) - 1)]
        values = np.stack(rows).astype(np.float32)
        return Stream(
            time=(edges[:-1] + edges[1:]) / 2 / SAMPLE_RATE_HZ,
            values=values,
            columns=tuple(f"{number:04d}" for number in range(values.shape[1])),
            info={"units": f"embedding by {self._config.encoder}"},
        )


@lru_cache(maxsize=1)
def _opened(name: str) -> SoundEncoder:
    """The encoder, kept from clip to clip."""
    return read_sound_encoder(name)
