"""What is said as a vector: the mean of a text encoder's tokens (extra ``text``).

Transcript in; one row out. The encoder is any of Hugging Face's, from a folder or the local cache.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import PositiveInt

from traitscope.errors import ClipError
from traitscope.extract._text import TextConfig, text_of
from traitscope.extras import require
from traitscope.nn.text_encoder import WHY, Encoder, fill, read_encoder, text_vectors
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

    @property
    def together(self) -> int:
        """Clips worth computing at once: enough to find texts of similar length among them."""
        return 64

    def finish_all(self, inputs: Sequence[Inputs]) -> list[Stream | ClipError]:
        """Give one row for each clip."""
        torch = require("torch", extra="text", why=WHY)
        encoder, network = _opened(self._config.encoder)
        texts = [text_of(one) for one in inputs]
        with torch.inference_mode():
            means, counts = text_vectors(encoder, network, texts, self._config.max_tokens)
        values = means.float().cpu().numpy()
        columns = tuple(f"{number:04d}" for number in range(values.shape[1]))
        streams: list[Stream | ClipError] = []
        for place, one in enumerate(inputs):
            transcript = one.streams["transcript"]
            info = {**transcript.info, "tokens": int(counts[place])}
            row = values[place : place + 1].copy()  # a view would hold all of them
            streams.append(Stream(time=transcript.time, values=row, columns=columns, info=info))
        return streams


@lru_cache(maxsize=1)
def _opened(name: str) -> tuple[Encoder, Any]:
    """Encoder and network, kept from clip to clip."""
    torch = require("torch", extra="text", why=WHY)
    encoder = read_encoder(name)
    network = encoder.network()
    fill(network, name)
    return encoder, network.eval().to("cuda" if torch.cuda.is_available() else "cpu")
