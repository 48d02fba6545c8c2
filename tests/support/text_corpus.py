"""Generated transcripts whose words, pauses and length carry planted traits."""

from dataclasses import dataclass

import numpy as np

from traitscope.types import TRAITS, Batch, Clip, Corpus, Target

TARGETS = tuple(Target(name, 0.0, 1.0, -1 if name == "neuroticism" else 1) for name in TRAITS)


@dataclass(frozen=True)
class Texts:
    """A corpus of transcripts.

    Attributes:
        texts: (clips,) transcripts.
        sources: (clips,) the recording each was cut from.
        labels: (clips, traits) in [0, 1].
        planted: (clips, traits) what the words, pauses and length are worth, without noise.
    """

    texts: list[str]
    sources: list[str]
    labels: np.ndarray
    planted: np.ndarray

    @property
    def attainable(self) -> np.ndarray:
        """Correlation of the noiseless score with the label, per trait."""
        return correlations(self.planted, self.labels)

    def corpus(self) -> Corpus:
        clips = [
            Clip(
                f"c{n:05d}",
                source=source,
                transcript=text,
                targets=dict(zip(TRAITS, row, strict=True)),
            )
            for n, (text, source, row) in enumerate(
                zip(self.texts, self.sources, self.labels.tolist(), strict=True)
            )
        ]
        return Corpus("generated texts", "apparent", TARGETS, tuple(clips))

    def batch(self, rows: np.ndarray, labels: np.ndarray | None = None) -> Batch:
        """Some clips, as ``data.collate`` would lay them out."""
        chosen = self.labels if labels is None else labels
        words = np.array([[self.texts[row]] for row in rows], dtype=np.dtypes.StringDType())
        return Batch(
            clips=tuple(f"c{row:05d}" for row in rows),
            streams={"transcript": words},
            masks={"transcript": np.ones(words.shape, bool)},
            targets=chosen[rows].astype(np.float32),
            target_mask=np.ones((len(rows), len(TRAITS)), bool),
        )

    def groups(self, rows: np.ndarray) -> list[str]:
        return [self.sources[row] for row in rows]


def correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson's r of each column."""
    a, b = one - one.mean(axis=0), other - other.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))


def vocabulary(rng: np.random.Generator, size: int) -> np.ndarray:
    """Words that can be spoken, all different."""
    onsets = ["", *"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fr", "gr", "pl", "sh", "st", "th"]
    nuclei = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "oo", "ou"]
    codas = ["", "", "n", "r", "s", "t", "l", "m", "ck", "nd", "ng", "st"]
    words: dict[str, None] = {}
    while len(words) < size:
        count = rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2])
        parts = [rng.choice(part) for _ in range(count) for part in (onsets, nuclei, codas)]
        words["".join(parts)] = None
    return np.array(list(words))


def make_texts(
    documents: int = 3000,
    sources: int = 1000,
    *,
    words: int = 43,
    terms: int = 4000,
    planted: int = 12,
    noise: float = 1.0,
    seed: int = 0,
) -> Texts:
    """Generate transcripts.

    Each trait shows in how often a few words of its own are said, for and against it, in pauses and
    in length. Labels add the noise of the source and of the clip, which no text tells.
    """
    rng = np.random.default_rng(seed)
    known = vocabulary(rng, terms)
    frequency = 1 / (np.arange(terms) + 5.0)
    # The words that carry traits are neither the most frequent nor rare.
    carriers = (100 + rng.permutation(planted * 2 * len(TRAITS))).reshape(len(TRAITS), 2, planted)
    source = np.sort(rng.integers(sources, size=documents))
    topics = rng.integers(terms, size=(sources, 20))
    latent = rng.normal(size=(documents, len(TRAITS)))
    texts, facts = [], np.zeros((documents, len(TRAITS), 3))
    for row in range(documents):
        length = max(3, int(words * np.exp(0.4 * rng.normal())))
        chance = frequency.copy()
        chance[topics[source[row]]] += 0.02
        for trait in range(len(TRAITS)):
            for side, sign in enumerate((1, -1)):
                chance[carriers[trait, side]] *= 3 * np.exp(sign * latent[row, trait])
        said = rng.choice(terms, size=length, p=chance / chance.sum())
        pauses = int(rng.poisson(2))
        for trait in range(len(TRAITS)):
            occurs = [np.isin(said, side).sum() for side in carriers[trait]]
            facts[row, trait] = (occurs[0] - occurs[1], -pauses, np.log(length))
        texts.append(_spoken(rng, known[said].tolist(), pauses))
    scaled = (facts - facts.mean(axis=0)) / facts.std(axis=0)
    score = scaled @ np.array([0.8, 0.4, 0.3])
    score /= score.std(axis=0)
    shared = rng.normal(size=(sources, len(TRAITS)))[source] * noise * np.sqrt(0.5)
    own = rng.normal(size=score.shape) * noise * np.sqrt(0.5)
    labels = np.clip(0.5 + 0.1 * (score + shared + own), 0, 1)
    return Texts(texts, [f"s{number:04d}" for number in source], labels, score)


def _spoken(rng: np.random.Generator, words: list[str], pauses: int) -> str:
    """Sentences with capitals and full stops, and pauses in between."""
    for place in rng.integers(len(words), size=pauses):
        words[place] += "..." if rng.random() < 0.6 else " --"
    text, start = [], 0
    while start < len(words):
        end = start + int(rng.integers(4, 15))
        sentence = " ".join(words[start:end])
        text.append(sentence[:1].upper() + sentence[1:] + ("?" if rng.random() < 0.1 else "."))
        start = end
    return " ".join(text)
