"""Trials on Ray: which run next and which are stopped in Ray's hands, training in ours.

Ray Tune keeps pickles to restore an experiment from. Nothing here reads them: the folders of the
trials tell all, so what Ray writes is thrown away, and after a kill its scheduler is told of the
earlier trials again.
"""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

from traitscope import extras
from traitscope.experiments.proposals import Proposals
from traitscope.experiments.trials import (
    ENDED,
    WORST,
    Job,
    Trial,
    begin_trial,
    end_trial,
    read_trial,
    train_trial,
)

_ENDLESS = 10**6
"""Epochs after which ASHA would end a trial; they end by themselves."""


@dataclass(frozen=True)
class Plan:
    """How a search runs, whatever it searches.

    Attributes:
        trials: how many in all.
        concurrent: at the same time; 0 for as many as resources allow.
        cpus: cores of each.
        gpus: of each, which may be a part of one.
        scheduler: ``asha`` stops trials that others have left behind, ``fifo`` none.
        grace: epochs before a trial can be stopped.
        reduction: of the trials that reach a rung one in so many goes on; rungs are at ``grace``,
            ``grace * reduction``, ``grace * reduction**2`` ... epochs.
    """

    trials: int
    concurrent: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    scheduler: Literal["asha", "fifo"] = "asha"
    grace: int = 5
    reduction: int = 2


def run_trials(
    ray: ModuleType,
    job: Job,
    plan: Plan,
    proposals: Proposals,
    earlier: Sequence[Trial],
    watch: Callable[[], None],
) -> None:
    """Run the trials that are not over, and as many new ones as the plan has left.

    Args:
        ray: connected.
        job: the search.
        plan: how it runs.
        proposals: settings of new trials.
        earlier: trials that had begun before.
        watch: called when a trial has told something new.
    """
    from ray import tune

    over = [trial for trial in earlier if trial.status != "running"]
    waiting = [trial.number for trial in earlier if trial.status == "running"]
    first = max((trial.number for trial in earlier), default=-1) + 1
    waiting += range(first, first + plan.trials - len(earlier))
    if not waiting:
        return
    scheduler = _scheduler(plan, over)
    known = {trial.number for trial in earlier}
    storage = job.folder / ".ray"
    shutil.rmtree(storage, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(_trainable(job), {"cpu": plan.cpus, "gpu": plan.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=_asking(job, proposals, waiting, known),
            scheduler=scheduler,
            num_samples=len(waiting),
            max_concurrent_trials=plan.concurrent or None,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
            reuse_actors=True,  # a process imports torch once, not for every trial
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(storage),
            verbose=0,
            callbacks=[_noting(job, proposals, watch)],
        ),
    )
    # Tune would catch Ctrl-C and end as if the search were over.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    loud = logging.getLogger("ray.tune")
    level, loud.disabled = loud.level, True
    try:
        loud.setLevel(logging.CRITICAL)
        tuner.fit()
    finally:
        loud.disabled = False
        loud.setLevel(level)
        del os.environ["TUNE_DISABLE_SIGINT_HANDLER"]
        shutil.rmtree(storage, ignore_errors=True)


def _trainable(job: Job) -> Callable[[dict[str, Any]], None]:
    place = Path.cwd()

    def trial(config: dict[str, Any]) -> None:
        """Train one trial, in a process of Ray."""
        from ray import tune

        def report(epoch: int, standing: float) -> None:
            tune.report({"epoch": epoch, "standing": standing})

        # Ray has left the folder that relative paths of corpus and store begin in; on another
        # machine there may be none.
        if place.is_dir():
            os.chdir(place)
        train_trial(job, config["number"], report)

    return trial


def _scheduler(plan: Plan, over: Sequence[Trial]) -> Any:
    """ASHA as if it had seen the earlier trials, or nothing that stops any."""
    # Of untyped names: earlier trials come without Ray's own objects.
    schedulers: Any = extras.require("ray.tune.schedulers", extra="ray", why="The search")
    if plan.scheduler == "fifo":
        return schedulers.FIFOScheduler()
    asha = schedulers.ASHAScheduler(
        time_attr="epoch",
        metric="standing",
        mode="max",
        max_t=_ENDLESS,
        grace_period=plan.grace,
        reduction_factor=plan.reduction,
    )
    for trial in over:
        past = SimpleNamespace(trial_id=f"past-{trial.number}", config={})
        asha.on_trial_add(None, past)
        for epoch, standing in enumerate(trial.standings, 1):
            asha.on_trial_result(None, past, {"epoch": epoch, "standing": standing})
    return asha


def _asking(job: Job, proposals: Proposals, waiting: list[int], known: set[int]) -> Any:
    """What Ray asks for the next trial."""
    from ray.tune.search import Searcher

    class Asking(Searcher):
        """Hands out the numbers of trials; their settings stand beside their folders."""

        def set_search_properties(self, *_: Any, **__: Any) -> bool:
            """Take the metric as it is."""
            return True

        def suggest(self, trial_id: str) -> Any:
            """The next trial, or that there is none."""
            if not waiting:
                return Searcher.FINISHED
            number = waiting.pop(0)
            if number not in known:
                begin_trial(job, number, proposals.ask(number))
            return {"number": number}

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            """Nothing: `_noting` is told as well, and knows the number."""

        def save_to_dir(self, *_: Any, **__: Any) -> None:
            """Nothing: there is no state."""

    return Asking(metric="standing", mode="max")


def _noting(job: Job, proposals: Proposals, watch: Callable[[], None]) -> Any:
    """What Ray tells of its trials."""
    from ray.tune import Callback

    class Noting(Callback):
        """Notes how each trial ended, and lets who watches know."""

        def on_trial_result(self, *_: Any, **__: Any) -> None:
            """An epoch is over."""
            watch()

        def on_trial_complete(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            """A trial is over, or was stopped."""
            number = trial.config["number"]
            now = read_trial(job, number)
            # Nobody else writes it: what has no end of its own was stopped by the scheduler.
            end_trial(job, number, "stopped" if now.status == "running" else "finished")
            proposals.tell(number, job.standing(now.score))
            watch()

        def on_trial_error(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            """A trial has failed: by its settings, which it has noted, or by its process."""
            number = trial.config["number"]
            if read_trial(job, number).status == "running":
                end_trial(job, number, "failed", ENDED)
            proposals.tell(number, WORST)
            watch()

    return Noting()
