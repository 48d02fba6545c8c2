"""What is said: ridge on characters and words, trees on counts and topics, stacked.

Ours, in the line of classical text regression; no paper. Four learners see the transcript: ridge on
TF-IDF of character 2-5-grams, ridge on TF-IDF of one and two words (pauses, marks and question
marks are words, too), and ridge and boosted trees on counts (length, pauses, fillers, readability)
with the main components of the words. A ridge on their predictions for held-out sources combines
them, across targets, because traits share what they are judged by. At last predictions are spread
out as far as held-out accuracy allows. Vocabularies, components, penalties, weights and expansion
are all fitted inside folds that keep sources whole.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from traitscope.errors import DataError
from traitscope.extract.text_counts import COLUMNS, Language
from traitscope.learners.folds import grouped_folds, inside, labels_of
from traitscope.learners.graphs import Graph, add_inside
from traitscope.learners.stack import Stack, add_stack, fit_stack
from traitscope.learners.text import (
    LEARNERS,
    Learners,
    TextLearning,
    add_learners,
    fit_learners,
)
from traitscope.learners.trees import Boosting
from traitscope.learners.words import count_terms, counted_numbers, texts_of
from traitscope.types import Batch, Draw, Target

Array = NDArray[np.float64]


class Config(TextLearning):
    """Settings of the learners and of the stack."""

    language: Language = "en"
    """Of the transcripts: their fillers, pronouns and readability."""
    streams: tuple[str, ...] = ()
    """Numbers beside the counts, averaged over each clip: text_embedding, signals, a table ..."""
    char_min_df: PositiveInt = 10
    """Transcripts that must have a group of characters; fewer where there are less than 500."""
    word_min_df: PositiveInt = 5
    """Transcripts that must have a word or a pair of words; fewer where there are less than 250."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Parts, with whole sources, that are held out to fit the stack on."""
    expand: bool = True
    """Spread predictions as far as it costs no accuracy."""


TINY = Config(components=4, penalties=(1, 10), boosting=Boosting(rounds=5, leaves=3), folds=3)


def inputs(config: Config) -> dict[str, Draw]:
    """The words, and the streams of numbers as means."""
    words = {"transcript": Draw(extract={"language": config.language})}
    return words | {stream: Draw(pool=("mean",)) for stream in config.streams}


class Estimator:
    """The learners and their stack."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        self.columns: tuple[str, ...] = ()
        self._learners: Learners | None = None
        self._stack: Stack | None = None

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Fit on transcripts.

        Args:
            batch: ``transcript`` (clips, rows) strings, other streams (clips, features).
            groups: (clips,) sources; whole ones are held out.

        Raises:
            DataError: a target has fewer than two labels, or there is one source only.
        """
        config, labels = self.config, labels_of(batch, self.targets)
        texts, numbers = texts_of(batch), self._numbers(batch)
        self.columns = self._names(batch, numbers.shape[1])
        least = max(1, len(texts) // 50)  # of a few clips, no word is in ten
        terms = {
            "char": count_terms("char", texts, min(config.char_min_df, least)),
            "word": count_terms("word", texts, min(config.word_min_df, least)),
        }
        folds = grouped_folds(groups, config.folds, seed=config.seed)
        held_out: dict[str, Array] = {}
        for number in np.unique(folds):
            rest = folds == number
            learners, char, word = fit_learners(config, terms, numbers, labels, ~rest)
            deviations = learners.deviations(char[rest], word[rest], numbers[rest])
            for name, values in deviations.items():
                everyone = held_out.setdefault(name, np.zeros((len(values), *labels.shape)))
                everyone[:, rest] = values
        chosen = {name: _least_error(values, labels) for name, values in held_out.items()}
        # Only predictions for clips that were held out: those of fitted ones would flatter.
        columns = _side_by_side({name: held_out[name] for name in LEARNERS}, chosen)
        self._stack = fit_stack(
            columns,
            labels,
            folds,
            np.asarray(groups),
            targets=self.targets,
            expand=config.expand,
        )
        # The stack is fitted; the learners it combines now learn from every clip.
        everything = np.ones(len(texts), dtype=bool)
        learners, _, _ = fit_learners(config, terms, numbers, labels, everything)
        self._learners = learners.with_penalties(chosen)

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        assert self._learners is not None
        assert self._stack is not None
        numbers = self._numbers(batch)
        if numbers.shape[1] != len(self.columns):
            raise DataError(
                f"The model was fitted on {len(self.columns)} columns beside the words and was "
                f"given {numbers.shape[1]}."
            )
        deviations = self._learners.predict(texts_of(batch), numbers)
        # The learners were kept with the chosen penalty alone: there is one of each.
        first = {name: np.zeros(len(self.targets), dtype=np.intp) for name in LEARNERS}
        return inside(self._stack.predict(_side_by_side(deviations, first)), self.targets)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Fitted arrays, and facts that JSON can hold."""
        assert self._learners is not None
        assert self._stack is not None
        return self._learners.state() | self._stack.state(), {"columns": list(self.columns)}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        self.columns = tuple(str(name) for name in facts.get("columns", ()))
        numbers, targets = len(self.columns), len(self.targets)
        self._learners = Learners.restore(arrays, numbers=numbers, targets=targets)
        self._stack = Stack.restore(arrays, len(LEARNERS) * targets, targets)

    def graph(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Build what ``predict`` does of operators; see `learners.text.add_learners`."""
        assert self._learners is not None
        assert self._stack is not None
        others = [inputs[name] for name in self.config.streams]
        deviations = add_learners(graph, self._learners, inputs, others)
        columns = graph.op("Concat", *(deviations[name] for name in LEARNERS), axis=1)
        return add_inside(graph, add_stack(graph, columns, self._stack), self.targets)

    def terms(self) -> dict[str, tuple[str, ...]]:
        """The vocabularies whose terms ``graph`` wants counted."""
        assert self._learners is not None
        return {"char": self._learners.char.terms, "word": self._learners.word.terms}

    def _numbers(self, batch: Batch) -> Array:
        """Counts and other streams (clips, columns); counts of things as logarithms."""
        counts = counted_numbers(texts_of(batch), self.config.language)
        others = [np.asarray(batch.streams[name], np.float64) for name in self.config.streams]
        return np.concatenate([counts, *others], axis=1)

    def _names(self, batch: Batch, width: int) -> tuple[str, ...]:
        named = [c for stream in self.config.streams for c in batch.columns.get(stream, ())]
        named = [*COLUMNS, *named]
        return tuple(named) if len(named) == width else tuple(f"column_{i}" for i in range(width))


def _least_error(predictions: Array, labels: Array) -> NDArray[np.intp]:
    """Which of (penalties, clips, targets) errs least for held-out clips: (targets,)."""
    # Learners predict deviations from the mean, so labels are compared as such.
    centred = labels - np.nanmean(labels, axis=0)
    return np.asarray(np.nanmean((predictions - centred) ** 2, axis=1).argmin(axis=0))


def _side_by_side(
    predictions: Mapping[str, Array], chosen: Mapping[str, NDArray[np.intp]]
) -> Array:
    """Take the chosen of (penalties, clips, targets): (clips, learners x targets)."""
    return np.concatenate(
        [
            values[chosen[name], :, np.arange(values.shape[2])].T
            for name, values in predictions.items()
        ],
        axis=1,
    )
