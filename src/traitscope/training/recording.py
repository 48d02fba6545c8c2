"""A training set and the run it begins from in, the record of what is fitted out."""

import logging
from pathlib import Path

from traitscope.data.protocols import check_leakage, split
from traitscope.data.record import (
    LEARNT,
    Record,
    join_records,
    read_records,
    record_run,
    same_place,
)
from traitscope.errors import DataError
from traitscope.training.training_set import TrainingSet
from traitscope.types import Clip

log = logging.getLogger(__name__)


def record_training(data: TrainingSet, start_from: Path | str | None) -> Record:
    """Note which clips are fitted and which select, and those of the run that it begins from.

    Args:
        data: what is fitted.
        start_from: the run whose weights it begins with.
    """
    return record_run(
        data.corpus,
        data.config.data.corpus,
        split(data.corpus, data.config.protocol),
        targets=[target.name for target in data.targets],
        fitted=data.fitting.clips,
        selected=data.selection.clips,
        start=_start(start_from),
    )


def with_earlier(record: Record, folder: Path) -> Record:
    """Add what the same run learnt before it was stopped: with other clips now, it knows both."""
    before = read_records(folder)
    return join_records([[record], before])[0] if before else record


def check_start(data: TrainingSet, start_from: Path | str | None) -> None:
    """Say, or refuse, that clips which are left out here were learnt by the run it begins from.

    Raises:
        DataError: a split of our own leaves out clips that the first run learnt.
    """
    start = _start(start_from)
    if start is None:
        if start_from is not None:
            log.warning("%s does not say which clips it was fitted on", start_from)
        return
    protocol = data.config.protocol
    own = {clip.id: clip for clip in data.corpus.clips}
    here = same_place(data.config.data.corpus)
    learnt = [
        own.get(row.clip) or Clip(row.clip, source=row.source, subject=row.subject or None)
        for row in start.used(LEARNT)
        # names of another corpus may mean other clips: what was scored says evaluate
        if same_place(row.corpus) == here
    ]
    splits = split(data.corpus, protocol)
    for part in ("validation", "test"):
        if part in splits.fit or not learnt:
            continue
        try:
            for warning in check_leakage(learnt, splits.part(part), protocol):
                log.warning("%s: %s (learnt by %s)", part, warning, start_from)
        except DataError as error:
            raise DataError(f"{start_from} learnt clips that are left out here. {error}") from error


def _start(start_from: Path | str | None) -> Record | None:
    records = [] if start_from is None else read_records(Path(start_from))
    return records[0] if records else None
