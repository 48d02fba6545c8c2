"""Any streams of a clip side by side in one small transformer, with a variance for each score.

Ours; no published system. Each stream becomes tokens (runs of rows, projected) and one summary
token (means, spreads, changes, and what learned patterns over a few rows add up to). All tokens of
all streams attend to each other, and each target looks at them by a query of its own. A stream that
a clip has not got, or that modality dropout hides in training, is one learned token, so that the
same weights score a recording without sound or without a face.

Sources: attention of Vaswani et al., 2017, https://arxiv.org/abs/1706.03762; hidden streams in
training of Neverova et al., 2015, https://arxiv.org/abs/1501.00102; a variance beside the mean,
learned with beta-NLL, of Seitzer et al., 2022, https://arxiv.org/abs/2203.09168 (the loss
``gaussian``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.backbones import Share
from traitscope.nn.heads import RangeHead, masked_mean, sinusoids
from traitscope.types import Batch, Draw, Rows, Target

CONTRACT = {"gradient": "its variance learns from the loss gaussian alone (tested by itself)"}


class Tokens(BaseConfig):
    """How one stream becomes tokens."""

    rows: PositiveInt = 450
    """Rows of a clip: a random run of a longer one in training, the middle otherwise."""
    patch: PositiveInt = 15
    """Rows of one token."""
    seconds: PositiveFloat = 1 / 30
    """From one row to the next, so that all streams share one clock."""
    columns: tuple[str, ...] = ()
    """Patterns of the columns to take; empty for all."""
    extract: dict[str, Any] = Field(default_factory=dict)
    """What is needed of the extractor's settings."""


class Config(BaseConfig):
    """Which streams, and the sizes of the transformer."""

    streams: dict[str, Tokens] = Field(
        default_factory=lambda: {
            "signals": Tokens(extract={"rate": "native"}),
            # A window of sound every 25 ms.
            "short_term": Tokens(rows=600, patch=20, seconds=0.025),
        }
    )
    """Stream -> how it becomes tokens: signals, sound, or embeddings of faces, voices, words."""
    width: PositiveInt = 96
    """Size of a token."""
    layers: PositiveInt = 2
    """Layers of the transformer."""
    heads: PositiveInt = 4
    """Heads of its attention."""
    kernel: PositiveInt = 9
    """Rows that a learned pattern spans."""
    dropout: Share = 0.2
    """Dropout of the transformer and before the heads."""
    hide: Share = 0.15
    """How often a stream of a clip is hidden in training; one always stays."""

    @model_validator(mode="after")
    def _fitting_sizes(self) -> "Config":
        if not self.streams:
            raise ValueError("streams is empty: name one at least")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be split among {self.heads} heads")
        return self


TINY = Config(
    streams={
        "signals": Tokens(rows=20, patch=5, columns=("gaze_angle_*",)),
        "audio_embedding": Tokens(rows=4, patch=1, seconds=1.0),
    },
    width=16,
    layers=1,
    heads=2,
    kernel=3,
    dropout=0.0,
    hide=0.5,
)


def inputs(config: Config) -> dict[str, Draw]:
    """Runs of rows of every stream, each of which a clip may lack."""
    return {
        name: Draw(
            train=Rows("window", tokens.rows),
            evaluate=Rows("all", tokens.rows),
            extract=tokens.extract,
            columns=tokens.columns,
            standardize=True,
            optional=True,
        )
        for name, tokens in config.streams.items()
    }


@dataclass
class Gaussian:
    """A mean and a variance for each score.

    Attributes:
        prediction: (clips, targets) in the units of the labels.
        log_variance: (clips, targets) in squared shares of each target's range.
    """

    prediction: Tensor
    log_variance: Tensor


class Patches(nn.Module):
    """Runs of rows -> tokens with their place in time."""

    def __init__(self, features: int, tokens: Tokens, width: int) -> None:
        super().__init__()
        self.rows, self.seconds = tokens.patch, tokens.seconds
        # Beside the values stands whether a row is there: 0 is also the mean.
        self.project = nn.Linear(tokens.patch * (features + 1), width)

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(clips, rows, features), (clips, rows) -> (clips, tokens, width), (clips, tokens)."""
        known = torch.cat([values, mask[..., None].to(values)], dim=2)
        # A whole run of zeros, and then a cut: how much lacks would be one number to an exporter.
        whole = (known.shape[1] + self.rows - 1) // self.rows * self.rows
        known = nn.functional.pad(known, (0, 0, 0, self.rows))[:, :whole]
        runs = rearrange(
            known, "clips (tokens rows) size -> clips tokens (rows size)", rows=self.rows
        )
        seen = rearrange(known[..., -1], "clips (tokens rows) -> clips tokens rows", rows=self.rows)
        # Tenths of a second, so that the shortest wave of the sines spans what a face does.
        step = self.rows * self.seconds * 10
        places = sinusoids(runs.shape[1], self.project.out_features, values.device, step=step)
        return self.project(runs) + places.to(values), seen.any(dim=2)


class Summary(nn.Module):
    """All rows of a stream -> one token: statistics, which a few hundred clips suffice to read."""

    def __init__(self, features: int, config: Config) -> None:
        super().__init__()
        self.patterns = nn.Conv1d(features, config.width, config.kernel, padding="same")
        size = 3 * features + 2 * config.width
        self.project = nn.Sequential(
            nn.LayerNorm(size), nn.Dropout(config.dropout), nn.Linear(size, config.width)
        )

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, features), zero where hidden, and (clips, rows) -> (clips, width)."""
        patterns = self.patterns(rearrange(values, "clips rows size -> clips size rows")).relu()
        patterns = rearrange(patterns, "clips size rows -> clips rows size")
        # A change from or to a row that is not there is none.
        pairs = mask[:, 1:] & mask[:, :-1]
        changes = masked_mean((values[:, 1:] - values[:, :-1]).abs(), pairs)
        statistics = [*_moments(values, mask), changes, *_moments(patterns, mask)]
        token: Tensor = self.project(torch.cat(statistics, dim=1))
        return token


def _moments(rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd of (clips, rows, size) over the rows that are there: (clips, size) each."""
    mean = masked_mean(rows, mask)
    spread = masked_mean((rows - mean[:, None]) ** 2, mask)
    # Where nothing varies the slope of a root is endless.
    return mean, (spread + 1e-5).sqrt()


class Model(nn.Module):
    """Tokens of all streams, a transformer, and a query, a mean and a variance per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config, width = config, config.width
        sizes = {name: shapes[name][-1] for name in config.streams}
        self.patches = nn.ModuleDict(
            {_key(n): Patches(sizes[n], t, width) for n, t in config.streams.items()}
        )
        self.summaries = nn.ModuleDict({_key(n): Summary(sizes[n], config) for n in config.streams})
        # What tokens of a stream have in common, and what stands for one that is not there.
        self.kinds = nn.Parameter(0.02 * torch.randn(len(sizes), width))
        self.missing = nn.Parameter(0.02 * torch.randn(len(sizes), width))
        layer = nn.TransformerEncoderLayer(
            width,
            config.heads,
            2 * width,
            config.dropout,
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.queries = nn.Parameter(0.02 * torch.randn(len(targets), width))
        self.look = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Parameter(0.02 * torch.randn(len(targets), width))
        self.offset = nn.Parameter(torch.zeros(len(targets)))
        self.spread = nn.Linear(width, 1)
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Gaussian:
        """Streams (clips, rows, columns) with masks -> mean and log variance (clips, targets)."""
        tokens, shown = self._tokens(batch)
        # norm_first: the last layer's output has not been normalised yet.
        seen = self.norm(self.encoder(tokens, src_key_padding_mask=~shown))
        queries = self.queries.expand(seen.shape[0], -1, -1)
        looked, _ = self.look(queries, seen, seen, key_padding_mask=~shown, need_weights=False)
        found = self.dropout(looked)
        scores = (found * self.score).sum(dim=2) + self.offset
        # From a thousandth to the whole of the range: a variance of 0 has an endless likelihood.
        log_variance = self.spread(found)[..., 0].clamp(-14, 0)
        return Gaussian(self.to_range(scores), log_variance)

    def _tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Tokens of all streams (clips, tokens, width), and which of them are there."""
        names = list(self.config.streams)
        there = torch.stack([batch.masks[name].any(dim=1) for name in names], dim=1)
        there = there & ~self._hidden(there)
        tokens, shown = [], []
        for place, name in enumerate(names):
            seen = there[:, place]
            mask = batch.masks[name] & seen[:, None]
            values = batch.streams[name].float().flatten(2) * mask[..., None]
            runs, known = self.patches[_key(name)](values, mask)
            summary = self.summaries[_key(name)](values, mask)
            one = torch.where(seen[:, None], summary, self.missing[place])
            tokens.append(torch.cat([one[:, None], runs], dim=1) + self.kinds[place])
            shown.append(torch.cat([torch.ones_like(seen)[:, None], known], dim=1))
        return torch.cat(tokens, dim=1), torch.cat(shown, dim=1)

    def _hidden(self, there: Tensor) -> Tensor:
        """Which streams (clips, streams) are hidden this time; never all that a clip has."""
        if not self.training or not self.config.hide:
            return torch.zeros_like(there)
        luck = torch.rand(there.shape, device=there.device)
        kept = luck.masked_fill(~there, -1).argmax(dim=1, keepdim=True)
        return (luck < self.config.hide).scatter(1, kept, value=False)


def _key(name: str) -> str:
    """A stream's name as that of a part of a network, which must not hold a dot."""
    return name.replace(".", "_")
