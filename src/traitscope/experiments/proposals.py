"""Who says what is tried next: chance, or Optuna. Spaces and earlier trials in, settings out.

Neither needs a state of its own to go on after a kill: chance is a function of seed and number, and
Optuna is told of the earlier trials again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from traitscope import extras
from traitscope.experiments.spaces import Space, drawn
from traitscope.experiments.trials import WORST, Job, Trial


class Proposals(Protocol):
    """Settings of one trial after the other."""

    def ask(self, number: int) -> dict[str, Any]:
        """The settings of a trial that begins."""

    def tell(self, number: int, standing: float) -> None:
        """How a trial ended."""


@dataclass(frozen=True)
class Chance:
    """Draw each setting by itself; a trial's draw hangs on its number alone."""

    spaces: Sequence[Space]
    seed: int

    def ask(self, number: int) -> dict[str, Any]:
        """Draw the settings of a trial."""
        return drawn(self.spaces, seed=self.seed, number=number)

    def tell(self, number: int, standing: float) -> None:
        """Nothing: chance does not learn."""


class Optuna:
    """Let Optuna's TPE propose what resembles the good trials so far."""

    def __init__(self, spaces: Sequence[Space], seed: int, job: Job, earlier: Sequence[Trial]):
        optuna = extras.require("optuna", extra="ray", why="--algorithm optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spaces = {space.key: space for space in spaces}
        self._distributions = {
            space.key: optuna.distributions.CategoricalDistribution(range(len(space.values)))
            if space.kind == "choice"
            else optuna.distributions.FloatDistribution(0.0, 1.0)
            for space in spaces
        }
        # Another seed than before a kill: the same one would propose the same again. A liar, so
        # that trials which run at the same time are not all alike.
        sampler = optuna.samplers.TPESampler(seed=seed + len(earlier), constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[int, Any] = {}
        for trial in earlier:
            known = optuna.trial.create_trial(
                params={k: self._encoded(k, v) for k, v in trial.settings.items()},
                distributions=self._distributions,
                value=job.standing(trial.score),
            )
            self._study.add_trial(known)

    def ask(self, number: int) -> dict[str, Any]:
        """Let it propose the settings of a trial."""
        self._asked[number] = trial = self._study.ask(self._distributions)
        return {key: self._decoded(key, value) for key, value in trial.params.items()}

    def tell(self, number: int, standing: float) -> None:
        """Tell it how a trial ended; a resumed one was not asked for here."""
        if number in self._asked:
            value = standing if math.isfinite(standing) else WORST
            self._study.tell(self._asked.pop(number), value)

    # Numbers are shares of the way between their ends, so that logarithms and steps are ours alone.
    def _encoded(self, key: str, value: Any) -> Any:
        space = self._spaces[key]
        return space.values.index(value) if space.kind == "choice" else space.place(value)

    def _decoded(self, key: str, value: Any) -> Any:
        space = self._spaces[key]
        return space.values[value] if space.kind == "choice" else space.at(value)
