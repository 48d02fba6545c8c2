"""Any streams of a clip side by side in one small transformer, with a variance for each score.

Ours; no published system. Each stream becomes tokens (runs of rows, projected) and one summary
token (means, spreads, extremes, changes, and what learned patterns over a few rows add up to). All
tokens of all streams attend to each other, and each target looks at them by a query of its own. A
stream that a clip has not got, or that modality dropout hides in training, is one learned token, so
that the same weights score a recording without sound or without a face.

    rows of a stream -> runs ------------> tokens \
                     -> statistics ------> token   > transformer -> a query per target -> + -> score
                              |                                                           |
                              +---------------- a weight for each (direct) ---------------+

The direct weights make it the linear model of those statistics plus what attention finds beside it:
on a few hundred clips the first is nearly all there is to learn, and attention alone learns it
slowly and with noise (wide and deep, Cheng et al., 2016, https://arxiv.org/abs/1606.07792).

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
from torch import Tensor, distributed, nn

from traitscope.config import Config as BaseConfig
from traitscope.learners.columns import FARTHEST
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
    thin: Share = 0.5
    """Dropout of the statistics: for weights on standardised columns the same as a ridge penalty
    (Wager et al., 2013, https://arxiv.org/abs/1307.1493)."""
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
    thin=0.0,
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


class Standardised(nn.Module):
    """Statistics of clips -> the same in standard deviations, as they were in training.

    Means and deviations run along while training, and each batch is seen by those: unlike under
    batch normalisation a clip's numbers do not hang on its neighbours, and one clip is a batch. A
    batch that is dealt to several devices is one.
    """

    mean: Tensor
    variance: Tensor
    clips: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("variance", torch.ones(columns))
        self.register_buffer("clips", torch.zeros(()))

    def forward(self, table: Tensor, seen: Tensor) -> Tensor:
        """(clips, columns) and which clips count (clips,) -> (clips, columns), 0 for the others."""
        if self.training:
            self._remember(table.detach(), seen[:, None].to(table.dtype))
        scaled = (table - self.mean) / (self.variance + 1e-4).sqrt()
        return scaled.clamp(-FARTHEST, FARTHEST) * seen[:, None]

    @torch.no_grad()
    def _remember(self, table: Tensor, weight: Tensor) -> None:
        """Take a batch into account: all clips alike at first, then the last hundred batches."""
        numbers = torch.stack([weight.sum(), weight.new_tensor(len(table))])
        sums = _of_all_devices(torch.cat([(table * weight).sum(dim=0), numbers]))
        count, size = sums[-2], sums[-1]
        self.clips += count
        # Without a limit, patterns would be measured by what they were before they had learnt.
        share = torch.maximum(count / self.clips.clamp(min=1), 0.01 * count / size)
        count = count.clamp(min=1)
        self.mean += share * (sums[:-2] / count - self.mean)
        squares = _of_all_devices(((table - self.mean) ** 2 * weight).sum(dim=0))
        self.variance += share * (squares / count - self.variance)


def _of_all_devices(sums: Tensor) -> Tensor:
    """Sums over the clips of a batch, of which this process may have a part."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(sums)
    return sums


class Summary(nn.Module):
    """All rows of a stream -> statistics, which a few hundred clips suffice to read."""

    def __init__(self, features: int, config: Config) -> None:
        super().__init__()
        self.patterns = nn.Conv1d(features, config.width, config.kernel, padding="same")
        self.standard = Standardised(count_statistics(features, config))
        self.dropout = nn.Dropout(config.thin)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, features), zero where hidden, and (clips, rows) -> (clips, size)."""
        patterns = self.patterns(rearrange(values, "clips rows size -> clips size rows")).relu()
        patterns = rearrange(patterns, "clips size rows -> clips rows size")
        # A change from or to a row that is not there is none.
        pairs = mask[:, 1:] & mask[:, :-1]
        changes = masked_mean((values[:, 1:] - values[:, :-1]).abs(), pairs)
        hidden = ~mask[..., None]
        largest = values.masked_fill(hidden, -_FAR).amax(dim=1)
        smallest = values.masked_fill(hidden, _FAR).amin(dim=1)
        statistics = [*_moments(values, mask), changes, largest, smallest]
        table = torch.cat([*statistics, *_moments(patterns, mask)], dim=1)
        table = self.standard(table, mask.any(dim=1))
        thinned: Tensor = self.dropout(table)
        return thinned


def count_statistics(features: int, config: Config) -> int:
    """How many numbers describe a stream of so many columns: five of each, two of each pattern."""
    return 5 * features + 2 * config.width


_FAR = 1e4
"""Beyond every standardised value: of a hidden row, so that it is neither largest nor smallest."""


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
        columns = {name: count_statistics(sizes[name], config) for name in config.streams}
        self.projections = nn.ModuleDict(
            {_key(name): nn.Linear(count, width) for name, count in columns.items()}
        )
        self.direct = nn.Linear(sum(columns.values()), len(targets), bias=False)
        # It begins as nothing: chance weights on hundreds of columns would be noise to unlearn.
        nn.init.zeros_(self.direct.weight)
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
        # An error of .14 of the range, as large as labels spread: beyond the clamp nothing learns.
        nn.init.constant_(self.spread.bias, -4.0)
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Gaussian:
        """Streams (clips, rows, columns) with masks -> mean and log variance (clips, targets)."""
        tokens, shown, statistics = self._tokens(batch)
        # norm_first: the last layer's output has not been normalised yet.
        seen = self.norm(self.encoder(tokens, src_key_padding_mask=~shown))
        queries = self.queries.expand(seen.shape[0], -1, -1)
        looked, _ = self.look(queries, seen, seen, key_padding_mask=~shown, need_weights=False)
        found = self.dropout(looked)
        scores = (found * self.score).sum(dim=2) + self.offset + self.direct(statistics)
        # From a thousandth to the whole of the range: a variance of 0 has an endless likelihood.
        log_variance = self.spread(found)[..., 0].clamp(-14, 0)
        return Gaussian(self.to_range(scores), log_variance)

    def _tokens(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens of all streams (clips, tokens, width), which are there, (clips, statistics)."""
        names = list(self.config.streams)
        there = torch.stack([batch.masks[name].any(dim=1) for name in names], dim=1)
        there = there & ~self._hidden(there)
        tokens, shown, tables = [], [], []
        for place, name in enumerate(names):
            seen = there[:, place]
            mask = batch.masks[name] & seen[:, None]
            values = batch.streams[name].float().flatten(2) * mask[..., None]
            runs, known = self.patches[_key(name)](values, mask)
            table = self.summaries[_key(name)](values, mask)
            summary = self.projections[_key(name)](table)
            tables.append(table)
            one = torch.where(seen[:, None], summary, self.missing[place])
            tokens.append(torch.cat([one[:, None], runs], dim=1) + self.kinds[place])
            shown.append(torch.cat([torch.ones_like(seen)[:, None], known], dim=1))
        return torch.cat(tokens, dim=1), torch.cat(shown, dim=1), torch.cat(tables, dim=1)

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
