"""Ridge regression in closed form, for dense and sparse tables, for many penalties at once.

X is the centred table of n clips and p features, y the centred labels, a the penalty.

**The dual.** Of words there are many more than clips; then n equations are cheaper than p::

              p                 w = (X'X + aI)^-1 X'y     primal, p x p
        +-----------+             = X' (XX' + aI)^-1 y    dual, n x n
      n |     X     |
        +-----------+           since X'(XX' + aI) = (X'X + aI)X', with the inverse of
                                either bracket taken to the other side.

So (XX' + aI) d = y is solved for d (n,), and w = X'd. A sparse table S must not be centred in
memory, where its zeros would fill up. With its column means m, X = S - 1m', and

    X'd = S'd - m (1'd)         Xv = Sv - 1 (m'v) = Sv - mean(Sv), for m'v = 1'Sv / n.

The dual is solved by conjugate gradients, which pay for the smallest penalty alone: the residuals
of the others are multiples of its own (Frommer, 2003, https://doi.org/10.1007/s00607-003-1472-6).

**Leaving a group out** needs no refitting. With the hat matrix H = X (X'X + aI)^-1 X' + 11'/n::

           g                    r       = (I - H) y         residuals of the fit on all clips
        +------+-------+        r_g out = (I - H_gg)^-1 r_g   had the group been left out
      g | H_gg |       |
        +------+   H   |        (Golub, Heath and Wahba, 1979, https://doi.org/10.2307/1268518,
        |              |        for groups of one)
        +--------------+
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEPS = 100  # of conjugate gradients, at most
_CLOSE = 1e-6  # residual, as a share of what it was


def ridge(
    features: Array, labels: Array, groups: NDArray[Any], penalties: Sequence[float]
) -> tuple[Array, float, float]:
    """Fit one target: weights (features,), intercept, and the penalty that leaving out chose.

    Args:
        features: (clips, features), standardised over at least these clips.
        labels: (clips,).
        groups: (clips,) left out together.
        penalties: tried in order; ties go to the larger.
    """
    centre, offset = features.mean(axis=0), labels.mean()
    # One decomposition serves all penalties: each only shrinks the singular values otherwise.
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    projected = left.T @ (labels - offset)
    members = together(groups)
    errors = []
    for penalty in penalties:
        shrink = singular**2 / (singular**2 + penalty)
        residual = labels - offset - left @ (shrink * projected)
        errors.append(left_out_error(left, shrink, residual, members))
    # Of equals the last, which is the larger penalty: argmin alone would take the first.
    best = len(penalties) - 1 - int(np.argmin(errors[::-1]))
    penalty = float(penalties[best])
    # The same decomposition gives the weights: nothing is fitted a second time.
    weights = right.T @ (singular / (singular**2 + penalty) * projected)
    return weights, float(offset - centre @ weights), penalty


def together(groups: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Rows of the groups, (groups of that size, size) for each size.

    Groups of one size are solved in one call of `left_out_error`, not one by one.
    """
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    starts = np.cumsum(counts) - counts
    return [order[starts[counts == size][:, None] + np.arange(size)] for size in np.unique(counts)]


def left_out_error(
    left: Array, shrink: Array, residual: Array, members: Sequence[NDArray[np.intp]]
) -> float:
    """Sum of squared errors when each group in turn is left out of the fit.

    Args:
        left: left singular vectors of the centred features (clips, rank).
        shrink: what the penalty leaves of each (rank,).
        residual: (clips,) of the fit on all clips.
        members: rows of the groups by size, from `together`.
    """
    total = 0.0
    for rows in members:
        part = left[rows]
        # 1/n is the share of the unpenalised intercept in the hat matrix.
        hat = (part * shrink) @ part.transpose(0, 2, 1) + 1 / len(residual)
        gap = np.eye(rows.shape[1]) - hat
        wanted = residual[rows][..., None]
        try:
            left_out = np.linalg.solve(gap, wanted)
        except np.linalg.LinAlgError:  # a group without which nothing could be fitted
            left_out = np.linalg.pinv(gap) @ wanted
        total += float(np.sum(left_out**2))
    return total


def ridge_path(features: Any, labels: Array, penalties: Sequence[float]) -> tuple[Array, Array]:
    """Fit several targets with each of several penalties.

    Args:
        features: (clips, features), an array or a SciPy sparse array.
        labels: (clips, targets), NaN where one is missing.
        penalties: of the squared weights.

    Returns:
        Weights (penalties, features, targets) and intercepts (penalties, targets).
    """
    known = np.isfinite(labels)
    weights = np.zeros((len(penalties), features.shape[1], labels.shape[1]))
    intercepts = np.zeros((len(penalties), labels.shape[1]))
    solve = _dense if isinstance(features, np.ndarray) else _sparse
    # Targets whose labels are missing for the same clips share a fit.
    for pattern in np.unique(known, axis=1).T:
        if not pattern.any():
            continue
        chosen = (known == pattern[:, None]).all(axis=0)
        part, wanted = features[pattern], labels[np.ix_(pattern, chosen)]
        offset = wanted.mean(axis=0)
        slopes = solve(part, wanted - offset, penalties)
        weights[:, :, chosen] = slopes
        intercepts[:, chosen] = offset - np.asarray(part.mean(axis=0)).ravel() @ slopes
    return weights, intercepts


def _dense(features: Array, labels: Array, penalties: Sequence[float]) -> Array:
    """Weights for centred labels, from one decomposition."""
    left, singular, right = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    projected = left.T @ labels
    # Solved in the basis of the singular vectors, where the penalty acts on each number alone.
    return np.stack(
        [right.T @ ((singular / (singular**2 + p))[:, None] * projected) for p in penalties]
    )


def _sparse(features: Any, labels: Array, penalties: Sequence[float]) -> Array:
    """Weights for centred labels: conjugate gradients on (XX' + alpha I) a = y, w = X'a."""
    back = features.T.tocsr()
    mean = np.asarray(features.mean(axis=0)).ravel()

    def centred(dual: Array) -> Array:
        """X'a of the centred table."""
        return np.asarray(back @ dual - mean[:, None] * dual.sum(axis=0))

    def gram(dual: Array) -> Array:
        seen = np.asarray(features @ centred(dual))
        return np.asarray(seen - seen.mean(axis=0))

    # The smallest penalty converges last, and decides when all are done.
    least = min(penalties)
    dual = _shifted_gradients(gram, labels, least, np.array(penalties) - least)
    return np.stack([centred(one) for one in dual])


def _shifted_gradients(gram: Any, labels: Array, least: float, shifts: Array) -> Array:
    """Solve (gram + least + shift) a = labels for every shift: (shifts, clips, targets)."""
    # Three terms: `solution` and `directions` of every shift, `residual` and `direction` of the
    # system without one. The residual of a shift is `now` times that of the unshifted system;
    # `before` and `after` are this factor a step earlier and later, from its recurrence.
    shift = shifts[:, None]
    residual, direction = labels.copy(), labels.copy()
    solution = np.zeros((len(shifts), *labels.shape))
    directions = np.repeat(labels[None], len(shifts), axis=0)
    before, now = np.ones((2, len(shifts), labels.shape[1]))
    step_before, turn_before = np.ones(labels.shape[1]), np.zeros(labels.shape[1])
    size = (residual**2).sum(axis=0)
    enough = _CLOSE**2 * size
    for _ in range(_STEPS):
        # Targets end together: one that is done goes on for nothing, cheaper than splitting.
        if np.all(size <= enough):
            break
        along = gram(direction) + least * direction
        curvature = (direction * along).sum(axis=0)
        step = np.divide(size, curvature, out=np.zeros_like(size), where=curvature > 0)
        scale = step_before * before * (1 + step * shift) + step * turn_before * (before - now)
        after = np.divide(
            now * before * step_before, scale, out=np.zeros_like(now), where=scale != 0
        )
        ratio = np.divide(after, now, out=np.zeros_like(now), where=now != 0)
        solution += (step * ratio)[:, None] * directions
        residual = residual - step * along
        size, old = (residual**2).sum(axis=0), size
        turn = np.divide(size, old, out=np.zeros_like(size), where=old > 0)
        direction = residual + turn * direction
        directions = after[:, None] * residual + (turn * ratio**2)[:, None] * directions
        before, now, step_before, turn_before = now, after, np.where(step > 0, step, 1.0), turn
    return solution
