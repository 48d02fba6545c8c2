"""A run's or anyone's table of predictions -> labels and predictions of the same clips, to audit.

Clips of one person or one recording resemble each other, so every interval of the audits is
clustered by what ``protocols.groups`` ties together: source and, where it is known, subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from traitscope.audit.findings import Named
from traitscope.data import protocols
from traitscope.data.protocols import Fit, Protocol, cluster_numbers
from traitscope.data.record import read_records
from traitscope.errors import DataError, counted
from traitscope.evaluation.cautions import FEW_CLUSTERS
from traitscope.evaluation.recorded import recorded_clips
from traitscope.evaluation.systems import System, join, table_system
from traitscope.evaluation.tables import Predictions, open_predictions, read_predictions
from traitscope.runs.checkpoint import read_run
from traitscope.runs.checksums import no_run
from traitscope.runs.labels import own_corpus
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Target

SPREADS = ("sd", "low", "high")
"""Columns ``sd_<target>`` or ``low_<target>`` and ``high_<target>``: a system's own intervals."""


@dataclass(frozen=True)
class Scored:
    """Predictions beside the labels they are held against.

    Attributes:
        name: of the run or the file.
        corpus: the labels; its clips are all clips of the corpus.
        split: which clips were predicted.
        clips: clips with predictions and at least one label.
        fitted: clips whose labels were learnt from.
        protocol: how the clips were split.
        targets: what was predicted, with the meaning of the labels.
        labels: (clips, targets), NaN where one is missing.
        predicted: (clips, targets), mean over seeds.
        spreads: ``sd`` or ``low`` and ``high`` (clips, targets), NaN where missing; often empty.
        lost: how many clips that were asked for have no usable prediction.
        folder: where audits of these predictions are kept; None for predictions in memory.
    """

    name: str
    corpus: Corpus
    split: str
    clips: tuple[Clip, ...]
    fitted: tuple[Clip, ...]
    protocol: Protocol
    targets: tuple[Target, ...]
    labels: Array
    predicted: Array
    spreads: Mapping[str, Array] = field(default_factory=dict)
    lost: int = 0
    folder: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(target.name for target in self.targets)

    @cached_property
    def clusters(self) -> NDArray[np.intp]:
        """(clips,) number of the group of clips, by source and subject, that each belongs to."""
        return cluster_numbers(self.clips)

    def cautions(self) -> list[str]:
        """What a reader of intervals must know of how many clusters there are."""
        count = int(self.clusters.max(initial=-1)) + 1
        if count >= FEW_CLUSTERS:
            return []
        few = counted(count, "source or person", "sources or people")
        return [f"Only {few}: intervals are rough, and often too narrow."]

    def head(self) -> dict[str, Any]:
        """What every audit says of where its numbers come from: the fields of ``findings.Head``."""
        return {
            "name": self.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "corpus": self.corpus.name,
            "kind": self.corpus.kind,
            "split": self.split,
            "clips": len(self.clips),
            "clusters": int(self.clusters.max(initial=-1)) + 1,
            "lost": self.lost,
            "targets": tuple(Named(name=t.name, label=t.label) for t in self.targets),
        }


def scored_run(run: Path | str, *, split: str = "test", labels: str | None = None) -> Scored:
    """Read what a run predicted on its own corpus.

    Args:
        run: an evaluated run.
        split: which clips.
        labels: address of its corpus, needed where a module from outside reads it.

    Raises:
        ConfigError: ``labels`` is another corpus.
        DataError: it is no run, or was not evaluated on that split.
    """
    folder = Path(run)
    if not (folder / "run.yaml").is_file():
        cure = "Other programs' tables: --predictions FILE --labels CORPUS."
        raise DataError(f"{no_run(folder)} {cure}")
    config = read_run(folder)
    evaluation = folder / "evaluation" / split
    table = evaluation / "predictions.csv"
    if not table.is_file():
        raise DataError(
            f"There is no {table}. Make it with: traitscope evaluate {folder} --split {split}"
        )
    system = System(
        name=str(run),
        table=table,
        split=split,
        protocol=config.protocol,
        address=config.data.corpus,
        records=tuple(read_records(folder)),
    )
    return _scored(system, own_corpus(folder, config, labels), folder=evaluation)


def scored_table(
    table: Path | pd.DataFrame,
    corpus: Corpus,
    *,
    split: str = "test",
    fit_on: Fit | None = None,
    protocol: Protocol | None = None,
    name: str | None = None,
) -> Scored:
    """Join anyone's predictions to labels.

    Args:
        table: predictions.csv, or its content.
        corpus: the labels.
        split: which split was predicted.
        fit_on: what was fitted; overrides ``protocol.fit``.
        protocol: how the clips are split; official by default.
        name: of the system; the file's by default.

    Raises:
        DataError: columns are missing, or no row belongs to a labelled clip.
    """
    system = table_system(table, split=split, fit_on=fit_on, protocol=protocol, name=name)
    return _scored(system, corpus)


def _scored(system: System, corpus: Corpus, *, folder: Path | None = None) -> Scored:
    splits = protocols.split(corpus, system.protocol)
    # Optional targets such as "interview" are no trait of a person: audits leave them alone.
    read = join(system, splits.part(system.split), corpus, optional=False)
    return Scored(
        name=system.name,
        corpus=corpus,
        split=system.split,
        clips=read.clips,
        # A run's record holds also where labels or splits changed since; tables have none.
        fitted=recorded_clips(system, corpus) or splits.fitted,
        protocol=system.protocol,
        targets=tuple(corpus.target(target) for target in read.targets),
        labels=corpus.with_clips(read.clips).labels(read.targets),
        predicted=read.values.mean(axis=0),
        spreads=_spreads(system.table, read),
        lost=len(read.failures),
        folder=folder,
    )


def numbers(tree: Any) -> Any:
    """Make JSON values of numbers: six digits, None for what is not finite."""
    if isinstance(tree, Mapping):
        return {str(key): numbers(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple, np.ndarray)):
        return [numbers(value) for value in tree]
    # NumPy's bool is no JSON either, and no NumPy integer.
    if isinstance(tree, (bool, np.bool_)):
        return bool(tree)
    if isinstance(tree, (float, np.floating)):
        return float(f"{tree:.6g}") if np.isfinite(tree) else None
    return int(tree) if isinstance(tree, np.integer) else tree


def _spreads(table: Path | pd.DataFrame, read: Predictions) -> dict[str, Array]:
    """Read ``sd_``, ``low_`` and ``high_`` columns by the rules that hold for predictions."""
    _, frame, _ = open_predictions(table)
    spreads = {}
    for kind in SPREADS:
        stated = [name for name in read.targets if f"{kind}_{name}" in frame]
        if not stated:
            continue
        spreads[kind] = np.full((len(read.clips), len(read.targets)), np.nan)
        for name in stated:  # one by one: a clip without this number may have the others
            renamed = {f"{kind}_{name}": f"predicted_{name}"}
            # Under the name of a prediction, the one reader takes it by its own rules.
            kept = frame[[c for c in ("clip", "seed") if c in frame] + list(renamed)]
            try:
                values = read_predictions(kept.rename(columns=renamed), read.clips, targets=[name])
            except DataError:  # not one finite number in the column
                continue
            scores = values.values.mean(axis=0)[:, 0]
            known = {clip.id: score for clip, score in zip(values.clips, scores, strict=True)}
            column = [known.get(clip.id, np.nan) for clip in read.clips]
            spreads[kind][:, read.targets.index(name)] = column
    return spreads
