"""Where the vectors of a corpus lie, and what lies far away from them."""

import numpy as np

from traitscope.statistics.familiarity import familiar

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(4, 30))


def vectors(count: int) -> np.ndarray:
    """Vectors of a corpus: four things vary, in thirty columns of other scales."""
    return (RNG.normal(size=(count, 4)) @ MIX + 0.3 * RNG.normal(size=(count, 30))) * 10.0 + 5


def test_others_of_the_corpus_are_familiar_and_strangers_are_not() -> None:
    known = familiar(vectors(200), vectors(100))
    assert known is not None
    assert (known.distance(vectors(300)) > known.threshold).mean() < 0.05
    # Along what varies anyway, but farther; and where the corpus does not vary at all.
    assert (known.distance(vectors(20) * 6) > known.threshold).mean() > 0.9
    assert (known.distance(vectors(20) + RNG.normal(size=(20, 30)) * 15) > known.threshold).all()


def test_missing_and_constant_columns_say_nothing() -> None:
    some = vectors(80)
    some[:, 0] = 3.0
    some[::3, 1] = np.nan
    known = familiar(some, some[:0])
    assert known is not None
    assert np.isfinite(known.distance(some)).all()
    other = some[:1].copy()
    other[0, 1] = np.nan
    assert np.isfinite(known.distance(other)).all()


def test_too_few_vectors_say_nothing() -> None:
    assert familiar(vectors(30), vectors(5)) is None
    assert familiar(vectors(10), vectors(50)) is None
