"""Training-time changes of what was drawn; one file each; off in evaluation, inside train only.

A file has a ``Config`` with ``streams``, the streams it changes where a model draws them, and one
function: ``augment(streams, masks, config, rng)`` for the streams of one clip, with one draw for
all of them, or ``mix(own, other, config, rng)`` for two clips of a batch. Images arrive as
(rows, 3, height, width), normalised; numbers as (rows, columns), standardised where the Draw says
so; a missing row is zero and False in its mask, and stays so. Arrays that come in are not changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope import registry
from traitscope.config import Config, build
from traitscope.errors import ConfigError

Streams = Mapping[str, NDArray[Any]]
Masks = Mapping[str, NDArray[np.bool_]]
Changed = tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.bool_]]]
Sample = tuple[Streams, Masks, Mapping[str, float]]
"""Streams, masks and labels of one clip."""


@dataclass(frozen=True)
class Augmentation:
    """One chosen transform with its settings.

    Attributes:
        name: its file.
        config: its settings.
        augment: changes the streams of one clip; None for one of a batch.
        mix: mixes two clips of a batch, see ``mixup``; None for one of a clip.
    """

    name: str
    config: Config
    augment: Callable[[Streams, Masks, Any, np.random.Generator], Changed] | None = None
    mix: Callable[[Sample, Sample, Any, np.random.Generator], Sample] | None = None


def settle(
    settings: Mapping[str, Mapping[str, Any]], drawn: Iterable[str]
) -> tuple[Augmentation, ...]:
    """Check the settings of the chosen transforms, in the order in which they are applied.

    Args:
        settings: transform -> settings that differ from its defaults.
        drawn: the streams the model draws.

    Raises:
        ConfigError: a transform or setting does not exist, or changes no drawn stream.
    """
    streams = set(drawn)
    chosen = []
    for name, given in settings.items():
        module = registry.load("augment", name)
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
        one, two = getattr(module, "augment", None), getattr(module, "mix", None)
        chosen.append(Augmentation(name, config, augment=one, mix=two))
    return tuple(chosen)


def change(
    streams: Streams, masks: Masks, chosen: Sequence[Augmentation], rng: np.random.Generator
) -> Changed:
    """Put one clip through the chosen transforms, in their order."""
    changed, shown = dict(streams), dict(masks)
    for transform in chosen:
        if transform.augment:
            changed, shown = transform.augment(changed, shown, transform.config, rng)
    return changed, shown


def blend(
    samples: Sequence[Sample], chosen: Sequence[Augmentation], rng: np.random.Generator
) -> list[Sample]:
    """Mix each clip of a batch with another of it, as the chosen transforms say."""
    mixed = list(samples)
    for transform in chosen:
        if transform.mix:
            # A permutation, so that every clip is the other one exactly once.
            others = [mixed[index] for index in rng.permutation(len(mixed))]
            mixed = [
                transform.mix(own, other, transform.config, rng)
                for own, other in zip(mixed, others, strict=True)
            ]
    return mixed
