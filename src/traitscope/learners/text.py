"""The four learners behind ``text_stack``: characters, words, a table, and trees on the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from traitscope.config import Config
from traitscope.learners.columns import FARTHEST, moments, standardised
from traitscope.learners.graphs import Graph, add_forest, add_linear, add_standardised
from traitscope.learners.ridge import ridge_path
from traitscope.learners.stack import checked
from traitscope.learners.trees import Boosting, Forest, grow
from traitscope.learners.words import Counts, Vocabulary, tfidf

Array = NDArray[np.float64]


class TextLearning(Config):
    """How the learners are fitted; the settings of a model that uses them go on from here."""

    components: PositiveInt = 100
    """Components of the words that the table gets."""
    penalties: tuple[PositiveFloat, ...] = (1, 2, 4, 8, 16, 32)
    """Tried for characters and words."""
    table_penalties: tuple[PositiveFloat, ...] = (100, 300, 1000, 3000, 10000, 30000)
    """Tried for the standardised table."""
    boosting: Boosting = Boosting()
    """How trees are grown."""
    seed: NonNegativeInt = 0
    """Of folds, components and trees."""


LEARNERS = ("char", "word", "table", "trees")


@dataclass(frozen=True)
class Learners:
    """The four, fitted on the same clips; the linear ones once for each penalty.

    Attributes:
        char: vocabulary of characters.
        word: vocabulary of words.
        components: of the words (terms, components).
        mean: of the table's columns (columns,).
        sd: of the table's columns; infinite for one that has no say.
        linear: learner -> weights (penalties, features, targets).
        forest: the trees.
        shift: learner -> mean of its predictions for the fitting clips (penalties, targets).
    """

    char: Vocabulary
    word: Vocabulary
    components: Array
    mean: Array
    sd: Array
    linear: Mapping[str, Array]
    forest: Forest
    shift: Mapping[str, Array]

    def predict(self, texts: Sequence[str], numbers: Array) -> dict[str, Array]:
        """Deviations from the mean for new texts: learner -> (penalties, clips, targets)."""
        return self.deviations(self.char.table(texts), self.word.table(texts), numbers)

    def deviations(self, char: Any, word: Any, numbers: Array) -> dict[str, Array]:
        """Deviations from TF-IDF (clips, terms), sparse, and numbers (clips, columns)."""
        table = _table(word, numbers, self.components, self.mean, self.sd)
        raw = _raw(char, word, table, self.linear, self.forest)
        return {name: values - self.shift[name][:, None] for name, values in raw.items()}

    def with_penalties(self, chosen: Mapping[str, NDArray[np.intp]]) -> "Learners":
        """Keep one penalty per linear learner and target."""
        linear, shift = dict(self.linear), dict(self.shift)
        for name, places in chosen.items():
            targets = np.arange(len(places))
            if name in linear:
                linear[name] = linear[name][places, :, targets].T[None]
            shift[name] = shift[name][places, targets][None]
        return Learners(
            self.char, self.word, self.components, self.mean, self.sd, linear, self.forest, shift
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays to save, of learners with one penalty."""
        arrays = {"components": self.components, "mean": self.mean, "sd": self.sd}
        arrays |= {f"{name}/weights": weights[0] for name, weights in self.linear.items()}
        arrays |= {f"{name}/shift": shift[0] for name, shift in self.shift.items()}
        return arrays | self.char.state() | self.word.state() | self.forest.state("trees")

    @classmethod
    def restore(
        cls, arrays: Mapping[str, NDArray[Any]], *, numbers: int, targets: int
    ) -> "Learners":
        """Take back what ``state`` gave, checked.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        char, word = Vocabulary.restore(arrays, "char"), Vocabulary.restore(arrays, "word")
        components = checked(arrays, "components", (len(word.terms), None))
        columns = numbers + components.shape[1]
        sizes = {"char": len(char.terms), "word": len(word.terms), "table": columns}
        return cls(
            char=char,
            word=word,
            components=components,
            mean=checked(arrays, "mean", (columns,)),
            sd=checked(arrays, "sd", (columns,)),
            linear={
                name: checked(arrays, f"{name}/weights", (size, targets))[None]
                for name, size in sizes.items()
            },
            forest=Forest.restore(arrays, "trees", columns=columns, outputs=targets),
            shift={name: checked(arrays, f"{name}/shift", (targets,))[None] for name in LEARNERS},
        )


def add_learners(
    graph: Graph, learners: Learners, inputs: Mapping[str, str], others: Sequence[str]
) -> dict[str, str]:
    """What `Learners.predict` does, as operators: learner -> deviations (clips, targets).

    Args:
        graph: that grows.
        learners: with one penalty each.
        inputs: name -> value of the arrays that `runs.words.Terms` makes.
        others: further columns of the table.
    """
    weights = {name: one[0] for name, one in learners.linear.items()}
    word, char = (
        _add_terms(graph, inputs, vocabulary) for vocabulary in (learners.word, learners.char)
    )
    parts = [inputs["transcript_numbers"], *others]
    if learners.components.shape[1]:
        parts.append(_add_weighted(graph, word, learners.components))
    table = graph.op("Concat", *parts, axis=1)
    table = add_standardised(graph, table, learners.mean, learners.sd, farthest=FARTHEST)
    raw = {
        "char": _add_weighted(graph, char, weights["char"]),
        "word": _add_weighted(graph, word, weights["word"]),
        "table": add_linear(graph, table, weights["table"]),
        "trees": add_forest(graph, table, learners.forest, weights["table"].shape[1]),
    }
    return {
        name: graph.op("Sub", one, graph.constant(learners.shift[name][0]))
        for name, one in raw.items()
    }


def _add_terms(graph: Graph, inputs: Mapping[str, str], vocabulary: Vocabulary) -> tuple[str, str]:
    """Places of terms, and their TF-IDF (clips, terms of the longest text), of length one."""
    places = inputs[f"transcript_{vocabulary.kind}"]
    counts = inputs[f"transcript_{vocabulary.kind}_counts"]
    one, zero = graph.constant(1.0), graph.constant(0.0)
    idf = vocabulary.idf if len(vocabulary.idf) else np.zeros(1)
    weight = graph.op("Gather", graph.constant(idf), places)
    # The logarithm of what is not there is infinite: such a term counts as one, and is hidden.
    often = graph.op("Add", graph.op("Log", graph.op("Max", counts, one)), one)
    known = graph.op("Greater", counts, zero)
    term = graph.op("Where", known, graph.op("Mul", often, weight), zero)
    squares = graph.total(graph.op("Mul", term, term), 1, kept=True)
    # A text without any term has no length to be divided by.
    length = graph.op("Sqrt", graph.op("Where", graph.op("Greater", squares, zero), squares, one))
    return places, graph.op("Div", term, length)


def _add_weighted(graph: Graph, terms: tuple[str, str], weights: Array) -> str:
    """Sparse terms times weights (terms, columns): (clips, columns)."""
    places, values = terms
    rows = weights if len(weights) else np.zeros((1, weights.shape[1]))
    gathered = graph.op("Gather", graph.constant(rows), places)  # (clips, terms, columns)
    wide = graph.op("Unsqueeze", values, graph.constant([2], np.int64))
    return graph.total(graph.op("Mul", gathered, wide), 1)


def fit_learners(
    settings: "TextLearning",
    terms: Mapping[str, Counts],
    numbers: Array,
    labels: Array,
    rows: NDArray[np.bool_],
) -> tuple[Learners, Any, Any]:
    """Fit on some of the clips.

    Args:
        settings: of the model.
        terms: ``char`` and ``word``, of all clips.
        numbers: (clips, columns), NaN where one is missing.
        labels: (clips, targets), NaN where one is missing.
        rows: (clips,) True for those to fit on.

    Returns:
        The learners, and the TF-IDF of all clips under their vocabularies, characters and words.
    """
    vocabularies, tables = {}, {}
    for name, counted in terms.items():
        vocabularies[name], kept = counted.fit(rows)
        tables[name] = tfidf(counted.counts[:, kept], vocabularies[name].idf)
    components = _components(tables["word"][rows], settings.components, settings.seed)
    raw = np.concatenate([numbers[rows], np.asarray(tables["word"][rows] @ components)], axis=1)
    mean, sd = moments(raw)
    table = standardised(raw, mean, sd)
    char, word = tables["char"][rows], tables["word"][rows]
    linear = {
        "char": ridge_path(char, labels[rows], settings.penalties)[0],
        "word": ridge_path(word, labels[rows], settings.penalties)[0],
        "table": ridge_path(table, labels[rows], settings.table_penalties)[0],
    }
    boosting = [settings.boosting] * labels.shape[1]
    forest = grow(table, labels[rows], boosting, seed=settings.seed)
    fitted = _raw(char, word, table, linear, forest)
    # Learners are combined by their deviations: each is centred by what it says on these clips.
    shift = {name: values.mean(axis=1) for name, values in fitted.items()}
    learners = Learners(
        *(vocabularies["char"], vocabularies["word"], components, mean, sd, linear, forest, shift)
    )
    return learners, tables["char"], tables["word"]


def _table(word: Any, numbers: Array, components: Array, mean: Array, sd: Array) -> Array:
    raw = np.concatenate([numbers, np.asarray(word @ components)], axis=1)
    return standardised(raw, mean, sd)


def _raw(
    char: Any, word: Any, table: Array, linear: Mapping[str, Array], forest: Forest
) -> dict[str, Array]:
    """Predictions without intercept: learner -> (penalties, clips, targets)."""
    features = {"char": char, "word": word, "table": table}
    predictions = {
        name: np.stack([np.asarray(features[name] @ one) for one in weights])
        for name, weights in linear.items()
    }
    predictions["trees"] = forest.predict(table, linear["table"].shape[2])[None]
    return predictions


def _components(table: Any, count: int, seed: int) -> Array:
    """The first directions of TF-IDF (texts, terms), as (terms, components)."""
    from sklearn.utils.extmath import randomized_svd

    count = min(count, *(size - 1 for size in table.shape))
    if count < 1 or not table.nnz:
        return np.zeros((table.shape[1], 0))
    right = randomized_svd(table, n_components=count, random_state=seed)[2]
    return np.asarray(right.T, dtype=np.float64)
