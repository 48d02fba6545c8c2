"""Features of faces or frames by any image network of timm: streams of pictures in, vectors out.

Either the network's own embedding, or chosen stages, each pooled over its area. Amb-Fac's 6 x 6144
are ``model=resnet101 stages=[3,4] pools=[average,max]`` on six frames
(``source=frames frames={rule: even, count: 6}``).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError, ConfigError
from traitscope.extract import faces as _faces
from traitscope.extract import frames as _frames
from traitscope.media.pictures import decoded
from traitscope.types import Inputs, Stream

VERSION = 4
NEEDS = ("stream:faces",)

_STORED = Path("a picture of this clip")
_BATCH = 32
"""Pictures computed at once: more gain nothing on a processor, and 32 fit any GPU."""


class Config(BaseConfig):
    """Settings of the embedding."""

    model: str = "resnet18"
    """Name of a timm model."""
    pretrained: bool = True
    """Published weights, from the cache only; or random ones, for tests."""
    seed: int = 0
    """Of random weights."""
    source: Literal["faces", "frames"] = "faces"
    """The stream of pictures it reads."""
    size: PositiveInt = 224
    """Side in pixels; other pictures are resized, their shape not kept."""
    stages: tuple[Annotated[int, Field(ge=0, le=12)], ...] = ()
    """Numbers of the feature maps to pool (of a ResNet 0 is the stem, 1 to 4 its layers); empty
    for the network's own embedding."""
    pools: tuple[Literal["average", "max"], ...] = ("average",)
    """What is taken of each feature map; not used without stages."""
    faces: _faces.Config = _faces.Config()
    """Settings of the faces, when they are the source."""
    frames: _frames.Config = _frames.Config()
    """Settings of the frames, when they are the source."""


def needs(config: Config) -> tuple[str, ...]:
    """The stream that these settings read."""
    return (f"stream:{config.source}",)


class Extractor:
    """Compute the embedding of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def together(self) -> int:
        """Clips worth computing at once: as many as fill two batches with their pictures.

        Of clips at a rate nobody knows how many pictures they have, and most fill a batch alone.
        """
        source = self._config.faces if self._config.source == "faces" else self._config.frames
        return max(1, 2 * _BATCH // source.count) if source.count is not None else 1

    def finish_all(self, inputs: Sequence[Inputs]) -> list[Stream | ClipError]:
        """Give one row per picture of each clip; rows without one are NaN and not valid."""
        sources = [one.streams[self._config.source] for one in inputs]
        filled = [_filled(source) for source in sources]
        # (clip, row) of every picture: a batch does not end where a clip does
        places = [(clip, row) for clip, rows in enumerate(filled) for row in rows.tolist()]
        if not places:
            return [self._without(one) for one in inputs]
        network = open_network(self._config)
        vectors = np.concatenate(
            [
                network(_pixels([_picture(sources[c], r) for c, r in some], self._config.size))
                for some in _batches(places)
            ]
        )
        ends = np.cumsum([len(rows) for rows in filled])
        parts = np.split(vectors, ends[:-1])
        return [
            self._stream(source, rows, part) if len(rows) else self._without(one)
            for one, source, rows, part in zip(inputs, sources, filled, parts, strict=True)
        ]

    def _without(self, one: Inputs) -> ClipError:
        return ClipError(
            f"Clip {one.clip.id!r} has no pictures to embed. Check the video.",
            status="no_face" if self._config.source == "faces" else "no_video",
        )

    def _stream(
        self, source: Stream, filled: NDArray[np.intp], vectors: NDArray[np.float32]
    ) -> Stream:
        values = np.full((len(source.time), vectors.shape[1]), np.nan, dtype=np.float32)
        values[filled] = vectors
        return Stream(
            time=source.time,
            values=values,
            valid=source.mask,
            info={
                "units": f"timm {self._config.model}",
                **{name: source.info[name] for name in ("coverage",) if name in source.info},
            },
        )


def _filled(source: Stream) -> NDArray[np.intp]:
    """Rows that hold a picture."""
    return np.flatnonzero(source.mask) if source.images is not None else np.zeros(0, np.intp)


def _picture(source: Stream, row: int) -> bytes:
    assert source.images is not None
    return source.images[row]


@lru_cache(maxsize=1)  # clip after clip has the same settings, and a network takes memory
def open_network(config: Config) -> Any:
    """Make the function that embeds: (images, size, size, 3) in 0..255 -> (images, features).

    Colours are normalised as the network was taught.

    Raises:
        ConfigError: timm has no such model or stage.
        MissingError: its weights are not on this machine.
    """
    import torch

    from traitscope.nn.pretrained import taught_colours

    network = _create(config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)
    mean, sd = (np.array(values, np.float32) for values in taught_colours(config.model))
    # windowed transformers keep the channels last
    area = (1, 2) if str(getattr(network, "output_fmt", "")).endswith("NHWC") else (2, 3)
    pools = {"average": lambda x: x.mean(dim=area), "max": lambda x: x.amax(dim=area)}

    def embed(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        colours = (pictures / np.float32(255) - mean) / sd
        pixels = np.ascontiguousarray(colours.transpose(0, 3, 1, 2))
        with torch.inference_mode():
            try:
                out = network(torch.from_numpy(pixels).to(device))
            except AssertionError as error:  # some networks take one size alone
                raise ConfigError(
                    f"{config.model} does not take pictures of {config.size} px ({error}). Set "
                    f"another embedding.size."
                ) from error
            if config.stages:
                parts = [pools[pool](stage) for stage in out for pool in config.pools]
                out = torch.cat(parts, dim=1)
        array: NDArray[np.float32] = out.float().cpu().numpy()
        return array

    return embed


def _create(config: Config) -> Any:
    import torch

    from traitscope.nn.pretrained import check_network, timm_backbone

    check_network(config.model)
    settings: dict[str, Any] = {"num_classes": 0}
    if config.stages:
        settings = {"features_only": True, "out_indices": config.stages}
    # Random tensors by our own seed, and nothing taken from the caller's generator: a training
    # that extracts on the way draws the same batches as one that does not.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            return timm_backbone(
                config.model,
                pretrained=config.pretrained,
                setting="embedding.pretrained",
                **settings,
            ).eval()
        except (IndexError, AssertionError, RuntimeError) as error:
            if not config.stages:
                raise
            raise ConfigError(
                f"{config.model} has no feature maps {list(config.stages)} ({error}). Set other "
                f"embedding.stages; of a ResNet there are 0 to 4."
            ) from error


def _batches(places: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    for first in range(0, len(places), _BATCH):
        yield places[first : first + _BATCH]


def _pixels(images: Sequence[bytes], size: int) -> NDArray[np.uint8]:
    """Decode JPEGs to (images, size, size, 3)."""
    pixels = []
    for image in images:
        picture = np.asarray(decoded(image, _STORED))
        if picture.shape[:2] != (size, size):
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        pixels.append(picture)
    return np.stack(pixels)
