"""A run and one of its splits in, examples of prepared clips out."""

from pathlib import Path

import numpy as np

from traitscope.data import protocols
from traitscope.data.examples import Examples, gather
from traitscope.errors import DataError
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.labels import own_corpus


def some_examples(
    checkpoint: Checkpoint,
    split: str,
    clips: int,
    *,
    store: Path | str | None = None,
    labels: str | None = None,
    seed: int = 0,
) -> Examples:
    """Examples of some clips of a split, spread over it, in the order of the corpus.

    Args:
        checkpoint: the run.
        split: whose clips.
        clips: how many at most.
        store: where the features are; the run's own by default.
        labels: address of its corpus, needed where a module from outside reads it.
        seed: of the choice.

    Raises:
        DataError: fewer than three clips have features.
    """
    config = checkpoint.config
    corpus = own_corpus(checkpoint.folder, config, labels)
    part = protocols.split(corpus, config.protocol).part(split)
    features = serving(open_store(store or config.data.store), part, corpus=corpus.name)
    ready, _ = gather(part, features, checkpoint.keys, checkpoint.draws)
    if len(ready) < 3:
        raise DataError(f"{len(ready)} clips of {split!r} have features: too few to test.")
    picked = np.random.default_rng(seed).permutation(len(ready))[:clips]
    return checkpoint.examples([ready[place] for place in sorted(picked.tolist())], features)
