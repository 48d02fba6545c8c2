"""What stands beside a model: a protocol's fitted and scored clips in, rows of baselines out.

With ``protocol.fold=all`` every fold has fitted clips of its own. Its scored clips get baselines
fitted on those alone, and the rows of all folds are put together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traitscope import baselines, protocols
from traitscope.errors import DataError
from traitscope.metrics import Array
from traitscope.prediction_tables import Predictions
from traitscope.protocols import Protocol, check_leakage, source_disjoint
from traitscope.scoring import Role, Row, Scoring
from traitscope.types import Clip, Corpus


@dataclass(frozen=True)
class Fold:
    """Clips that are scored together, and what was fitted for them.

    Attributes:
        asked: clips to score.
        fitted: clips whose labels were learnt from.
        leaks: sentences on what leaks from these to those.
    """

    asked: tuple[Clip, ...]
    fitted: tuple[Clip, ...]
    leaks: Sequence[str]


def folds_of(corpus: Corpus, protocol: Protocol, split: str, scoring: Scoring) -> list[Fold]:
    """Find the clips of a split with those that were fitted; one fold but for ``fold=all``.

    Raises:
        DataError: there are no clips in the split, or none to fit on.
    """
    return [_fold(corpus, each, split, scoring) for each in protocols.each_fold(protocol)]


def asked_and_fitted(folds: Sequence[Fold]) -> tuple[list[Clip], list[Clip]]:
    """The clips that are scored, and those that were fitted for any of them."""
    fitted = {clip.id: clip for fold in folds for clip in fold.fitted}
    return [clip for fold in folds for clip in fold.asked], list(fitted.values())


def leaks(folds: Sequence[Fold]) -> list[str]:
    """What leaks from fitted to scored clips, in sentences, each once."""
    return list(dict.fromkeys(leak for fold in folds for leak in fold.leaks))


def unseen(
    folds: Sequence[Fold], clips: Sequence[Clip]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell (clips,) whose source was not fitted for them."""
    new = {clip.id for fold in folds for clip in source_disjoint(fold.asked, fold.fitted)}
    return np.array([clip.id in new for clip in clips], dtype=bool)


def baseline_rows(
    folds: Sequence[Fold], read: Predictions, protocol: Protocol, *, seed: int
) -> list[Row]:
    """Predict without a model what a model predicted; no label of a scored clip is looked at.

    Args:
        folds: which clips were fitted for which.
        read: predictions of the model: which clips and targets.
        protocol: says what was fitted, for the names of the rows.
        seed: of permuted labels.
    """
    clips, names = read.clips, read.targets
    parts, shrinkages = [], set()
    for fold in folds:
        asked = {clip.id for clip in fold.asked}
        places = [place for place, clip in enumerate(clips) if clip.id in asked]
        if places:
            k = baselines.fit_shrinkage(fold.fitted, names)
            shrinkages.add(k)
            own = [clips[place] for place in places]
            parts.append((places, _values(fold.fitted, own, names, shrinkage=k, seed=seed)))
    titles: dict[Role, str] = {
        "constant": f"constant (mean of {protocol.fit})",
        "lookup": "look-up by source",
        "lookup_shrunk": f"look-up by source, shrunk (k={', '.join(map(str, sorted(shrinkages)))})",
        "metadata": "metadata only (ridge)",
        "permuted": "permuted labels",
    }
    roles = [role for role in titles if all(role in values for _, values in parts)]
    rows = []
    for role in roles:
        joined = np.empty((len(clips), len(names)))
        for places, values in parts:
            joined[places] = values[role]
        rows.append(Row(titles[role], role, joined))
    return rows


def _fold(corpus: Corpus, protocol: Protocol, split: str, scoring: Scoring) -> Fold:
    splits = protocols.split(corpus, protocol)
    asked, fitted = splits.part(split), splits.fitted
    if not asked or not fitted:
        empty = split if not asked else protocol.fit
        raise DataError(f"{corpus.name} has no clips in {empty!r}. Choose another split.")
    if split in splits.fit:
        return Fold(asked, fitted, [f"The split {split!r} was itself fitted: this is no test."])
    leaks = check_leakage(fitted, asked, protocol, media_hash=scoring.media_hash)
    return Fold(asked, fitted, leaks)


def _values(
    fitted: Sequence[Clip],
    clips: Sequence[Clip],
    names: Sequence[str],
    *,
    shrinkage: float,
    seed: int,
) -> Mapping[Role, Array]:
    found: dict[Role, Array] = {
        "constant": baselines.constant(fitted, clips, names),
        "lookup": baselines.lookup(fitted, clips, names),
        "lookup_shrunk": baselines.lookup_shrunk(fitted, clips, names, shrinkage=shrinkage),
        "permuted": baselines.permuted(fitted, clips, names, seed=seed),
    }
    if baselines.has_metadata(fitted, clips):
        found["metadata"] = baselines.metadata(fitted, clips, names)
    return found
