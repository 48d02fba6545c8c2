"""What a run was trained on until now and what is there today in, every difference out.

``clips.csv`` says which clips were fitted, with hashes of their labels and media; ``streams.json``
says which features, with the checksums that the store keeps of them.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from traitscope.data.record import LEARNT, SELECTED, Record, RecordedClip, read_records, same_place
from traitscope.errors import DataError, some
from traitscope.files import read_json, write_json
from traitscope.training.training_set import TrainingSet

STREAMS = "streams.json"
_DIGITS = 16
"""Of each checksum: clips are told apart, not guarded against forgers."""

log = logging.getLogger(__name__)


def note_streams(folder: Path, data: TrainingSet) -> None:
    """Write down the checksum of each stream that is trained on."""
    write_json(folder / STREAMS, _streams(data))


def check_unchanged(folder: Path, data: TrainingSet, now: Record, *, accept: bool) -> list[str]:
    """Compare what a resumed run goes on with.

    Args:
        folder: the run.
        data: what it would go on with.
        now: its record.
        accept: whether differences are accepted; they are said all the same.

    Returns:
        The differences, in words.

    Raises:
        DataError: there are differences, and they are not accepted.
    """
    changes = [*_clips(folder, data, now), *_features(folder, data)]
    if changes and not accept:
        raise DataError(
            f"What {folder} was trained on has changed: {'; '.join(changes)}. Bring it back, start "
            f"a new run, or go on with what is there now: --accept-changes"
        )
    for change in changes:
        log.warning("%s (accepted)", change)
    return changes


def _clips(folder: Path, data: TrainingSet, now: Record) -> Iterator[str]:
    records = read_records(folder)
    if not records:
        return
    here = same_place(now.own)
    today = {row.clip: row for row in now.clips if same_place(row.corpus) == here}
    # The corpus may have moved: its clips are those that the run itself had.
    before = {row.clip: row for row in records[0].clips if not row.use.startswith("start")}
    before |= {row.clip: row for row in records[0].of(records[0].own)}
    roles = (("fitted", LEARNT), ("selecting", SELECTED))
    for word, uses in roles:
        was, now_is = ({c for c, r in rows.items() if r.use in uses} for rows in (before, today))
        for verb, clips in (("are gone", was - now_is), ("are new", now_is - was)):
            if clips:
                yield f"{len(clips)} {word} clips {verb} ({some(sorted(clips), 3)})"
    both = [(before[clip], row) for clip, row in today.items() if clip in before]
    used = [pair for pair in both if pair[0].use in LEARNT | SELECTED]
    yield from _edited("labels", used, data)
    yield from _edited("media", used, data)


def _edited(
    what: str, pairs: list[tuple[RecordedClip, RecordedClip]], data: TrainingSet
) -> Iterator[str]:
    values = [(row.clip, getattr(row, what), getattr(now, what)) for row, now in pairs]
    # Media may have been put away once their features were made: that is no change.
    clips = [
        clip for clip, was, is_ in values if was != is_ and (what == "labels" or (was and is_))
    ]
    if clips:
        yield f"{len(clips)} clips of {data.corpus.name} have other {what} ({some(clips, 3)})"


def _features(folder: Path, data: TrainingSet) -> Iterator[str]:
    path = folder / STREAMS
    if not path.is_file():  # of a version that did not write them down
        return
    before = read_json(path, root=dict, damaged="Delete it to resume without it.")
    for key, now in _streams(data).items():
        was = before.get(key)
        if was is None:
            yield f"features are of {key}, and were of {', '.join(before)}"
            continue
        # Only of clips that were there: new ones are said by the clips already.
        other = [clip for clip, checksum in now.items() if was.get(clip, checksum) != checksum]
        if other:
            store = data.config.data.store
            yield f"{len(other)} clips have other {key} in {store} ({some(other, 3)})"


def _streams(data: TrainingSet) -> dict[str, dict[str, str]]:
    """Key -> clip -> checksum of its stream, of all clips that are learnt from or select."""
    clips = [clip.id for clip in (*data.fitting.clips, *data.selection.clips)]
    streams = {}
    for key in data.plan.keys.values():
        rows = data.fitting.store.statuses(key)
        streams[key] = {
            clip: rows[clip].sha256[:_DIGITS] or f"{rows[clip].rows} rows"
            for clip in clips
            if clip in rows  # of another split, served by another view of the store
        }
    return streams
