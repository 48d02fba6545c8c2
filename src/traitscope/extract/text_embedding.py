"""What is said as a vector: the mean of a text encoder's tokens (extra ``text``).

Transcript in; one row out. The encoder is any of Hugging Face's, from a folder or the local cache.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.extract import transcript
from traitscope.extras import require
from traitscope.nn.text_encoder import WHY, Encoder, fill, read_encoder
from traitscope.types import Inputs, Stream

VERSION = 2
NEEDS = ("stream:transcript",)
CONTRACT = {"extracts": "its encoder is fetched by the user; tests use a small random one"}


class Config(BaseConfig):
    """Settings of the embedding."""

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Name of an encoder in the cache, or a folder that holds one."""
    max_tokens: PositiveInt = 256
    """Tokens that are read; the rest of a longer text is not."""
    language: str = "en"
    """Of the transcript."""

    speaker: str | None = None
    """Whose words of the transcript, where speakers are labelled; everybody's when left out."""

    @property
    def transcript(self) -> transcript.Config:
        """Settings of the transcript that is read."""
        return transcript.Config(language=self.language, speaker=self.speaker)


class Extractor:
    """Compute the embedding of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row."""
        said = inputs.streams["transcript"]
        assert said.values is not None
        torch = require("torch", extra="text", why=WHY)
        encoder, network = _opened(self._config.encoder)
        ids, mask = encoder.tokens([str(said.values[0])], self._config.max_tokens)
        with torch.inference_mode():
            output = network(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask).long())
        rows = output.last_hidden_state[0].float().numpy()
        values = rows.mean(axis=0, keepdims=True).astype(np.float32)
        columns = tuple(f"{number:04d}" for number in range(values.shape[1]))
        info = {**said.info, "tokens": int(mask.sum())}
        return Stream(time=said.time, values=values, columns=columns, info=info)


@lru_cache(maxsize=1)
def _opened(name: str) -> tuple[Encoder, Any]:
    """Encoder and network, kept from clip to clip."""
    encoder = read_encoder(name)
    network = encoder.network()
    fill(network, name)
    return encoder, network.eval()
