"""One model on subsets of the signals: which of them carry what is predicted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError
from traitscope.evaluation.report import Report, ScoredRow
from traitscope.evaluation.trained_runs import evaluate
from traitscope.files import write_csv
from traitscope.runs.checkpoint import read_run
from traitscope.training.fitting import train
from traitscope.types import Hook

SETS: Mapping[str, tuple[str, ...]] = {
    "all": ("AU*", "gaze_*", "pose_*"),
    "action units": ("AU*",),
    "gaze": ("gaze_*",),
    "rotation": ("pose_R*",),
    "gaze and rotation": ("gaze_*", "pose_R*"),
    "action units and gaze": ("AU*", "gaze_*"),
    "action units and rotation": ("AU*", "pose_R*"),
}
"""Feature sets of the OpenFace studies: name -> patterns of the columns."""
# Accuracy because papers give it, skill and concordance because it hides a constant.
METRICS = ("accuracy", "skill", "ccc")
ENDS = ("value", "low", "high")
_BASELINES = ("constant", "lookup")


def ablate(
    corpus: str,
    store: Path | str,
    *,
    to: Path,
    sets: Mapping[str, Sequence[str]] = SETS,
    settings: Sequence[str] = (),
    split: str = "validation",
    hook: Hook | None = None,
) -> dict[str, Any]:
    """Train ``functionals`` on each set of signal columns, and evaluate it on the same clips.

    Args:
        corpus: address of the corpus.
        store: where the signals are.
        to: folder that gets one run per set.
        sets: name -> patterns of the columns.
        settings: ``key=value`` for every run, such as ``features.signals.backend=dlib``.
        split: scored clips; which signals to use is a choice, and test has no say in choices.
        hook: called as hook(done, total, name).

    Returns:
        ``rows``: set, columns, and per metric and target value, low and high; baselines last.
    """
    rows: list[dict[str, Any]] = []
    report: Report | None = None
    for done, (name, patterns) in enumerate(sets.items()):
        if hook:
            hook(done, len(sets), name)
        # The classical model: seven trainings of a network would take a night and tell no more.
        chosen = [
            f"data.corpus={corpus}",
            f"data.store={store}",
            "model.streams=[signals]",
            f"model.columns.signals={json.dumps(list(patterns))}",
        ]
        run = train("functionals", [*chosen, *settings], to=to / name.replace(" ", "-"))
        report = evaluate(run, split=split, corpus=read_run(run).data.corpus)
        model = _metrics(report.everything.model)
        rows.append({"set": name, "columns": list(patterns), "metrics": model})
    if hook:
        hook(len(sets), len(sets), "")
    if report is None:
        raise ConfigError("There is no set of columns to train on. Name one or more.")
    part, labels = report.everything, report.corpus
    # The baselines are the same for all sets: those of the last report are everybody's.
    for row in (row for row in part.rows if row.role in _BASELINES):
        rows.append({"set": row.name, "columns": [], "metrics": _metrics(row)})
    return {
        "schema": 1,
        "analysis": "ablation",
        "corpus": labels.name,
        "kind": labels.kind,
        "split": split,
        "clips": part.clips,
        "sources": part.sources,
        "targets": [{"name": target.name, "label": target.label} for target in labels.targets],
        "rows": rows,
    }


def write_table(result: Mapping[str, Any], path: Path) -> Path:
    """Write one row per set, metric and target as CSV."""
    rows = (
        [row["set"], " ".join(row["columns"]), metric, target, *(cell[end] for end in ENDS)]
        for row in result["rows"]
        for metric, cells in row["metrics"].items()
        for target, cell in cells.items()
    )
    return write_csv(path, ["set", "columns", "metric", "target", *ENDS], rows)


def _metrics(row: ScoredRow) -> dict[str, Any]:
    return {
        metric: {target: asdict(score) for target, score in row.metrics[metric].items()}
        for metric in METRICS
    }
