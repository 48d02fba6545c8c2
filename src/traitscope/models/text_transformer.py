"""Any text encoder of Hugging Face on transcripts, its tokens averaged (extra ``text``).

Ours, in the line of BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805) with sentence
vectors as means of tokens (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084). The
encoder stays frozen, gets low-rank additions (LoRA, Hu et al., 2021,
https://arxiv.org/abs/2106.09685), or trains in full. Architecture and tokenizer travel with the
tensors, so that a run needs no cache to predict.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError, MissingError
from traitscope.learners.words import texts_of
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.nn.low_rank import add_low_rank
from traitscope.nn.text_encoder import (
    Encoder,
    absent,
    byte_encoder,
    fill,
    read_encoder,
    text_vectors,
)
from traitscope.types import Batch, Draw, Target

EXTRA = "text"
CONTRACT = {"count": "its size is that of an encoder which the user chooses and fetches"}


class Config(BaseConfig):
    """Which encoder, and what of it trains."""

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Name of an encoder in the cache, or a folder that holds one; empty to train one from
    scratch, on bytes, with the architecture below."""
    architecture: dict[str, Any] = Field(default_factory=dict)
    """Of an encoder from scratch, with its model_type: bert, roberta ..."""
    pretrained: bool = True
    """Start from the encoder's tensors; false for random ones."""
    train: Literal["frozen", "lora", "full"] = "full"
    """What of the encoder trains beside the head."""
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of the additions of lora."""
    max_tokens: PositiveInt = 128
    """Tokens that are read; the rest of a longer text is not."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout before the head."""
    language: str = "en"
    """Of the transcripts."""

    @model_validator(mode="after")
    def _one_source(self) -> "Config":
        if bool(self.encoder) == bool(self.architecture):
            raise ValueError("give an encoder, or encoder='' and the architecture of a new one")
        if self.architecture and self.pretrained:
            raise ValueError("an encoder from scratch has no tensors: set pretrained=false")
        return self


LARGEST_DESCRIPTION = 64 * 2**20
"""Bytes of architecture and tokenizer; those of large vocabularies have 20 MB."""

TINY = Config(
    encoder="",
    architecture={
        "model_type": "bert",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    },
    pretrained=False,
    max_tokens=64,
    dropout=0.0,
)


def as_saved(config: Config) -> Config:
    """The settings of a model that is loaded from a run, which brings encoder and tokenizer.

    Nothing is built from settings and looked for in the cache: what is saved is checked, then
    built.
    """
    return config.model_copy(update={"encoder": "", "architecture": {}})


def inputs(config: Config) -> dict[str, Draw]:
    """The words alone."""
    return {"transcript": Draw(extract={"language": config.language})}


class Model(nn.Module):
    """Encoder, mean over tokens, linear head."""

    described: Tensor

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        self.spec: Encoder | None = None
        self.encoder: Any = None
        self.head: Any = None
        self.dropout = nn.Dropout(config.dropout)
        self.range = RangeHead(targets)
        self.targets = len(targets)
        self.register_load_state_dict_pre_hook(_build_as_saved)
        if config.architecture:
            self._build(byte_encoder(config.architecture))
            return
        try:
            if config.encoder:
                self._build(read_encoder(config.encoder))
                return
        except MissingError:  # training says what is missing
            pass
        self.register_buffer("described", torch.zeros(0, dtype=torch.uint8))

    def load_pretrained(self) -> None:
        """Take the encoder's published tensors, if asked to.

        Raises:
            MissingError: the encoder is not on this machine.
        """
        if self.spec is None:
            raise absent(self.config.encoder)
        if self.config.pretrained:
            plain = self.spec.network()
            fill(plain, self.config.encoder)
            self._build(self.spec, plain)

    def train(self, mode: bool = True) -> "Model":
        """Change the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.encoder is not None and self.config.train == "frozen":
            self.encoder.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Score ``transcript`` (clips, rows) of strings: (clips, targets)."""
        assert self.spec is not None
        if not self.training:
            mean, _ = text_vectors(self.spec, self.encoder, texts_of(batch), self.longest)
            return self.range(self.head(mean))
        ids, mask = self.spec.tokens(texts_of(batch), self.longest)
        device = self.range.low.device
        return self.score_tokens(
            torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
        )

    def score_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Score tokens (clips, tokens) where the mask (clips, tokens) is True: (clips, targets)."""
        output = self.encoder(ids, attention_mask=mask.long())
        mean = masked_mean(output.last_hidden_state, mask)
        return self.range(self.head(self.dropout(mean)))

    @property
    def longest(self) -> int:
        """Tokens that are read of a text."""
        assert self.spec is not None
        return min(self.config.max_tokens, _positions(self.spec))

    def _build(self, spec: Encoder, network: Any = None) -> None:
        """Take an encoder in, prepared to train as the settings say."""
        network = spec.network() if network is None else network
        width = int(network.config.hidden_size)
        if self.config.train != "full":
            network.requires_grad_(False)
        if self.config.train == "lora":
            add_low_rank(network, self.config.rank)
        self.spec, self.encoder = spec, network
        self.head = nn.Linear(width, self.targets)
        text = json.dumps([dict(spec.architecture), spec.tokenizer]).encode()
        content = torch.frombuffer(bytearray(text), dtype=torch.uint8).clone()
        self.register_buffer("described", content)


def _positions(spec: Encoder) -> int:
    """Tokens that the encoder can tell the places of; some keep two for themselves."""
    return max(1, int(spec.architecture.get("max_position_embeddings", 512)) - 2)


def _build_as_saved(module: Model, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Rebuild the encoder that a run was saved with, once its tensors are known to fit it."""
    saved = state.get(f"{prefix}described")
    if saved is None or torch.equal(saved.cpu(), module.described.cpu()):
        return
    try:
        if saved.dtype != torch.uint8 or saved.numel() > LARGEST_DESCRIPTION:
            raise ValueError("its description is no text of a sane size")
        architecture, tokenizer = json.loads(saved.cpu().numpy().tobytes())
        spec = Encoder(dict(architecture), str(tokenizer))
        spec.tokens(["a"], 8)
        with torch.device("meta"):  # as large as it says, without taking the memory yet
            sizes = {name: t.shape for name, t in spec.network().state_dict().items()}
    except Exception as error:  # whatever the parsers of two packages raise on damage
        raise DataError(
            f"The saved text encoder cannot be used: {error}. The checkpoint is damaged: train "
            f"again."
        ) from error
    saved_sizes = {
        tuple(t.shape) for name, t in state.items() if name.startswith(f"{prefix}encoder.")
    }
    if any(tuple(shape) not in saved_sizes for shape in sizes.values()):
        raise DataError(
            "The saved text encoder cannot be used: its tensors are not of the sizes it says. The "
            "checkpoint is damaged: train again."
        )
    module._build(spec)
