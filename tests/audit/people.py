"""Made-up predictions of people with attributes, with a bias where one is asked for."""

import numpy as np
import pandas as pd

from traitscope.audit import Scored, scored_table
from traitscope.types import TRAITS, Clip, Corpus, Target

TARGETS = tuple(Target(t, 0.0, 1.0, -1 if t == "neuroticism" else 1) for t in TRAITS)


def make(
    seed: int = 0,
    *,
    bias: float = 0.0,
    people: int = 60,
    clips: int = 6,
    sd: float | None = None,
) -> Scored:
    """Predictions half as wide as labels; ``bias`` is added to openness of women.

    Labels and errors both have a part of the person's own. With ``sd`` the system states it.
    """
    rng = np.random.default_rng(seed)
    made, rows = [], []
    for person in range(people):
        gender = "female" if rng.random() < 0.4 else "male"
        age = float(rng.integers(18, 70))
        own, error = rng.normal(0, 0.1, 5), rng.normal(0, 0.08, 5)
        for number in range(clips):
            true = 0.5 + own + rng.normal(0, 0.1, 5)
            score = 0.5 + 0.5 * (true - 0.5) + error + rng.normal(0, 0.05, 5)
            score[0] += bias * (gender == "female")
            name = f"p{person}_{number}"
            made.append(
                Clip(
                    name,
                    source=f"p{person}_{number // 2}",
                    subject=f"p{person}",
                    split="test",
                    targets=dict(zip(TRAITS, true, strict=True)),
                    attributes={"gender": gender, "age": age},
                )
            )
            row = {"clip": f"{name}.mp4"}
            row |= {f"predicted_{t}": v for t, v in zip(TRAITS, score, strict=True)}
            if sd is not None:
                row |= {f"sd_{t}": sd for t in TRAITS}
            rows.append(row)
    made += [
        Clip(f"t{i}", source=f"t{i}", split="train", targets=dict.fromkeys(TRAITS, 0.4 + 0.1 * i))
        for i in range(3)
    ]
    corpus = Corpus("people", "apparent", TARGETS, tuple(made))
    return scored_table(pd.DataFrame(rows), corpus)
