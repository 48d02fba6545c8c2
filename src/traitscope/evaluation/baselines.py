"""Fitted clips and test clips in, predictions of what needs no model out.

Every baseline takes ``(fitted, test, targets)``, names of targets in order, and returns
predictions (clips, targets). None looks at a label of the test clips.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.data.protocols import Group, Protocol, groups
from traitscope.errors import DataError
from traitscope.evaluation.folds import Fold
from traitscope.evaluation.report import Role
from traitscope.evaluation.scoring import Row
from traitscope.evaluation.tables import Predictions
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, label_array

# Dense where it matters: a source of few clips is moved far by one average clip more, and hardly
# by the thirtieth.
SHRINKAGES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
ALPHAS = tuple(10.0**power for power in range(-2, 6))
_RAREST = 3  # a level of an attribute that fewer fitted clips have says nothing
_FOLDS = 5


@dataclass(frozen=True)
class Lookup:
    """Sums of fitted labels by what clips have in common, see ``_ties``.

    Attributes:
        total: tie -> sum of labels (targets,).
        count: tie -> number of labels (targets,).
        mean: the constant (targets,).
    """

    total: dict[str, Array]
    count: dict[str, Array]
    mean: Array

    def predict(self, clips: Sequence[Clip], *, shrinkage: float) -> Array:
        """Predict (clips, targets): ``shrinkage`` average clips are added to each source."""
        nothing = np.zeros_like(self.mean)
        total, count = self.sums(clips, nothing + np.zeros((len(clips), 1)), nothing)
        return _shrink(total, count, self.mean, shrinkage)

    def sums(self, clips: Sequence[Clip], own: Array, counted: Array) -> tuple[Array, Array]:
        """Sums and counts (clips, targets) of the closest tie that fitted clips have.

        Args:
            clips: which clips.
            own: what to take out of the sums (clips, targets), for clips that were fitted.
            counted: and out of the counts (clips, targets).
        """
        total, count = np.zeros_like(own), np.zeros_like(own)
        counted = np.broadcast_to(counted, own.shape)
        for row, clip in enumerate(clips):
            for tie in _ties(clip):
                # Without the clip itself a tie may hold nobody: then the next one speaks.
                left = self.count[tie] - counted[row] if tie in self.count else np.zeros(1)
                if left.any():
                    total[row], count[row] = self.total[tie] - own[row], left
                    break
        return total, count


def constant(fitted: Sequence[Clip], test: Sequence[Clip], targets: Sequence[str]) -> Array:
    """Predict the mean label of the fitted clips for every clip."""
    return np.tile(fitted_means(fitted, targets), (len(test), 1))


def median(fitted: Sequence[Clip], test: Sequence[Clip], targets: Sequence[str]) -> Array:
    """Predict the median label of the fitted clips, the constant of least absolute error."""
    fitted_means(fitted, targets)  # refuses a target without labels
    middle = np.nanmedian(label_array(fitted, targets), axis=0)
    return np.tile(middle, (len(test), 1))


def lookup(fitted: Sequence[Clip], test: Sequence[Clip], targets: Sequence[str]) -> Array:
    """Predict the mean of the fitted clips of the same source or person, else the constant."""
    return look_up(fitted, targets).predict(test, shrinkage=0)


def lookup_shrunk(
    fitted: Sequence[Clip],
    test: Sequence[Clip],
    targets: Sequence[str],
    *,
    shrinkage: float | None = None,
) -> Array:
    """Predict the source's mean shrunk towards the constant.

    Args:
        fitted: clips with labels.
        test: clips to predict.
        targets: names.
        shrinkage: how many average clips to add to each source; None fits it (``fit_shrinkage``).
    """
    table = look_up(fitted, targets)
    k = fit_shrinkage(fitted, targets) if shrinkage is None else shrinkage
    return table.predict(test, shrinkage=k)


def fit_shrinkage(fitted: Sequence[Clip], targets: Sequence[str]) -> int:
    """Choose how many average clips to add to a source, by leaving out one clip at a time.

    The choice minimises the absolute error, relative to the constant's and averaged over targets,
    of predicting each fitted clip from its source's others. Without two clips of one source
    there is nothing to learn from: 1.
    """
    table = look_up(fitted, targets)
    target = label_array(fitted, targets)
    # each clip is taken out of its own source's sums, which is leaving one out without refitting
    total, count = table.sums(fitted, np.nan_to_num(target), (~np.isnan(target)).astype(float))
    usable = ~np.isnan(target) & (count > 0)
    if not usable.any():
        return 1
    missed = np.where(usable, abs(target - table.mean), 0).sum(axis=0)

    def loss(k: int) -> float:
        error = abs(target - _shrink(total, count, table.mean, k))
        return float(np.mean(np.where(usable, error, 0).sum(axis=0) / np.maximum(missed, 1e-12)))

    return min(SHRINKAGES, key=loss)  # the first of equals: as little shrinkage as is enough


def permuted(
    fitted: Sequence[Clip], test: Sequence[Clip], targets: Sequence[str], *, seed: int = 0
) -> Array:
    """Predict the labels of fitted clips drawn at random: what chance with real labels gives."""
    target = label_array(fitted, targets)
    filled = np.where(np.isnan(target), fitted_means(fitted, targets), target)
    rng = np.random.default_rng(seed)
    rounds = -(-len(test) // len(filled)) if len(filled) else 0
    # whole permutations, not draws with replacement: every fitted label is used equally often
    order = np.concatenate([rng.permutation(len(filled)) for _ in range(max(rounds, 1))])
    drawn: Array = filled[order[: len(test)]]
    return drawn


def metadata(fitted: Sequence[Clip], test: Sequence[Clip], targets: Sequence[str]) -> Array:
    """Predict from attributes alone: ridge regression, its strength chosen on the fitted clips.

    Text becomes one column per level, numbers are standardised with a column for missing ones;
    the strength comes from cross-validation that keeps sources and subjects together.
    """
    columns = _design(fitted, fitted), _design(fitted, test)
    target = label_array(fitted, targets)
    fold = _folds(fitted)
    predicted = np.empty((len(test), len(targets)))
    for column in range(len(targets)):
        known = ~np.isnan(target[:, column])
        x, y = columns[0][known], target[known, column]
        alpha = _choose_alpha(x, y, fold[known])
        predicted[:, column] = _ridge(x, y, columns[1], alpha)
    return predicted


def has_metadata(fitted: Sequence[Clip], test: Sequence[Clip]) -> bool:
    """Tell whether attributes are there for ``metadata`` to use."""
    return bool(_design(fitted, fitted).shape[1]) and any(clip.attributes for clip in test)


def fitted_means(fitted: Sequence[Clip], targets: Sequence[str]) -> Array:
    """Mean label (targets,) of the fitted clips.

    Raises:
        DataError: a target has no label among them.
    """
    target = label_array(fitted, targets)
    empty = [name for name, column in zip(targets, target.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(
            f"No fitted clip has a label for {', '.join(empty)}, so there is no constant to "
            f"compare with. Check the split of the labels, or what the evaluation is fitted on."
        )
    return np.asarray(np.nanmean(target, axis=0), dtype=np.float64)


def look_up(fitted: Sequence[Clip], targets: Sequence[str]) -> Lookup:
    """Add up the fitted labels of each source and person."""
    total: dict[str, Array] = {}
    count: dict[str, Array] = {}
    nothing = np.zeros(len(targets))
    for clip, row in zip(fitted, label_array(fitted, targets), strict=True):
        for tie in _ties(clip):
            total[tie] = total.get(tie, nothing) + np.nan_to_num(row)
            count[tie] = count.get(tie, nothing) + ~np.isnan(row)
    return Lookup(total, count, fitted_means(fitted, targets))


def _ties(clip: Clip) -> tuple[str, ...]:
    """What a clip may share with others, closest first: a person in a source, person, source."""
    source = f"source {clip.source}"
    if clip.subject is None:
        return (source,)
    return (f"subject {clip.subject} in {source}", f"subject {clip.subject}", source)


def fold_constants(
    folds: Sequence[Fold], clips: Sequence[Clip], targets: Sequence[str]
) -> tuple[Array, NDArray[np.intp]]:
    """Mean labels of what was fitted for each clip (clips, targets), and its fold (clips,)."""
    places = {clip.id: place for place, clip in enumerate(clips)}
    constants = np.full((len(clips), len(targets)), np.nan)
    numbers = np.zeros(len(clips), dtype=np.intp)
    for number, fold in enumerate(folds):
        mine = [places[clip.id] for clip in fold.asked if clip.id in places]
        # Not the mean of all: a fold's model never saw the labels of its own scored clips.
        constants[mine] = fitted_means(fold.fitted, targets)
        numbers[mine] = number
    return constants, numbers


def _shrink(total: Array, count: Array, mean: Array, k: float) -> Array:
    # A clip without a tie has no sum, and without shrinkage no weight either.
    weight = count + k
    return np.where(weight > 0, (total + k * mean) / np.where(weight > 0, weight, 1), mean)


def _design(fitted: Sequence[Clip], clips: Sequence[Clip]) -> Array:
    """Columns (clips, columns) for attributes as they occur in the fitted clips."""
    columns: list[Array] = []
    # An attribute that only the new clips have says nothing: no label was seen beside it.
    for name in sorted({name for clip in fitted for name in clip.attributes}):
        known = [clip.attributes.get(name) for clip in fitted]
        given = [clip.attributes.get(name) for clip in clips]
        if all(isinstance(value, int | float | None) for value in known):
            columns += _numbers(known, given)
            continue
        levels = Counter(str(value) for value in known if value is not None)
        # A level that all fitted clips share would be the intercept once more.
        common = sorted(n for n, count in levels.items() if _RAREST <= count < len(fitted))
        columns += [np.array([float(str(v) == level) for v in given]) for level in common]
    return np.stack(columns, axis=1) if columns else np.zeros((len(clips), 0))


def _numbers(known: Sequence[object], given: Sequence[object]) -> list[Array]:
    """Standardised numbers (clips,), the mean where one is missing, and which are missing."""
    fitted, values = (
        np.array([v if isinstance(v, int | float) else np.nan for v in row], dtype=float)
        for row in (known, given)
    )
    # A number that never changes has no sd to divide by, and tells nothing.
    if np.isnan(fitted).all() or not np.nanstd(fitted) > 0:
        return []
    scaled = (values - np.nanmean(fitted)) / np.nanstd(fitted)
    # A column for what is missing needs fitted clips that lack it to learn what that means.
    missing = [np.isnan(values).astype(float)] if np.isnan(fitted).any() else []
    return [np.nan_to_num(scaled), *missing]


def _folds(clips: Sequence[Clip]) -> Array:
    """A fold (clips,) for each clip, the same for clips of one subject (or source, if unknown)."""
    # scikit-learn's GroupKFold balances sizes; dealing groups in turn keeps published numbers
    by: Group = "subject" if any(clip.subject for clip in clips) else "source"
    number = {c.id: i % _FOLDS for i, group in enumerate(groups(clips, by)) for c in group}
    return np.array([float(number[clip.id]) for clip in clips])


def _choose_alpha(x: Array, y: Array, fold: Array) -> float:
    def loss(alpha: float) -> float:
        error = 0.0
        for number in np.unique(fold):
            out = fold == number
            # With all clips of one person nothing is left to fit on, for any strength alike.
            if not out.all():
                error += float(np.sum((_ridge(x[~out], y[~out], x[out], alpha) - y[out]) ** 2))
        return error

    return min(reversed(ALPHAS), key=loss)  # the first of equals: the strongest that is as good


def _ridge(x: Array, y: Array, new: Array, alpha: float) -> Array:
    """Ridge regression with a free intercept; predictions (clips,) for ``new``."""
    from sklearn.linear_model import Ridge

    return np.asarray(Ridge(alpha=alpha).fit(x, y).predict(new), dtype=np.float64)


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
        # Where no clip of a fold is scored its shrinkage would only be named in vain.
        if places:
            k = fit_shrinkage(fold.fitted, names)
            shrinkages.add(k)
            own = [clips[place] for place in places]
            parts.append((places, _values(fold.fitted, own, names, shrinkage=k, seed=seed)))
    people = any(clip.subject is not None for clip in clips)
    by = "look-up by source and person" if people else "look-up by source"
    titles: dict[Role, str] = {
        "constant": f"constant (mean of {protocol.fit})",
        "median": f"constant (median of {protocol.fit})",
        "lookup": by,
        "lookup_shrunk": f"{by}, shrunk (k={', '.join(map(str, sorted(shrinkages)))})",
        "metadata": "metadata only (ridge)",
        "permuted": "permuted labels",
    }
    # A row needs every clip: attributes may be known in some folds only.
    roles = [role for role in titles if all(role in values for _, values in parts)]
    rows = []
    for role in roles:
        joined = np.empty((len(clips), len(names)))
        for places, values in parts:
            joined[places] = values[role]
        rows.append(Row(titles[role], role, joined))
    return rows


def _values(
    fitted: Sequence[Clip],
    clips: Sequence[Clip],
    names: Sequence[str],
    *,
    shrinkage: float,
    seed: int,
) -> Mapping[Role, Array]:
    values: dict[Role, Array] = {
        "constant": constant(fitted, clips, names),
        "median": median(fitted, clips, names),
        "lookup": lookup(fitted, clips, names),
        "lookup_shrunk": lookup_shrunk(fitted, clips, names, shrinkage=shrinkage),
        "permuted": permuted(fitted, clips, names, seed=seed),
    }
    if has_metadata(fitted, clips):
        values["metadata"] = metadata(fitted, clips, names)
    return values
