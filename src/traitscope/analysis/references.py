"""What stands for "nothing in particular" in each stream: what a clip is explained against.

A contribution always says "instead of what". Where the clips that a run was fitted on are at hand,
it is what they have in common: their mean row, and of pictures their mean picture. Without them it
is 0 in standardised columns (the mean of the fitting clips by definition), the mean of the clip
itself in others, and the mean colour of photographs in pictures.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.data import protocols
from traitscope.data.batches import is_pictures
from traitscope.data.drawing import Example
from traitscope.data.examples import gather
from traitscope.errors import TraitscopeError
from traitscope.features.origins import serving
from traitscope.features.store import Store
from traitscope.media.pictures import IMAGENET_MEAN
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.labels import own_corpus

log = logging.getLogger(__name__)

CLIPS = 24
"""Fitting clips whose mean is taken: of a hundred it hardly looks different."""


@dataclass(frozen=True)
class Reference:
    """What streams are replaced by.

    Attributes:
        rows: stream -> the mean row, or picture, of fitting clips.
        clips: how many; 0 where none is at hand.
        exact: the model itself knows the mean of all that it was fitted on.
    """

    rows: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    clips: int = 0
    exact: bool = False

    @property
    def words(self) -> str:
        """What a clip is explained against, in words."""
        if self.exact:
            return "the mean of the clips that the model was fitted on"
        if self.clips:
            return f"the mean of {self.clips} clips that the model was fitted on"
        return (
            "the mean of the fitting clips where columns are standardised, a plain grey picture "
            "and the clip's own mean elsewhere"
        )

    def of(self, example: Example, standardised: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Arrays of the shapes of an example's streams.

        Args:
            example: of one clip.
            standardised: streams whose columns have mean 0.
        """
        return {
            name: self._array(name, array, example, name in standardised)
            for name, array in example.streams.items()
            if array.dtype.kind in "fiub"
        }

    def _array(
        self, name: str, array: NDArray[Any], example: Example, standardised: bool
    ) -> NDArray[Any]:
        pooled = name not in example.times
        row = self.rows.get(name)
        if row is None or row.shape != (array.shape if pooled else array.shape[1:]):
            if is_pictures(array):
                row = np.round(255 * IMAGENET_MEAN).astype(np.uint8)
            elif pooled:  # estimators take what is missing for the mean
                return np.full(array.shape, 0.0 if standardised else np.nan)
            elif standardised:
                row = np.zeros(array.shape[1:])
            else:
                row = array[example.masks[name]].mean(axis=0)
        return np.broadcast_to(row, array.shape).astype(array.dtype)


def reference_of(checkpoint: Checkpoint, store: Path | str | None = None) -> Reference:
    """The mean of clips that a run was fitted on, if their features are still at hand.

    Args:
        checkpoint: the run.
        store: where they are; the run's own store by default.
    """
    # What adds up exactly does so against its own mean.
    if hasattr(checkpoint.fitted, "contributions"):
        return Reference(exact=True)
    config = checkpoint.config
    place = Path(store or config.data.store)
    try:
        corpus = own_corpus(checkpoint.folder, config)
        # A store is made where it is not; one that was moved must not come back empty.
        if not place.is_dir():
            return Reference()
        fitted = protocols.split(corpus, config.protocol).fitted
        features = serving(Store(place), fitted, corpus=corpus.name)
        ready, _ = gather(fitted, features, checkpoint.keys, checkpoint.draws)
    except (TraitscopeError, OSError) as error:
        # A run is explained on machines that never saw its corpus: that is no fault.
        log.debug("No fitting clips to explain %s against: %s", checkpoint.folder, error)
        return Reference()
    chosen = [
        ready[at] for at in np.linspace(0, len(ready) - 1, min(CLIPS, len(ready))).astype(int)
    ]
    examples = checkpoint.examples(chosen, features)
    return mean_reference([examples[place] for place in range(len(chosen))])


def mean_reference(examples: Sequence[Example]) -> Reference:
    """The mean row of each stream of some examples that holds numbers or pixels."""
    rows: dict[str, NDArray[Any]] = {}
    for name, first in examples[0].streams.items() if examples else ():
        if first.dtype.kind not in "fiub":
            continue
        if drawn := [one for one in examples if name in one.times]:
            # The mean of each clip's mean: a long clip has no more say than a short one.
            means = [one.streams[name][one.masks[name]].mean(axis=0) for one in drawn]
            row: NDArray[Any] = np.mean(means, axis=0)
            rows[name] = np.round(row).astype(first.dtype) if is_pictures(first) else row
        else:
            table = np.array([one.streams[name] for one in examples])
            rows[name] = np.ma.masked_invalid(table).mean(axis=0).filled(np.nan)
    return Reference(rows, len(examples))
