"""What is said as a vector: the mean of a text encoder's tokens (extra ``text``).

Transcript in; one row out. The encoder is any of Hugging Face's, from a folder or the local cache.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import PositiveInt

from traitscope.extract._text import TextConfig, text_of
from traitscope.extras import require
from traitscope.nn.text_encoder import WHY, Encoder, fill, read_encoder
from traitscope.types import Inputs, Stream

VERSION = 2
NEEDS = ("stream:transcript",)
CONTRACT = {"extracts": "its encoder is fetched by the user; tests use a small random one"}


class Config(TextConfig):
    """Settings of the embedding."""

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Name of an encoder in the cache, or a folder that holds one."""
    max_tokens: PositiveInt = 256
    """Tokens that are read; the rest of a longer text is not."""


class Extractor:
    """Compute the embedding of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row."""
        transcript = inputs.streams["transcript"]
        torch = require("torch", extra="text", why=WHY)
        encoder, network = _opened(self._config.encoder)
        ids, mask = encoder.tokens([text_of(inputs)], self._config.max_tokens)
        with torch.inference_mode():
            output = network(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask).long())
        rows = output.last_hidden_state[0].float().numpy()
        values = rows.mean(axis=0, keepdims=True).astype(np.float32)
        columns = tuple(f"{number:04d}" for number in range(values.shape[1]))
        info = {**transcript.info, "tokens": int(mask.sum())}
        return Stream(time=transcript.time, values=values, columns=columns, info=info)


@lru_cache(maxsize=1)
def _opened(name: str) -> tuple[Encoder, Any]:
    """Encoder and network, kept from clip to clip."""
    encoder = read_encoder(name)
    network = encoder.network()
    fill(network, name)
    return encoder, network.eval()
