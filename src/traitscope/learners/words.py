"""Texts -> sparse TF-IDF of words or characters, with a vocabulary that is saved as bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.extract.text_counts import UNITS, Language, text_counts
from traitscope.learners.trees import damaged
from traitscope.types import Batch

Array = NDArray[np.float64]
Kind = Literal["char", "word"]

LARGEST = 2_000_000
"""Terms of a vocabulary; a file with more is damaged, or meant to fill the memory."""

_WORD = r"(?u)\w[\w'’]*|\.{2,}|…|-{2,}|—|\[[^\]]*\]|[?!]"
"""A word, a pause (``...``, ``--``), a mark such as ``[UNKNOWN]``, or a question."""


def texts_of(batch: Batch) -> list[str]:
    """The words of each clip; rows that are not there are left out."""
    rows, shown = batch.streams["transcript"], batch.masks["transcript"].tolist()
    return [
        " ".join(str(row) for row, known in zip(*clip, strict=True) if known)
        for clip in zip(rows, shown, strict=True)
    ]


def counted_numbers(texts: Sequence[str], language: Language) -> Array:
    """How each text is said (texts, columns of `text_counts`); counts of things as logarithms."""
    counts = np.array([text_counts(text, language=language) for text in texts])
    counted = np.array([unit == "count" for unit in UNITS.values()])
    counts[:, counted] = np.log1p(counts[:, counted])
    return counts


def counted_terms(
    kind: Kind, texts: Sequence[str], places: Mapping[str, int]
) -> tuple[NDArray[np.int64], Array]:
    """Which terms of a vocabulary each text has, and how often: (texts, terms of the longest).

    Behind the terms of a text that has fewer the place is 0 and the count 0.
    """
    from scipy.sparse import csr_array

    table = csr_array((len(texts), 0))
    if places:
        table = csr_array(counter(kind, vocabulary=dict(places)).transform(texts))
    held = np.diff(table.indptr)
    # At least one: not every operator takes an axis of length zero.
    shape = (len(texts), max(1, int(held.max(initial=0))))
    terms, counts = np.zeros(shape, np.int64), np.zeros(shape)
    there = np.arange(shape[1]) < held[:, None]
    terms[there], counts[there] = table.indices, table.data
    return terms, counts


def counter(kind: Kind, **settings: Any) -> Any:
    """Make the counter of character 2-5-grams inside words, or of one and two words."""
    from sklearn.feature_extraction.text import CountVectorizer

    if kind == "char":
        return CountVectorizer(analyzer="char_wb", ngram_range=(2, 5), dtype=np.float64, **settings)
    return CountVectorizer(token_pattern=_WORD, ngram_range=(1, 2), dtype=np.float64, **settings)


@dataclass(frozen=True)
class Vocabulary:
    """Terms, in the order of their columns, with their weight.

    Attributes:
        kind: of characters or words.
        terms: (terms,) in order.
        idf: (terms,) inverse document frequency.
    """

    kind: Kind
    terms: tuple[str, ...]
    idf: Array

    def table(self, texts: Sequence[str]) -> Any:
        """TF-IDF of texts, sparse (texts, terms)."""
        if not self.terms:
            from scipy.sparse import csr_array

            return csr_array((len(texts), 0))
        return tfidf(self._counter.transform(texts), self.idf)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays to save, under ``char/...`` or ``word/...``."""
        text = "\n".join(self.terms).encode()
        return {
            f"{self.kind}/terms": np.frombuffer(text, dtype=np.uint8).copy(),
            f"{self.kind}/idf": self.idf,
        }

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]], kind: Kind) -> "Vocabulary":
        """Take back what ``state`` gave, checked.

        Raises:
            DataError: the arrays are not those of a vocabulary.
        """
        name = f"{kind} vocabulary"
        idf, stored = arrays.get(f"{kind}/idf"), arrays.get(f"{kind}/terms")
        if idf is None or stored is None or stored.dtype != np.uint8 or stored.ndim != 1:
            raise damaged(name, "it is missing or of another kind")
        if len(idf) > LARGEST or len(stored) > 32 * LARGEST:
            raise damaged(name, f"it has more than {LARGEST} terms")
        try:
            text = stored.tobytes().decode()
        except UnicodeDecodeError as error:
            raise damaged(name, "it is not text") from error
        terms = tuple(text.split("\n")) if text else ()
        if idf.shape != (len(terms),) or len(set(terms)) < len(terms):
            raise damaged(name, f"{len(set(terms))} terms have {idf.size} weights")
        if idf.dtype.kind != "f" or not np.isfinite(idf).all():
            raise damaged(name, "a weight is not finite")
        return cls(kind, terms, idf.astype(np.float64))

    @cached_property
    def _counter(self) -> Any:
        return counter(self.kind, vocabulary={term: n for n, term in enumerate(self.terms)})


@dataclass(frozen=True)
class Counts:
    """Terms of all fitting texts, counted once for every fold.

    Attributes:
        kind: of characters or words.
        terms: (terms,) those that enough of all texts have, so that a fold can want no others.
        counts: sparse (texts, terms).
        least: texts that must have a term.
    """

    kind: Kind
    terms: NDArray[Any]
    counts: Any
    least: int

    def fit(self, rows: NDArray[np.bool_]) -> tuple[Vocabulary, NDArray[np.intp]]:
        """Vocabulary and weights from some of the texts alone, and the columns it is made of."""
        part = self.counts[rows]
        occurs = np.bincount(part.indices, minlength=part.shape[1])
        kept = np.flatnonzero(occurs >= self.least)
        idf = np.log((1 + rows.sum()) / (1 + occurs[kept])) + 1
        return Vocabulary(self.kind, tuple(self.terms[kept].tolist()), idf), kept


def count_terms(kind: Kind, texts: Sequence[str], least: int) -> Counts:
    """Count the terms that at least so many texts have; no term at all is no fault."""
    from scipy.sparse import csr_array

    counting = counter(kind, min_df=least)
    try:
        counts = csr_array(counting.fit_transform(texts))
        terms = counting.get_feature_names_out()
    except ValueError:  # no text has a word, or no word is in enough texts
        counts, terms = csr_array((len(texts), 0)), np.array([], dtype=object)
    return Counts(kind, terms, counts, least)


def tfidf(counts: Any, idf: Array) -> Any:
    """Sublinear term frequency times weight, each row of length one: sparse (texts, terms)."""
    from scipy.sparse import csr_array

    table = csr_array(counts, copy=True)
    table.data = (1 + np.log(table.data)) * idf[table.indices]
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    length = np.sqrt(np.bincount(rows, weights=table.data**2, minlength=table.shape[0]))
    table.data /= length[rows]
    return table
