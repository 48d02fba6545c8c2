"""How far a vector lies from those a model was fitted on, and from where on that is unusual.

In: one vector per clip, of the run's own features. Out: a distance, and a threshold that held-out
clips of the same corpus exceed once in a hundred times. The distance has two parts: how far along
the main directions of the training clips (their leading components), and how far away from all of
them, as principal component analysis monitors a process (Jackson and Mudholkar, 1979).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_COMPONENTS = 20  # directions kept at most: those of a few hundred clips are noise beyond
_PER_COMPONENT = 5  # clips that it takes to know a direction
_FARTHEST = 30.0  # sds: one broken column is unusual enough, and must not overflow
_SHARE = 0.99
_MARGIN = 1.1  # beyond the farthest, where there are too few for a share of one in a hundred
FEWEST = 20
"""Vectors below which nothing is known of what is usual."""


@dataclass(frozen=True)
class Familiar:
    """Where the vectors of a corpus lie.

    Attributes:
        mean, sd: (features,) of the fitted vectors.
        components: (directions, features), of unit length.
        spread: (directions,) standard deviation along each.
        rest: mean squared length of what the directions leave over.
        threshold: distance that is unusual.
    """

    mean: Array
    sd: Array
    components: Array
    spread: Array
    rest: float
    threshold: float = math.inf

    def distance(self, vectors: Array) -> Array:
        """Distances (clips,) of vectors (clips, features); a missing feature counts as usual."""
        scaled = np.clip((vectors - self.mean) / self.sd, -_FARTHEST, _FARTHEST)
        scaled = np.nan_to_num(scaled)
        along = scaled @ self.components.T
        away = scaled - along @ self.components
        within = np.mean((along / self.spread) ** 2, axis=1) if len(self.spread) else 0.0
        return np.asarray(np.sqrt(within + np.mean(away**2, axis=1) / self.rest))


def familiar(fitted: Array, held_out: Array) -> Familiar | None:
    """Learn where vectors lie, and from where on one is unusual.

    Args:
        fitted: (clips, features), NaN where a feature is missing.
        held_out: (clips, features) of other clips of the corpus; with fewer than `FEWEST`, half
            of the fitted ones are held out for the threshold.

    Returns:
        None where there are too few vectors.
    """
    if len(held_out) < FEWEST:
        fitted, held_out = fitted[::2], np.concatenate([fitted[1::2], held_out])
    if min(len(fitted), len(held_out)) < FEWEST:
        return None
    known = _learn(fitted)
    distances = np.sort(known.distance(held_out))
    place = math.ceil((len(distances) + 1) * _SHARE) - 1
    enough = place < len(distances)
    threshold = distances[place] if enough else distances[-1] * _MARGIN
    return Familiar(**{**vars(known), "threshold": float(threshold)})


def _learn(fitted: Array) -> Familiar:
    seen = np.isfinite(fitted)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, fitted, 0.0).sum(axis=0) / count
    centred = np.where(seen, fitted - mean, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / count)
    # A column that never varied is one nobody can be far away in, and not one of infinite scale.
    sd = np.where(sd > 1e-9 * np.maximum(1.0, np.abs(mean)), sd, np.inf)
    scaled = np.clip(centred / sd, -_FARTHEST, _FARTHEST)
    kept = min(_COMPONENTS, len(scaled) // _PER_COMPONENT, scaled.shape[1])
    _, sizes, directions = np.linalg.svd(scaled, full_matrices=False)
    spread = sizes[:kept] / math.sqrt(len(scaled))
    kept = int((spread > 1e-6).sum())
    components, spread = directions[:kept], spread[:kept]
    away = scaled - (scaled @ components.T) @ components
    # A corpus that lies in its directions altogether leaves nothing: then all of it is rounding.
    return Familiar(mean, sd, components, spread, rest=max(float(np.mean(away**2)), 1e-6))
