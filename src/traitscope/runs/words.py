"""Texts -> arrays of numbers, as a graph takes them: tokens of an encoder, or counted terms.

A graph of ONNX cannot split words as these models were trained on them. What splits them is saved
beside it, as JSON, and needs neither PyTorch nor scikit-learn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, get_args

from numpy.typing import NDArray

from traitscope.errors import DataError, shown
from traitscope.extract.text_counts import Language
from traitscope.files import read_json
from traitscope.learners.words import Kind, counted_numbers, counted_terms, texts_of
from traitscope.nn.text_encoder import Encoder
from traitscope.types import Batch

STREAM = "transcript"
_CURE = "Export the run again: traitscope export RUN --to FOLDER"


class Words(Protocol):
    """What makes arrays of texts."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """An array for each name, of the texts of a batch."""

    def to_tree(self) -> dict[str, Any]:
        """As JSON values."""


@dataclass(frozen=True)
class Tokens:
    """Ids and mask (clips, tokens) of the first tokens of each text.

    Attributes:
        tokenizer: as JSON.
        longest: tokens that are read.
    """

    tokenizer: str
    longest: int

    @property
    def names(self) -> tuple[str, ...]:
        """``transcript_ids`` and ``transcript_ids_mask``."""
        return (f"{STREAM}_ids", f"{STREAM}_ids_mask")

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """As a network sees them that pads to the longest text."""
        ids, mask = Encoder({}, self.tokenizer).tokens(texts_of(batch), self.longest)
        return dict(zip(self.names, (ids, mask), strict=True))

    def to_tree(self) -> dict[str, Any]:
        """As JSON values."""
        return {"kind": "tokens", "tokenizer": self.tokenizer, "longest": self.longest}


@dataclass(frozen=True)
class Terms:
    """Which terms of two vocabularies each text has, how often, and counts of how it is said.

    Attributes:
        vocabularies: ``char`` and ``word`` -> terms, in the order of their weights.
        language: of the counts.
    """

    vocabularies: Mapping[Kind, tuple[str, ...]]
    language: Language

    @property
    def names(self) -> tuple[str, ...]:
        """``transcript_numbers``, then place and count of the terms of each vocabulary."""
        kinds = [f"{STREAM}_{kind}{of}" for kind in self.vocabularies for of in ("", "_counts")]
        return (f"{STREAM}_numbers", *kinds)

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Places (clips, terms of the longest text), counts of them, zero behind shorter texts."""
        texts = texts_of(batch)
        arrays: dict[str, NDArray[Any]] = {
            f"{STREAM}_numbers": counted_numbers(texts, self.language)
        }
        for kind, places in self._places.items():
            terms, counts = counted_terms(kind, texts, places)
            arrays |= {f"{STREAM}_{kind}": terms, f"{STREAM}_{kind}_counts": counts}
        return arrays

    @cached_property
    def _places(self) -> dict[Kind, dict[str, int]]:
        return {
            kind: {term: place for place, term in enumerate(terms)}
            for kind, terms in self.vocabularies.items()
        }

    def to_tree(self) -> dict[str, Any]:
        """As JSON values."""
        vocabularies = {kind: list(terms) for kind, terms in self.vocabularies.items()}
        return {"kind": "terms", "vocabularies": vocabularies, "language": self.language}


def read_words(path: Path) -> Words:
    """Take back what was saved.

    Raises:
        DataError: the file is missing or damaged.
    """
    tree = read_json(path, root=dict, missing=_CURE, damaged=_CURE)
    try:
        if tree["kind"] == "tokens":
            return Tokens(str(tree["tokenizer"]), int(tree["longest"]))
        if tree["kind"] == "terms":
            vocabularies: dict[Kind, tuple[str, ...]] = {
                kind: tuple(map(str, tree["vocabularies"][kind])) for kind in get_args(Kind)
            }
            return Terms(vocabularies, tree["language"])
        raise ValueError(f"{shown(tree['kind'])} is no kind of words")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({shown(error)}). {_CURE}") from error
