"""S2D: an image transformer that sees a talking face through landmark and temporal prompts.

Paper: Chen et al., "From Static to Dynamic: Adapting Landmark-Aware Image Models for Facial
Expression Recognition in Videos", 2023, https://arxiv.org/abs/2312.05447; here for traits, after
the thesis "Personality Traits Recognition via Fusion of Visual Features".

Three recipes: ``s2d_224`` is the paper's (16 frames, a prompt before each of 12 blocks),
``s2d_112`` the thesis as it was run (six copies of one frame, one prompt, drawings of the landmarks
as a second picture, a frozen transformer with dropout, no sigmoid; start it ``--from`` AffectNet
weights), ``s2d_112_clip`` ours of its size (16 frames, all of the transformer trains).

Where we differ: frames are spread over the whole clip instead of half a second of it; frames that
are missing are masked; the head ends in the target range but where ``sigmoid=false``; without the
third-party landmark network 68 landmarks are drawn as Gaussians on its 14 x 14 grid.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from einops import rearrange
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, RowScores, masked_mean
from traitscope.nn.images import AT_ONCE, Images, evaluated
from traitscope.nn.mobilefacenet import (
    INPUT_SIZE,
    MAP_CHANNELS,
    MobileFaceNet,
    load_landmark_network,
)
from traitscope.nn.pretrained import Backbone, freeze
from traitscope.nn.prompts import Prompt
from traitscope.types import Batch, Draw, Rows, Target

POINTS = 68
GRID = 14


class Config(BaseConfig):
    """Sizes, what is frozen, where landmarks come from."""

    size: Literal[32, 112, 224] = 224
    """Side of a face in pixels."""
    patch: Literal[8, 16] = 16
    """Side of a patch in pixels."""
    frames: PositiveInt = 16
    """Frames of a clip; 1 for the image model that a clip model can start from."""
    still: bool = False
    """Score single pictures, each shown as ``frames`` copies of itself, and average over a clip."""
    images: PositiveInt = 1
    """Random pictures of a clip per training epoch, for ``still``."""
    evaluation_images: Images = "all"
    """Evenly spaced pictures of a clip in evaluation, or all that are stored, for ``still``."""
    landmarks: Literal["heatmap", "images", "network", "none"] = "heatmap"
    """Landmark features: points as Gaussians, drawings of them as a second picture, what the
    third-party network makes of the face, or none (zeros)."""
    backbone: str = "vit_base_patch16_224"
    """A timm vision transformer."""
    dim: PositiveInt = 768
    """Width of the transformer."""
    depth: PositiveInt = 12
    """Blocks of the transformer."""
    heads: PositiveInt = 12
    """Attention heads of the transformer."""
    prompts: PositiveInt | Literal["all"] = "all"
    """How many blocks, from the first on, have a prompt before them."""
    prompt_dim: PositiveInt = 8
    """Width of MCP."""
    temporal_dim: PositiveInt = 192
    """Width of TMA."""
    temporal_heads: PositiveInt = 8
    """Attention heads of TMA."""
    freeze_backbone: bool = True
    """Train only prompts, norms, landmark projection and head."""
    pretrained: bool = False
    """Start the transformer from ImageNet weights in the local cache."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout before the head."""
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout inside every block, of a frozen one as well."""
    sigmoid: bool = True
    """Squeeze scores into the range of the targets; without it they may leave it."""
    checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, more time."""

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.dim % self.heads or self.temporal_dim % self.temporal_heads:
            raise ValueError("heads must divide dim, and temporal_heads temporal_dim")
        if not self.still and (self.images, self.evaluation_images) != (1, "all"):
            raise ValueError("images and evaluation_images have no effect without still=true")
        if self.prompts != "all" and self.prompts > self.depth:
            raise ValueError(f"{self.prompts} prompts for {self.depth} blocks")
        return self


TINY = Config(
    size=32,
    patch=8,
    frames=3,
    dim=16,
    depth=2,
    heads=2,
    prompt_dim=4,
    temporal_dim=8,
    temporal_heads=2,
    dropout=0.0,
)

WEIGHTS = {
    "timm:vit_base_patch16_224.augreg2_in21k_ft_in1k": "Apache-2.0; ImageNet-21k and 1k (s2d_*)",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Faces, and landmarks at the same times unless the network finds them in the faces."""
    train, evaluate = Rows("segments", config.frames), Rows("even", config.frames)
    if config.still:
        train, evaluate = Rows("random", config.images), evaluated(config.evaluation_images)
    faces = Draw(train=train, evaluate=evaluate, group="face", extract={"size": config.size})
    drawn = {"faces": faces}
    if config.landmarks == "images":
        drawn["drawings"] = Draw(group="face", extract={"size": config.size}, size=config.size)
    # The network needs no stream: it finds its landmarks in the faces.
    if config.landmarks == "heatmap":
        drawn["landmarks"] = Draw(group="face", extract={"points": POINTS, "space": "chip"})
    return drawn


@dataclass(frozen=True)
class Output:
    """Predictions (clips, targets), and the features (clips, dim) behind them, for SDL."""

    prediction: Tensor
    features: Tensor


class Model(nn.Module):
    """A vision transformer with a prompt before every block."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        self.published = Backbone(config.backbone, config.pretrained, _shape(config))
        self.colours, self.backbone = self.published.colours(), self.published.network()
        # Frozen here and not by a stage: prompts are made to work on a network that stays.
        if config.freeze_backbone:
            freeze(self.backbone)
            # The last norm is the only part of a frozen transformer that may adapt to traits.
            for tensor in self.backbone.norm.parameters():
                tensor.requires_grad_(True)
        self.network = MobileFaceNet() if config.landmarks == "network" else None
        if self.network is not None:
            freeze(self.network)
        # Trains also where the transformer is frozen: it has to learn what a landmark is.
        self.landmarks = _projection(config)
        # An image model has no time, and so none of the tensors that need it.
        temporal = config.temporal_dim if config.frames > 1 else 0
        sizes: dict[str, Any] = {"hidden": config.prompt_dim, "heads": config.temporal_heads}
        self.prompts = nn.ModuleList(
            Prompt(config.dim, temporal=temporal, **sizes) for _ in range(self._prompts)
        )
        # Zero at first: a clip model that starts from an image model sees its frames alike.
        self.moment = nn.Parameter(torch.zeros(config.frames, config.dim)) if temporal else None
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(config.dim, len(targets))
        self.to_range = RangeHead(targets, squash=config.sigmoid)
        self.num_features = config.dim

    @property
    def _prompts(self) -> int:
        return self.config.depth if self.config.prompts == "all" else self.config.prompts

    def load_pretrained(self) -> None:
        """Take published tensors: the transformer's if asked for, the landmark network's always.

        Raises:
            MissingError: a file is not on this machine. What a landmark network with random
                tensors sees would look like a result.
        """
        self.published.fill(self.backbone)
        self.complete(["network."])

    def complete(self, fresh: Iterable[str]) -> None:
        """Fill the landmark network if a run or file that training starts from did not.

        Args:
            fresh: names of the tensors that are as they were drawn.
        """
        if self.network is not None and any(name.startswith("network.") for name in fresh):
            load_landmark_network(self.network)

    def forward(self, batch: Batch) -> Output | RowScores:
        """``faces`` (clips, time, 3, size, size), ``landmarks`` (clips, time, 68, 2) -> Output.

        Instead of landmarks, ``drawings`` have the shape of ``faces``.
        """
        faces, mask = batch.streams["faces"], batch.masks["faces"]
        self._wake_dropout()
        frames = rearrange(faces, "b t c h w -> (b t) c h w")
        # Before anything is repeated or cut into parts: one set of marks per picture.
        marks = self._marks(batch, frames)
        if not self.config.still:
            features = self._features(frames, marks, mask)
            return Output(self.to_range(self.score(self.dropout(features))), features)
        # In evaluation all pictures of a clip are scored: not all at once.
        at_once = frames.shape[0] if torch.is_grad_enabled() else AT_ONCE
        parts = zip(frames.split(at_once), marks.split(at_once), strict=True)
        seen = [self._of_stills(*part) for part in parts]
        scores = self.to_range(self.score(self.dropout(torch.cat(seen))))
        return RowScores(rearrange(scores, "(b t) y -> b t y", b=mask.shape[0]), mask)

    def _of_stills(self, pictures: Tensor, marks: Tensor) -> Tensor:
        """Features of single pictures, each a clip of copies of itself."""
        # Copies are there or not as one, and a missing picture is left out of the mean later.
        shown = pictures.new_ones((pictures.shape[0], self.config.frames), dtype=torch.bool)
        return self._features(pictures, marks, shown)

    def _features(self, frames: Tensor, marks: Tensor, mask: Tensor) -> Tensor:
        """(frames, 3, size, size), marks (frames, ...), (clips, time) -> (clips, dim)."""
        # Nothing before the first prompt trains then: without this, its activations would be kept.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            tokens = self.backbone.patch_embed(self.colours(frames))
        landmarks = self._landmark_tokens(marks, tokens.shape[1])
        if self.config.still:  # copies differ from here on alone, by their moment
            copies = self.config.frames
            tokens, landmarks = (t.repeat_interleave(copies, dim=0) for t in (tokens, landmarks))
        tokens, landmarks = self._prompted(0, tokens, landmarks, mask)
        tokens = self._with_positions(tokens, mask)
        tokens = self.backbone.blocks[0](tokens)
        for index in range(1, self.config.depth):
            tokens, landmarks = self._step(index, tokens, landmarks, mask)
        seen = rearrange(self.backbone.norm(tokens)[:, 0], "(b t) d -> b t d", b=mask.shape[0])
        return masked_mean(seen, mask)

    def _wake_dropout(self) -> None:
        """Let dropout work in frozen blocks, too: these are held in evaluation mode as a whole."""
        if self.config.block_dropout:
            for part in self.backbone.modules():
                if isinstance(part, nn.Dropout):
                    part.train(self.training)

    def _step(
        self, index: int, tokens: Tensor, landmarks: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A prompt on the patch tokens, then a block on all of them."""

        def run(tokens: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
            if index >= self._prompts:
                return self.backbone.blocks[index](tokens), landmarks
            patches, prompt = self._prompted(index, tokens[:, 1:], landmarks, mask)
            tokens = torch.cat([tokens[:, :1], patches], dim=1)
            return self.backbone.blocks[index](tokens), prompt

        # From the second block on: what comes before is one block of twelve.
        if self.config.checkpointing and torch.is_grad_enabled():
            both: tuple[Tensor, Tensor] = checkpoint(run, tokens, landmarks, use_reentrant=False)
            return both
        return run(tokens, landmarks)

    def _prompted(
        self, index: int, patches: Tensor, landmarks: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        shared: Any = self.prompts[0].norm  # landmark tokens share the first norm
        changed: tuple[Tensor, Tensor] = self.prompts[index](patches, shared(landmarks), mask)
        return changed

    def _with_positions(self, patches: Tensor, mask: Tensor) -> Tensor:
        """Class token before the patches, then positions, then the moment of each frame."""
        # After the first prompt, which works on patches alone, as published.
        token = self.backbone.cls_token.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([token, patches], dim=1) + self.backbone.pos_embed
        if self.moment is None:
            return tokens
        moments = self.moment[: mask.shape[1]].repeat(mask.shape[0], 1)
        return tokens + moments[:, None]

    def _marks(self, batch: Batch, frames: Tensor) -> Tensor:
        """What is known of the landmarks of each frame: (frames, channels, side, side)."""
        if self.network is not None:
            small = functional.interpolate(frames, (INPUT_SIZE, INPUT_SIZE), mode="bilinear")
            return self.network.landmark_map(small)
        if "drawings" in batch.streams:
            return rearrange(batch.streams["drawings"], "b t c h w -> (b t) c h w")
        if "landmarks" in batch.streams:
            points = rearrange(batch.streams["landmarks"], "b t p xy -> (b t) p xy")
            tracked = rearrange(batch.masks["landmarks"], "b t -> (b t)")
            return heatmaps(points, tracked, GRID)
        return frames.new_zeros(frames.shape[0], POINTS, GRID, GRID)

    def _landmark_tokens(self, marks: Tensor, places: int) -> Tensor:
        """Landmark features on the grid of the patches: (frames, places, dim)."""
        side = round(places**0.5)
        if self.config.landmarks == "images":  # cut into patches, as the face is
            return rearrange(self.landmarks(marks), "f d h w -> f (h w) d")
        if marks.shape[-1] != side:
            marks = functional.adaptive_avg_pool2d(marks, side)
        tokens: Tensor = self.landmarks(rearrange(marks, "f c h w -> f (h w) c"))
        return tokens


def _projection(config: Config) -> nn.Module:
    """What makes tokens of landmark features: of maps a 1 x 1 convolution, on tokens a layer."""
    if config.landmarks == "images":
        return nn.Conv2d(3, config.dim, config.patch, config.patch)
    return nn.Linear(MAP_CHANNELS if config.landmarks == "network" else POINTS, config.dim)


def _shape(config: Config) -> dict[str, Any]:
    """Settings of the timm transformer."""
    grid = {"img_size": config.size, "patch_size": config.patch, "num_classes": 0}
    width = {"embed_dim": config.dim, "depth": config.depth, "num_heads": config.heads}
    # timm drops after attention and inside the MLP by this one rate.
    return {**grid, **width, "proj_drop_rate": config.block_dropout}


def heatmaps(points: Tensor, tracked: Tensor, grid: int) -> Tensor:
    """Draw points as Gaussians of one cell's width.

    Args:
        points: (frames, points, 2), x and y as shares of the picture.
        tracked: (frames,) False where nothing was found: those maps are empty.
        grid: cells per side.

    Returns:
        (frames, points, grid, grid), 1 at a point in the middle of a cell.
    """
    cells = torch.arange(grid, device=points.device, dtype=points.dtype) + 0.5
    # A Gaussian of the sum of squares is a product of one along x and one along y.
    gap = points[..., None] * grid - cells  # (frames, points, 2, grid)
    across, down = torch.exp(-(gap**2) / 2).unbind(dim=2)
    drawn = down[..., :, None] * across[..., None, :]
    seen = tracked[:, None] & torch.isfinite(points).all(dim=-1)
    return torch.where(seen[..., None, None], drawn, torch.zeros_like(drawn))


FOREIGN = (
    (r"^(?:\w+\.)??((?:cls_token|pos_embed)$|(?:patch_embed|blocks|norm)\.)", r"backbone.\1"),
)
"""Names in files of other programs -> ours: vision transformers of timm, from which S2D starts."""
