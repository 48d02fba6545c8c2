"""A run's settings in, the single trainings that it stands for out: one per fold, or per seed.

Training, evaluation and prediction all find the folders of a run's members here::

    runs/a            run.yaml with protocol.fold=all      run.yaml with seeds=3 and seed=7
      fold-0, ...     each fitted on the other folds       seed-7, seed-8, seed-9
"""

from dataclasses import dataclass
from pathlib import Path

from traitscope.data.protocols import each_fold
from traitscope.errors import DataError
from traitscope.runs.settings import RunConfig


@dataclass(frozen=True)
class Member:
    """One training of several: the name of its folder, and its own settings."""

    name: str
    config: RunConfig


def members(config: RunConfig) -> list[Member]:
    """The trainings that a run stands for; none for one that is a training itself."""
    if config.protocol.fold == "all":
        return [
            Member(f"fold-{number}", config.model_copy(update={"protocol": protocol}))
            for number, protocol in enumerate(each_fold(config.protocol))
        ]
    if config.seeds == 1:
        return []
    return [
        Member(f"seed-{seed}", config.model_copy(update={"seed": seed, "seeds": 1}))
        for seed in range(config.seed, config.seed + config.seeds)
    ]


def seed_folders(folder: Path, config: RunConfig) -> list[Path]:
    """Folders of a system's trainings with several seeds; none where it is no such system.

    Raises:
        DataError: one of them is not finished: a system of fewer seeds is another one.
    """
    if config.seeds == 1:
        return []
    places = [folder / member.name for member in members(config)]
    ready = [place for place in places if (place / "metrics.json").is_file()]
    if len(ready) < len(places):
        raise DataError(
            f"{folder} has {len(ready)} of its {len(places)} trainings. Finish it with: "
            f"traitscope train {folder} --to {folder} --resume"
        )
    return places
