"""A corpus and a protocol in, which clips were fitted for which scored clips out.

One fold for most protocols; with ``fold=all`` every clip is scored once, by what was fitted
without it, so "seen" and "unseen" are questions about a fold, never about the corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.data import protocols
from traitscope.data.protocols import Protocol, check_leakage, source_disjoint
from traitscope.errors import DataError
from traitscope.types import Clip, Corpus


@dataclass(frozen=True)
class Fold:
    """Clips that are scored together, and what was fitted for them.

    Attributes:
        asked: clips to score.
        fitted: clips whose labels were learnt from.
        leaks: sentences on what leaks from these to those.
        learnt: clips that the model learnt from, where its run recorded them.
        grave: sentences, from that record, that come before any number.
    """

    asked: tuple[Clip, ...]
    fitted: tuple[Clip, ...]
    leaks: Sequence[str]
    learnt: tuple[Clip, ...] = ()
    grave: Sequence[str] = ()


def folds_of(
    corpus: Corpus, protocol: Protocol, split: str, *, media_hash: bool = True
) -> list[Fold]:
    """Find the clips of a split with those that were fitted; one fold but for ``fold=all``.

    Args:
        corpus: all clips.
        protocol: how they are split, and what is fitted.
        split: which clips are scored.
        media_hash: compare the bytes of media in the check for leaks.

    Raises:
        DataError: there are no clips in the split, or none to fit on.
    """
    return [_fold(corpus, each, split, media_hash) for each in protocols.each_fold(protocol)]


def asked_and_fitted(folds: Sequence[Fold]) -> tuple[list[Clip], list[Clip]]:
    """The clips that are scored, and those that were fitted for any of them."""
    # with several folds every clip is fitted by some run, though never by the one that scores it
    fitted = {clip.id: clip for fold in folds for clip in fold.fitted}
    return [clip for fold in folds for clip in fold.asked], list(fitted.values())


def leaks(folds: Sequence[Fold]) -> list[str]:
    """What leaks from fitted to scored clips, in sentences, each once."""
    # Folds of one corpus say mostly the same; a dict keeps the order, a set would not.
    return list(dict.fromkeys(leak for fold in folds for leak in fold.leaks))


def grave(folds: Sequence[Fold]) -> list[str]:
    """What a reader must know before any number, in sentences, each once."""
    return list(dict.fromkeys(sentence for fold in folds for sentence in fold.grave))


def unseen(folds: Sequence[Fold], clips: Sequence[Clip]) -> NDArray[np.bool_]:
    """Tell (clips,) of which no clip of the same source or person was fitted for them."""
    new = {
        clip.id
        for fold in folds
        # What a run recorded counts as well: a clip that left the corpus since was learnt from.
        for clip in source_disjoint(fold.asked, (*fold.fitted, *fold.learnt))
    }
    return np.array([clip.id in new for clip in clips], dtype=bool)


def _fold(corpus: Corpus, protocol: Protocol, split: str, media_hash: bool) -> Fold:
    splits = protocols.split(corpus, protocol)
    asked, fitted = splits.part(split), splits.fitted
    if not asked or not fitted:
        empty = split if not asked else protocol.fit
        raise DataError(f"{corpus.name} has no clips in {empty!r}. Choose another split.")
    # A list of all clips, each leaking into itself, would say no more.
    if split in splits.fit:
        return Fold(asked, fitted, [f"The split {split!r} was itself fitted: this is no test."])
    return Fold(asked, fitted, check_leakage(fitted, asked, protocol, media_hash=media_hash))
