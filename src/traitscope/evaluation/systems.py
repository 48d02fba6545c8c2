"""One system's predictions, and what is known of them, joined to labels.

A system is a run (``RUN/evaluation/SPLIT``), any folder with ``predictions.csv`` and
``report.json``, such as ``evaluate --predictions ... --to`` and ``fuse`` write, or a mere table.
Evaluation, comparison, fusion and audits all join predictions to labels here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data.manifests import read_manifest
from traitscope.data.protocols import Fit, Protocol
from traitscope.data.record import Record, read_records, same_place
from traitscope.errors import DataError
from traitscope.evaluation.report import Failure, read_report, refuse_table
from traitscope.evaluation.scales import align
from traitscope.evaluation.scoring import Row, Truth, by_subject, truth_of
from traitscope.evaluation.tables import Predictions, labelled, read_predictions
from traitscope.sheets import open_sheet
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Target

_FEWEST_FOLDS = 2


@dataclass(frozen=True)
class System:
    """A table of predictions, and what is known of how they came about.

    Attributes:
        name: as tables write it.
        table: predictions.csv, or its content.
        split: which split was predicted.
        protocol: how the clips were split, and what was fitted.
        address: of the corpus with the labels; None for a corpus in memory.
        targets: what was predicted, where that may not be what the labels mean.
        failures: why clips have no prediction, where that is known.
        run: facts about the system, kept in its report.
        noted: clip -> what was noticed of it, where that is known.
        records: what its run was fitted on, one per fold; none where nobody recorded it.
    """

    name: str
    table: Path | pd.DataFrame
    split: str = "test"
    protocol: Protocol = field(default_factory=Protocol)
    address: str | None = None
    targets: tuple[Target, ...] | None = None
    failures: tuple[Failure, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    noted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    records: tuple[Record, ...] = ()

    @property
    def corpus(self) -> str:
        """The address with its path written out, to tell whether two are the same."""
        return same_place(str(self.address))


def table_system(
    table: Path | pd.DataFrame,
    *,
    split: str = "test",
    fit_on: Fit | None = None,
    protocol: Protocol | None = None,
    name: str | None = None,
    address: str | None = None,
) -> System:
    """Make a system of anyone's table.

    Args:
        table: predictions.csv, or its content.
        split: which split was predicted.
        fit_on: what was fitted; overrides ``protocol.fit``.
        protocol: how the clips are split; official by default.
        name: of the system; the file's by default.
        address: of the corpus with the labels.
    """
    protocol = protocol or Protocol()
    protocol = protocol.model_copy(update={"fit": fit_on}) if fit_on else protocol
    named = name or (str(table) if isinstance(table, Path) else "predictions")
    return System(named, table, split, protocol, address)


def given_folds(table: Path | pd.DataFrame, corpus: Corpus) -> Protocol | None:
    """How others dealt labels without a split: by the column ``fold`` of their predictions.

    Returns:
        The protocol; None where the labels have a split, or the predictions no folds.

    Raises:
        DataError: there are fewer than two folds, or clips without one.
    """
    # A table in memory has no file that a protocol could name for later verbs.
    if isinstance(table, pd.DataFrame) or any(clip.split for clip in corpus.clips):
        return None
    if "fold" not in open_sheet(table, fold=("clip", "fold")).columns:
        return None
    count = len(set(read_manifest(table, folds=True).folds.values()))
    if count < _FEWEST_FOLDS:
        raise DataError(
            f"The column fold of {table} names {count} folds; at least {_FEWEST_FOLDS} are needed "
            f"to score them. Give the labels a split, or more folds."
        )
    # Others fit on all folds but one, with what would be set apart here to select by.
    kind: Any = {"kind": "kfold", "fold": "all", "folds": count, "fit": "train+validation"}
    return Protocol(**kind, manifest=str(table))


def read_system(system: Path | str, *, split: str = "test") -> System:
    """Find what was evaluated in a folder.

    Raises:
        DataError: it was not evaluated on that split, or by an older version.
    """
    folder = Path(system)
    refuse_table(folder)
    # a run keeps one folder per split; what evaluate --to wrote is such a folder itself
    places = [folder / "evaluation" / split, folder]
    place = next((p for p in places if (p / "report.json").is_file()), None)
    if place is None or not (place / "predictions.csv").is_file():
        raise DataError(
            f"{folder} has no predictions of {split}. Make them with: traitscope evaluate "
            f"{folder} --split {split}"
        )
    report = read_report(place / "report.json")
    if report.corpus.address is None:
        raise DataError(
            f"{place / 'report.json'} does not say where its labels are. Evaluate again, or name "
            f"them: --labels CORPUS"
        )
    # A folder of ``--to`` holds one split, whichever was scored.
    if report.split != split:
        raise DataError(f"{folder} was evaluated on {report.split}, not on {split}.")
    return System(
        name=str(system),
        table=place / "predictions.csv",
        split=split,
        protocol=report.protocol,
        address=report.corpus.address,
        targets=report.targets,
        failures=report.failures,
        run=report.run,
        noted=report.noted,
        records=tuple(read_records(place)),
    )


def same_corpus(systems: Sequence[System]) -> str:
    """The address of the labels that all systems were evaluated on.

    Raises:
        DataError: they differ.
    """
    first = systems[0]
    for other in systems[1:]:
        if other.corpus != first.corpus:
            raise DataError(
                f"{first.name} was evaluated on {first.address}, {other.name} on {other.address}. "
                f"Evaluate them on the same corpus: traitscope evaluate {other.name} --corpus ..."
            )
    return str(first.address)


def corpus_of(systems: Sequence[System], labels: str | None) -> Corpus:
    """The labels that all systems were evaluated on; an address in a report imports no code.

    Args:
        systems: one or more.
        labels: the same address as the user typed it, if he did.

    Raises:
        DataError: they differ.
        ConfigError: a module from outside reads them, and the user did not name it.
    """
    # As if one system more had been evaluated on what was typed: it must be the same place.
    named = [] if labels is None else [replace(systems[0], name="--labels", address=labels)]
    return saved_corpus(
        same_corpus([*systems, *named]),
        registry.typed(corpus=labels),
        source=f"The report of {systems[0].name}",
        words="--labels",
    )


def join(
    system: System, clips: Sequence[Clip], corpus: Corpus, *, optional: bool = True
) -> Predictions:
    """Join a system's predictions to labelled clips, with the meaning of the labels.

    Args:
        system: whose predictions.
        clips: those asked for, in order.
        corpus: the labels.
        optional: read optional targets as well, where they are predicted.

    Raises:
        DataError: columns are missing, no row belongs to a labelled clip, or what was predicted
            cannot be given the meaning of the labels.
    """
    more = [target.name for target in corpus.optional] if optional else []
    read = read_predictions(system.table, clips, targets=corpus.target_names, optional=more)
    return align(labelled(read), corpus, system.targets).explain(system.failures)


def in_common(
    members: Mapping[str, Predictions], clips: Sequence[Clip], names: Sequence[str]
) -> tuple[list[Clip], list[Array]]:
    """The clips that all members have, and their predictions.

    Args:
        members: name -> predictions.
        clips: those asked for, in order.
        names: targets that all members have.

    Returns:
        The clips, and (seeds, clips, targets) of each member; no clips where no member has one.
    """
    shared = set.intersection(*({clip.id for clip in each.clips} for each in members.values()))
    kept = [clip for clip in clips if clip.id in shared]
    values = []
    for each in members.values():
        places = {clip.id: place for place, clip in enumerate(each.clips)}
        rows = [places[clip.id] for clip in kept]
        # By name: one table may have an optional target that the next lacks.
        columns = [each.targets.index(name) for name in names]
        values.append(each.values[:, rows][:, :, columns])
    return kept, values


def beside_labels(
    rows: Sequence[Row],
    clips: Sequence[Clip],
    corpus: Corpus,
    names: Sequence[str],
    *,
    constants: Array,
    folds: NDArray[np.intp] | None = None,
    aggregate: Literal["clip", "subject"] | None,
) -> tuple[Truth, list[Row]]:
    """Put rows beside the labels of their clips, or of the people in them.

    Args:
        rows: predictions (clips, targets) of each system.
        clips: what the rows are about.
        corpus: the labels.
        names: of the targets.
        constants: what skill is measured against, (targets,) or (clips, targets).
        folds: which clips were predicted by one model (clips,); all where not given.
        aggregate: ``subject`` averages labels and predictions over the clips of a person.
    """
    truth = truth_of(clips, corpus, names, constants=constants, folds=folds)
    if aggregate != "subject":
        return truth, list(rows)
    nothing_unseen: NDArray[np.bool_] = np.zeros(len(clips), dtype=bool)
    truth, averaged, _ = by_subject(clips, truth, rows, nothing_unseen)
    return truth, averaged
