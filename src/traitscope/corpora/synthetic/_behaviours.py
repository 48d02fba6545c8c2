"""Which trait drives which behaviour, and the draw of both: seeds in, labels and behaviours out.

A trait of a clip is the sum of a part of the subject, one of the source and one of the clip. A
behaviour is a weighted sum of the (standardised) traits plus noise, with variance one; its physical
value lies between ``low`` and ``high`` at -2 and +2 standard deviations.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from traitscope.types import TRAITS

_SHARES = {"subject": 0.35, "source": 0.15, "clip": 0.50}
_MEAN, _SPREAD = 0.5, 0.15


@dataclass(frozen=True)
class Behaviour:
    """One behaviour: trait -> weight, and its physical range."""

    weights: Mapping[str, float]
    low: float
    high: float
    unit: str

    def physical(self, score: float) -> float:
        """Turn a standardised score into the unit of the behaviour, cut at +-2.5."""
        share = (float(np.clip(score, -2.5, 2.5)) + 2) / 4
        return self.low + (self.high - self.low) * share


BEHAVIOURS: Mapping[str, Behaviour] = {
    "smile": Behaviour({"agreeableness": 0.93}, 0.0, 1.0, "share of the portrait's smile"),
    "mouth": Behaviour({"extraversion": 0.93}, 0.1, 1.0, "opening of the mouth in speech"),
    "blink": Behaviour({"neuroticism": -0.93}, 0.03, 0.42, "share of time with closed eyes"),
    "brow": Behaviour({"openness": 0.93}, -0.6, 1.0, "height of the brows"),
    "turn": Behaviour({"conscientiousness": -0.93}, 2.0, 20.0, "amplitude in degrees of yaw"),
    "gaze": Behaviour({"conscientiousness": -0.85}, 0.0, 1.0, "amplitude of looking away"),
    "nod": Behaviour({"extraversion": 0.8}, 1.0, 7.0, "amplitude in degrees of pitch"),
    "tilt": Behaviour({"openness": 0.8}, -6.0, 8.0, "degrees of roll"),
    "bow": Behaviour({"neuroticism": -0.8}, -5.0, 6.0, "degrees of pitch, chin to chest"),
    "pitch": Behaviour({"agreeableness": 0.87}, 110.0, 260.0, "mean F0 in Hz"),
    "pitch_range": Behaviour({"openness": 0.87}, 0.03, 0.55, "amplitude of F0 in octaves"),
    "rate": Behaviour({"conscientiousness": -0.87}, 2.0, 7.5, "syllables per second"),
    "loudness": Behaviour({"extraversion": 0.87}, -34.0, -16.0, "level of speech in dB"),
    "pauses": Behaviour({"neuroticism": -0.87}, 0.05, 0.55, "share of time without speech"),
}
"""The one table of the corpus; the text of `table` is repeated in the package's docstring."""


@dataclass(frozen=True)
class Planned:
    """One clip before it is rendered.

    Attributes:
        clip: id.
        source: id of its source.
        subject: id of its subject.
        subject_index: number of the subject, seeds the looks.
        index: number of the clip, seeds everything else.
        split: train, validation or test.
        targets: trait -> value in [0, 1].
        behaviours: behaviour -> physical value.
    """

    clip: str
    source: str
    subject: str
    subject_index: int
    index: int
    split: str
    targets: Mapping[str, float]
    behaviours: Mapping[str, float]


def table() -> str:
    """Render the table of behaviours as text."""
    lines = [f"{'behaviour':<12} {'driven by (weight)':<24} {'low':>7} {'high':>7}  unit"]
    for name, behaviour in BEHAVIOURS.items():
        driven = ", ".join(f"{trait} {weight:+.2f}" for trait, weight in behaviour.weights.items())
        lines.append(
            f"{name:<12} {driven:<24} {behaviour.low:>7g} {behaviour.high:>7g}  {behaviour.unit}"
        )
    return "\n".join(lines)


def neutral() -> dict[str, float]:
    """Every behaviour in the middle of its range, as of a person with average traits."""
    return {name: round(one.physical(0.0), 5) for name, one in BEHAVIOURS.items()}


def generator(*key: int) -> np.random.Generator:
    """Make the generator that belongs to a key such as (seed, clip, purpose)."""
    return np.random.default_rng(np.random.SeedSequence(key))


def plan(subjects: int, sources: int, clips: int, *, seed: int) -> tuple[Planned, ...]:
    """Draw labels and behaviours of every clip.

    Args:
        subjects: number of subjects.
        sources: sources per subject.
        clips: clips per source.
        seed: same seed, same plan.
    """
    rng = generator(seed, 0)
    shape = (subjects, sources, clips, len(TRAITS))
    parts = {
        "subject": rng.standard_normal((subjects, 1, 1, len(TRAITS))),
        "source": rng.standard_normal((subjects, sources, 1, len(TRAITS))),
        "clip": rng.standard_normal(shape),
    }
    # Shares are of variance, so their roots are the weights; they add up to 1, and so does it.
    latent = np.asarray(sum(np.sqrt(_SHARES[name]) * part for name, part in parts.items()))
    # After the labels, and splits after it: another order would be another corpus of the same seed.
    noise = rng.standard_normal((*shape[:3], len(BEHAVIOURS)))
    splits = _splits(subjects, rng)
    planned = []
    for index, (who, where, which) in enumerate(np.ndindex(*shape[:3])):
        place = (who, where, which)
        source = f"s{who:03d}-{where}"
        planned.append(
            Planned(
                clip=f"{source}-{which}",
                source=source,
                subject=f"s{who:03d}",
                subject_index=who,
                index=index,
                split=splits[who],
                targets=_targets(latent[place]),
                behaviours=_behaviours(latent[place], noise[place]),
            )
        )
    return tuple(planned)


def _splits(subjects: int, rng: np.random.Generator) -> list[str]:
    # Whole people: one in both train and test would make looks a short cut to the labels.
    """Deal about 60/15/25 % of the subjects to train, validation and test."""
    test = max(1, round(0.25 * subjects))
    validation = max(1, round(0.15 * subjects))
    names = ["test"] * test + ["validation"] * validation
    names += ["train"] * (subjects - len(names))
    return [str(name) for name in rng.permutation(names)]


def _targets(latent: np.ndarray) -> dict[str, float]:
    values = np.clip(_MEAN + _SPREAD * latent, 0.0, 1.0)
    return {trait: round(float(value), 4) for trait, value in zip(TRAITS, values, strict=True)}


def _behaviours(latent: np.ndarray, noise: np.ndarray) -> dict[str, float]:
    scores = dict(zip(TRAITS, latent, strict=True))
    drawn = {}
    for (name, behaviour), extra in zip(BEHAVIOURS.items(), noise, strict=True):
        weights = behaviour.weights
        # Traits are independent with variance one, so what their weights leave to one is noise.
        rest = np.sqrt(max(0.0, 1 - sum(weight**2 for weight in weights.values())))
        score = sum(weight * scores[trait] for trait, weight in weights.items()) + rest * extra
        drawn[name] = round(behaviour.physical(float(score)), 5)
    return drawn
