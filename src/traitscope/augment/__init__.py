"""Training-time changes of what was drawn; one file each; off in evaluation, inside train only.

A file has a ``Config`` with ``streams``, the streams it changes where a model draws them, and

- ``augment(streams, masks, config, rng)``: changes the rows of one clip where they are read, often
  in a worker process. Numbers are (rows, columns), standardised where the Draw says so; pictures
  are (rows, height, width, 3), uint8 RGB as they were decoded. Arrays that come in do not change.
- or ``draw(config, rng)``, which only decides, and ``pixels(images, drawn)``, which does it for the
  pictures of a whole batch on the device; with ``points(points, drawn)`` for what moves along. All
  of them follow after the first kind, in their order.
- or ``share(config, rng)`` and ``mix(own, other, share)`` for two clips of a batch, at the end.

A module of your own with these is a transform by its dotted path: ``augment={my_lab.shake: {}}``.

There is one draw per clip, for all of its streams. A missing row is zero and False in its mask,
and stays so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope import registry
from traitscope.errors import ConfigError

if TYPE_CHECKING:  # whoever reads examples does without torch, and without what checks settings
    from torch import Tensor

    from traitscope.config import Config

IMAGES = ("faces", "frames", "drawings")
POINTS = ("landmarks",)
"""Points in the images, x and y as shares of them: they move with what they mark."""
PARTS = ("augment", "draw", "pixels", "points", "share", "mix")
"""What a file may define, see above."""

Streams = Mapping[str, NDArray[Any]]
Masks = Mapping[str, NDArray[np.bool_]]
Changed = tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.bool_]]]
Sample = tuple[Streams, Masks, Mapping[str, float]]
"""Streams, masks and labels of one clip."""
Drawn = NDArray[np.float64]
"""What was decided for one clip (n,), or for each clip of a batch (clips, n)."""


@dataclass(frozen=True)
class Augmentation:
    """One chosen transform with its settings.

    Attributes:
        name: its file.
        config: its settings.
        augment: changes the streams of one clip.
        draw: decides, for one clip, what ``pixels`` and ``points`` do.
        pixels: changes pictures (clips, rows, 3, height, width), float in 0..255, on their device.
        points: changes points (rows, points, 2) of one clip along with its pictures.
        share: decides how much of itself a clip keeps when it is mixed.
        mix: mixes two clips of a batch, see ``mixup``; their pictures are mixed by ``pixels``.
    """

    name: str
    config: "Config"
    augment: Callable[[Streams, Masks, Any, np.random.Generator], Changed] | None = None
    draw: Callable[[Any, np.random.Generator], Drawn] | None = None
    pixels: Callable[["Tensor", Drawn], "Tensor"] | None = None
    points: Callable[[NDArray[Any], Drawn], NDArray[Any]] | None = None
    share: Callable[[Any, np.random.Generator], float] | None = None
    mix: Callable[[Sample, Sample, float], Sample] | None = None

    def shows_in(self, stream: str) -> bool:
        """Whether it changes the pictures of a stream; what mixes clips mixes all of them."""
        return self.pixels is not None and stream in getattr(self.config, "streams", (stream,))


def settle(
    settings: Mapping[str, Mapping[str, Any]],
    drawn: Iterable[str],
    *,
    typed: registry.Typed = registry.NOTHING,
) -> tuple[Augmentation, ...]:
    """Check the settings of the chosen transforms, in the order in which they are applied.

    Args:
        settings: transform -> settings that differ from its defaults.
        drawn: the streams the model draws.
        typed: what the user typed; no other dotted path is imported.

    Raises:
        ConfigError: a transform or setting does not exist, or changes no drawn stream.
    """
    from traitscope.config import build

    streams = set(drawn)
    chosen = []
    for name, given in settings.items():
        module = registry.load("augment", name, typed=typed)
        config: Config = build(module.Config, given, where=f"settings of augment {name}")
        touched = getattr(config, "streams", ())
        if touched and not streams & set(touched):
            raise ConfigError(
                f"augment.{name} has no effect: it changes {', '.join(touched)} and the model "
                f"takes {', '.join(sorted(streams))}. Leave it out, or set augment.{name}.streams."
            )
        for clash, why in getattr(module, "CLASHES", {}).items():
            if clash in streams and touched:
                raise ConfigError(f"augment.{name} cannot go with {clash}: {why}. Leave it out.")
        parts = {part: getattr(module, part, None) for part in PARTS}
        chosen.append(Augmentation(name, config, **parts))
    return tuple(chosen)


def change(
    streams: Streams, masks: Masks, chosen: Sequence[Augmentation], rng: np.random.Generator
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.bool_]], dict[str, Drawn]]:
    """Put one clip through the chosen transforms, in their order.

    Returns:
        Streams and masks, and what is still to be done to the pictures: transform -> its draw.
    """
    changed, shown = dict(streams), dict(masks)
    draws: dict[str, Drawn] = {}
    for transform in chosen:
        if transform.augment:
            changed, shown = transform.augment(changed, shown, transform.config, rng)
        elif transform.draw:
            drawn = transform.draw(transform.config, rng)
            draws[transform.name] = drawn
            for name in POINTS if transform.points else ():
                if name in changed and name in getattr(transform.config, "streams", ()):
                    assert transform.points is not None
                    moved, valid = np.zeros_like(changed[name]), shown[name]
                    moved[valid] = transform.points(changed[name][valid], drawn)
                    changed[name] = moved
    return changed, shown, draws


def blend(
    samples: Sequence[Sample], chosen: Sequence[Augmentation], rng: np.random.Generator
) -> tuple[list[Sample], list[dict[str, Drawn]]]:
    """Mix each clip of a batch with another of it, as the chosen transforms say.

    Returns:
        The samples, and for their pictures: transform -> (place of the other clip, own share).
    """
    mixed = list(samples)
    draws: list[dict[str, Drawn]] = [{} for _ in samples]
    for transform in chosen:
        if transform.mix is None or transform.share is None:
            continue
        before = list(mixed)
        # A permutation, so that every clip is the other one exactly once.
        for place, other in enumerate(rng.permutation(len(mixed))):
            share = transform.share(transform.config, rng)
            draws[place][transform.name] = np.array([other, share])
            if share < 1:
                mixed[place] = transform.mix(before[place], before[other], share)
    return mixed, draws
