"""Learning rates of a run whose settings change with an epoch, for one that is never stopped.

``tests.support.changed_rates.slower_from_2`` is the schedule of a stage of four epochs of cosine
that goes on from its third epoch with half of its rate: the rate is the stage's times this
function, and half of it is to the bit what half of the setting would be.
"""

from collections.abc import Callable
from typing import Any

from traitscope.runs.settings import Stage
from traitscope.training.optimisation import lr_scale

CHANGES: dict[str, list[str]] = {
    "same": [],
    "more": ["train.second.epochs=6"],
    "slower": ["train.second.lr=0.005"],
}
"""What a resumed run goes on with."""


def __getattr__(name: str) -> Callable[[int, Stage], float]:
    change, _, first = name.partition("_from_")
    if change not in CHANGES or not first.isdecimal():
        raise AttributeError(name)

    def rate(epoch: int, stage: Stage) -> float:
        new = epoch >= int(first)
        update: dict[str, Any] = {
            "schedule": "cosine",
            "epochs": 6 if change == "more" and new else 4,
        }
        scale = lr_scale(stage.model_copy(update=update), epoch)
        return scale / 2 if change == "slower" and new else scale

    return rate
