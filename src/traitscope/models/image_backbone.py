"""Any timm image network on single frames or faces, averaged over a clip (SENet, HRNet, Swin ...).

The one-image systems of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138 (Liao et
al., 2022), are recipes of this file. Where we differ: the head ends in the target range, and a clip
is scored on several evenly spaced images instead of a random one (``evaluation_images=all`` is the
benchmark's full test).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from traitscope.errors import shown
from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import ImagesConfig, image_draws, score_images
from traitscope.nn.initial import from_scratch
from traitscope.nn.low_rank import add_low_rank
from traitscope.nn.pretrained import OPTIONS, Backbone, freeze, hold_frozen
from traitscope.types import Batch, Draw, Target

LARGEST = 16_384
"""Of a number in ``options``: more is no network that fits a machine."""


class Config(ImagesConfig):
    """Which network, on what, how many images of a clip."""

    backbone: str = "seresnet50"
    """Any name of timm.list_models()."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of the network, as timm.create_model takes them."""
    pretrained: bool = False
    """Start from ImageNet weights in the local cache."""
    train: Literal["frozen", "lora", "full"] = "full"
    """What of the network trains beside its classifier; lora: additions of low rank."""
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rank of the additions of lora."""
    initial: Literal["timm", "he"] = "timm"
    """First weights without them: timm's, or the benchmark's (He; N(0, .01) in linear layers)."""

    @model_validator(mode="after")
    def _one_beginning(self) -> "Config":
        if self.pretrained and self.initial != "timm":
            raise ValueError("published weights take the place of first ones: leave initial out")
        return self

    @field_validator("options")
    @classmethod
    def _sizes_and_rates(cls, options: dict[str, Any]) -> dict[str, Any]:
        """A closed set of plain values: others name files, or make timm load them."""
        for key, value in options.items():
            if key not in OPTIONS:
                raise ValueError(f"has no setting {shown(key)}; there are {sorted(OPTIONS)}")
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, int | float | str) or (
                    not isinstance(one, str) and not abs(one) <= LARGEST
                ):
                    raise ValueError(f"{key} takes numbers up to {LARGEST}, not {shown(one)}")
        return options


TINY = Config(backbone="test_resnet", size=32, images=2, evaluation_images=2)

WEIGHTS = {
    "timm:convnextv2_tiny.fcmae_ft_in22k_in1k": "CC-BY-NC-4.0; ImageNet-22k, 1k (recipe convnext)",
    "timm:vit_small_patch14_dinov2.lvd142m": "Apache-2.0; LVD-142M, no labels (recipe dinov2)",
    "timm:seresnet50.a1_in1k": "Apache-2.0; ImageNet-1k",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Frames or faces: random ones in training, evenly spaced ones in evaluation."""
    return image_draws(config)


class Model(nn.Module):
    """A timm network whose classifier gives a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        # What the user gives comes last: it may ask for another head.
        settings = {"num_classes": len(targets), **config.options}
        self.published = Backbone(config.backbone, config.pretrained, settings)
        self.colours, self.network = self.published.colours(), self.published.network()
        classifier = self.network.get_classifier()
        if config.train == "lora":
            add_low_rank(self.network, config.rank, but=classifier)
        elif config.train == "frozen":
            freeze(self.network)
            classifier.requires_grad_(True)
        self.to_range = RangeHead(targets)
        # Only when it is made: a run that is loaded, or filled from ImageNet, brings its own.
        if config.initial == "he":
            from_scratch(self.network)

    def load_pretrained(self) -> None:
        """Take ImageNet weights from the local cache, but for the classifier."""
        self.published.fill(self.network)

    def train(self, mode: bool = True) -> "Model":
        """Change the mode of what trains: statistics of frozen layers do not drift."""
        super().train(mode)
        if self.config.train != "full":
            hold_frozen(self.network)
        return self

    def forward(self, batch: Batch) -> RowScores:
        """Images (clips, images, 3, size, size) -> scores of each image and their mean."""
        return score_images(batch, self.config.input, self._score)

    def _score(self, images: Tensor) -> Tensor:
        scores: Tensor = self.to_range(self.network(self.colours(images)))
        return scores


FOREIGN = ((r"^(?:(?:model|backbone|net|encoder)\.)?", "network."),)
"""Names in files of other programs -> ours: networks of timm and torchvision."""
