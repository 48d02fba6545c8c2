"""What a ResNet101 sees of six frames, at two depths (the visual half of Amb-Fac).

Paper: Suman et al., "A Multi-Modal Personality Prediction System", 2022,
https://doi.org/10.1016/j.knosys.2021.107715. Its sound is ``audio_embedding_mlp``;
``traitscope fuse`` joins the two by clip.

Where we differ: scores of clips are joined by their ids (they were joined by position), and the
head ends in the target range.
"""

from collections.abc import Mapping, Sequence

from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.backbones import Share
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """What the frames are embedded by, and sizes."""

    backbone: str = "resnet101.tv_in1k"
    """The timm ResNet whose third and fourth group of layers are pooled."""
    pretrained: bool = True
    """With its published weights, from the local cache."""
    frames: PositiveInt = 6
    """Frames over the clip."""
    hidden: PositiveInt = 512
    """Units of the hidden layer."""
    dropout: Share = 0.5
    """Dropout before it."""


TINY = Config(backbone="test_resnet", pretrained=False, frames=2, hidden=8, dropout=0.0)

WEIGHTS = {
    "timm:resnet101.tv_in1k": "BSD-3-Clause; ImageNet-1k",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Average and maximum of two groups of layers, for each of a few frames (6 x 6144)."""
    settings = {
        "model": config.backbone,
        "pretrained": config.pretrained,
        "source": "frames",
        "frames": {"rule": "even", "count": config.frames},
        "stages": (3, 4),
        "pools": ("average", "max"),
    }
    # The extractor has chosen the frames already: all that are stored are taken.
    rows = Rows("all", config.frames)
    return {"embedding": Draw(rows, rows, extract=settings)}


class Model(nn.Module):
    """Dropout, a hidden layer, a score per frame, and their mean."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        (features,) = shapes["embedding"]
        self.score = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(features, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, len(targets)),
        )
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``embedding`` (clips, frames, features) -> (clips, targets)."""
        # Frames are scored apart: the published network has no order of time either.
        scores = self.to_range(self.score(batch.streams["embedding"]))
        return masked_mean(scores, batch.masks["embedding"])
