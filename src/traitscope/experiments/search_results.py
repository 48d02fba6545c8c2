"""What a search leaves: the best recipe, a table, the importance of settings, a page."""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from traitscope import extras
from traitscope.experiments.spaces import Space
from traitscope.experiments.trials import Job, Trial
from traitscope.files import write_csv, write_json, write_text
from traitscope.report.search_page import Axis, Row, SearchView, write_search_page
from traitscope.runs.checkpoint import read_run

_FEWEST = 4
"""Trials with a score below which the importance of settings is not asked for."""


def write_results(
    job: Job, seed: int, spaces: Sequence[Space], trials: Sequence[Trial], best: Trial
) -> None:
    """Write ``best.yaml``, ``trials.csv``, ``search.json`` and ``search.html``.

    Args:
        job: the search.
        seed: of the search.
        spaces: what was searched.
        trials: all that began.
        best: the one that won.
    """
    importance = settings_importance(job, spaces, trials)
    write_text(job.folder / "best.yaml", recipe(job, trials, best))
    keys = [space.key for space in spaces]
    rows = (
        [t.number, t.status, t.epochs, t.score, *(json.dumps(t.settings[k]) for k in keys)]
        for t in trials
    )
    write_csv(job.folder / "trials.csv", ["trial", "status", "epochs", job.metric, *keys], rows)
    tree = {
        "schema": 1,
        "name": job.name,
        "metric": job.metric,
        "split": "validation",
        "seed": seed,
        "trials": len(trials),
        "best": {"trial": best.number, "score": best.score, "settings": best.settings},
        "importance": importance,
    }
    write_json(job.folder / "search.json", tree)
    write_search_page(_view(job, spaces, trials, best, importance), job.folder / "search.html")


def recipe(job: Job, trials: Sequence[Trial], best: Trial) -> str:
    """The settings of the best trial as a recipe, without what belongs to this machine."""
    config = read_run(job.run(best.number))
    tree = config.model_dump(mode="json", exclude_defaults=True, exclude={"search", "searched"})
    data = {k: v for k, v in tree.get("data", {}).items() if k not in {"corpus", "store"}}
    tree = {key: value for key, value in tree.items() if key != "data"} | (
        {"data": data} if data else {}
    )
    tree["searched"] = {"trials": len(trials), "metric": job.metric}
    # Without a path, which would belong to this machine.
    name = job.name.rpartition("/")[2]
    title = f"# Best of {len(trials)} trials of {name} by macro {job.metric} on validation: "
    body = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return f"{title}{best.score:.4f}.\n{body}"


def settings_importance(
    job: Job, spaces: Sequence[Space], trials: Sequence[Trial]
) -> Mapping[str, float]:
    """The share of the scores' variance that each setting explains (fANOVA, of Optuna).

    Returns:
        Key -> share; nothing where trials are too few or all alike.
    """
    optuna = extras.require("optuna", extra="ray", why="The importance of settings")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scored = [trial for trial in trials if trial.score is not None]
    if len(scored) < _FEWEST or len({trial.score for trial in scored}) == 1:
        return {}
    share = optuna.distributions.FloatDistribution(0.0, 1.0)
    choice = optuna.distributions.CategoricalDistribution
    study = optuna.create_study(direction="maximize")
    for trial in scored:
        params: dict[str, Any] = {}
        for space in spaces:
            value = trial.settings[space.key]
            chosen = space.kind == "choice"
            params[space.key] = space.values.index(value) if chosen else space.place(value)
        kinds = {
            s.key: choice(range(len(s.values))) if s.kind == "choice" else share for s in spaces
        }
        known = optuna.trial.create_trial(
            params=params, distributions=kinds, value=job.standing(trial.score)
        )
        study.add_trial(known)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: round(float(value), 4) for key, value in found.items()}


def _view(
    job: Job,
    spaces: Sequence[Space],
    trials: Sequence[Trial],
    best: Trial,
    importance: Mapping[str, float],
) -> SearchView:
    return SearchView(
        name=job.name,
        metric=job.metric,
        lower_is_better=job.standing(1.0) < 0,
        axes=tuple(_axis(space) for space in spaces),
        rows=tuple(_row(spaces, trial) for trial in trials),
        best=best.number,
        importance=tuple(importance.items()),
        train=f"traitscope train {job.folder.name}/best.yaml data.corpus=... data.store=...",
    )


def _axis(space: Space) -> Axis:
    ends = space.ends()
    return Axis(space.key, str(space), tuple((space.place(end), _shown(end)) for end in ends))


def _row(spaces: Sequence[Space], trial: Trial) -> Row:
    return Row(
        number=trial.number,
        status=trial.status,
        score=trial.score,
        curve=trial.curve,
        places=tuple(space.place(trial.settings[space.key]) for space in spaces),
        values=tuple(_shown(trial.settings[space.key]) for space in spaces),
        reason=trial.reason,
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
