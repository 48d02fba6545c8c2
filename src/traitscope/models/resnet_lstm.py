"""Frozen ResNet50 on ten faces, the sound of ten segments, an LSTM over both (resnet_lstm).

System: Characteristic_Prediction (ResNet50 + audio + LSTM, Keras). ``pool=flatten`` is theirs;
``pool=average`` has 132 million parameters fewer.

Where we differ: images are normalised for the framework the weights come from; audio features are
standardised on the fitting clips instead of by the batch; face and sound of a clip meet at the same
segment; the backbone stays in evaluation mode; the head ends in the target range; windows of the
frame (``windows=4`` in the recipe: the last four of ten pictures) are at random places in training
alone, and in the middle otherwise. ``bidirectional`` is what their README promises,
``time_pool=attention`` is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from einops import rearrange
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.nn.backbones import BackboneConfig, ResNet, Share, face_draw
from traitscope.nn.heads import AttentionPool, RangeHead, masked_mean
from traitscope.types import Batch, Draw, Rows, Target

WINDOW = 400 / 720
"""Side of a window as a share of the frame's height: 400 pixels of First Impressions' 720."""


class Config(BackboneConfig):
    """Sizes of the network."""

    segments: PositiveInt = 10
    """Equal parts of a clip: one face and the sound of each."""
    pool: Literal["flatten", "average"] = "flatten"
    """What is made of the backbone's map: all of it, or its mean over the picture."""
    windows: NonNegativeInt = 0
    """So many of the last segments show a window of the whole frame instead of the face."""
    face_pixels: NonNegativeInt = 0
    """Cut faces as upright squares of so many pixels (400 in theirs); 0 for chips of the face."""
    size: PositiveInt = 256
    """Side of a face, and of a window, in pixels."""
    hidden: PositiveInt = 1024
    """Units of the layer after the backbone."""
    embedding: PositiveInt = 128
    """Size a face is projected to."""
    audio_embedding: PositiveInt = 32
    """Size the sound of a segment is projected to."""
    dropout: Share = 0.2
    """Dropout of the projected face."""
    units: PositiveInt = 10
    """Units of the LSTM."""
    bidirectional: bool = False
    """Run a second LSTM from the end to the beginning."""
    time_pool: Literal["average", "attention"] = "average"
    """How the scores of the segments become the clip's."""

    @model_validator(mode="after")
    def _stored_maps(self) -> "Config":
        if self.embeddings and self.pool == "flatten":
            raise ValueError("embeddings are averages over the picture: they need pool=average")
        if self.windows and (self.embeddings or self.windows > self.segments):
            raise ValueError("windows are cut out of frames, of as many segments at most")
        return self


TINY = Config(
    segments=3,
    backbone="resnet18",
    pretrained=False,
    width=0.125,
    size=32,
    hidden=16,
    embedding=8,
    audio_embedding=8,
    dropout=0.0,
    time_pool="attention",
)


def inputs(config: Config) -> dict[str, Draw]:
    """A face per segment (random in training, the middle one otherwise), and its sound."""
    square = {"window": config.face_pixels} if config.face_pixels else {}
    faces = Draw(
        train=Rows("segments", config.segments),
        evaluate=Rows("even", config.segments),
        extract={"backend": "haar", "size": config.size, **square},
    )
    drawn = face_draw(config, faces, config.size)
    if config.windows:
        height = round(config.size / WINDOW)
        # Wide enough for all of a 16:9 picture: windows may lie anywhere in it.
        whole = (height, round(height * 16 / 9))
        # At the moments of the faces: a window shows the segment whose place it takes.
        drawn["faces"] = replace(drawn["faces"], group="segment")
        drawn["frames"] = Draw(group="segment", extract={"size": height}, size=whole)
    return {
        **drawn,
        "short_term": Draw(
            train=Rows("even", config.segments),
            evaluate=Rows("even", config.segments),
            extract={"segments": config.segments},
            standardize=True,
        ),
    }


class Model(nn.Module):
    """Face and sound of each segment, projected, side by side, an LSTM, scores per segment."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.flatten = config.pool == "flatten"
        self.windows = config.windows
        self.backbone = ResNet(config)
        # A ResNet halves a picture five times, and rounds up.
        places = ((config.size + 31) // 32) ** 2 if self.flatten else 1
        # 34 features and their deltas; the batch decides nothing about their scale.
        (audio,) = shapes["short_term"]
        self.face = nn.Sequential(
            nn.Linear(self.backbone.channels * places, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.embedding),
            nn.Dropout(config.dropout),
        )
        self.sound = nn.Linear(audio, config.audio_embedding)
        self.lstm = nn.LSTM(
            config.embedding + config.audio_embedding,
            config.units,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        width = config.units * (2 if config.bidirectional else 1)
        self.score = nn.Linear(width, len(targets))
        self.to_range = RangeHead(targets)
        self.attention = AttentionPool(width) if config.time_pool == "attention" else None

    def load_pretrained(self) -> None:
        """Start the backbone from ImageNet if the settings say so."""
        self.backbone.load_pretrained()

    def forward(self, batch: Batch) -> Tensor:
        """``faces`` (clips, segments, 3, size, size), ``short_term`` (clips, segments, 68).

        With windows, ``frames`` (clips, segments, 3, height, width) as well.
        """
        if self.windows:
            batch = self._with_windows(batch)
        if self.flatten:
            has_face = batch.masks["faces"]
            maps = self.backbone.maps(batch)
            clips = has_face.shape[0]
            features = rearrange(maps, "(clips rows) ... -> clips rows (...)", clips=clips)
        else:
            features, has_face = self.backbone(batch)
        mask = has_face & batch.masks["short_term"]
        both = torch.cat([self.face(features), self.sound(batch.streams["short_term"])], dim=2)
        # Rows that are not there go in as zeros: what fills them in a batch must not be heard.
        states, _ = self.lstm(both * rearrange(mask, "clips rows -> clips rows 1"))
        # Scores of segments, not a score of the last: the LSTM has ten units to remember with.
        scores = self.to_range(self.score(states))
        if self.attention is None:
            return masked_mean(scores, mask)
        return (scores * self.attention(states, mask)).sum(dim=1)

    def _with_windows(self, batch: Batch) -> Batch:
        """Put windows of the frames in the places of the last faces."""
        # Frames were drawn at the faces' moments, of which only the last are looked at.
        faces, frames = batch.streams["faces"], batch.streams["frames"][:, -self.windows :]
        side = faces.shape[-1]
        # A random window in evaluation would give a clip another score every time.
        random = self.training
        cut = rearrange(frames, "clips rows ... -> (clips rows) ...")
        if random:
            windows = torch.stack([_window(frame, side, random=True) for frame in cut])
        else:
            windows = _window(cut, side, random=False)
        windows = rearrange(windows, "(clips rows) ... -> clips rows ...", clips=faces.shape[0])
        pictures = torch.cat([faces[:, : -self.windows], windows], dim=1)
        masks = [
            batch.masks["faces"][:, : -self.windows],
            batch.masks["frames"][:, -self.windows :],
        ]
        return replace(
            batch,
            streams={**batch.streams, "faces": pictures},
            masks={**batch.masks, "faces": torch.cat(masks, dim=1)},
        )


def _window(frame: Tensor, side: int, *, random: bool) -> Tensor:
    """A square of frames (..., 3, height, width), at a random place or in the middle."""
    spare = [length - side for length in frame.shape[-2:]]
    top, left = (int(torch.randint(s + 1, ())) if random else s // 2 for s in spare)
    return frame[..., top : top + side, left : left + side]


FOREIGN = ((r"^(?:\w+\.)*?(conv1|bn1|layer[1-4])\.", r"backbone.network.\1."),)
"""Names in files of other programs -> ours: ResNets of torchvision and timm."""
