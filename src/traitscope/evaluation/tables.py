"""predictions.csv in and out: anybody's table of predictions, joined to clips by id.

Columns: ``clip, source, subject, split, seed, true_<target>, predicted_<target>``. Other people's
tables need only ``clip`` and ``predicted_<target>``; ids match with or without ``.mp4``, rows may
come in any order. What cannot be used is a named failure, never a silent skip.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.errors import DataError, counted, some
from traitscope.escaping import cell
from traitscope.evaluation.report import Failure
from traitscope.files import replacing
from traitscope.sheets import as_numbers, open_sheet, same_name
from traitscope.statistics.metrics import Array
from traitscope.types import Clip

# Media only: ids such as ``abc.001`` have dots of their own.
_SUFFIX = re.compile(r"\.(mp4|avi|mkv|mov|webm|m4v|wav)$", re.IGNORECASE)


@dataclass(frozen=True)
class Predictions:
    """Predictions of the clips that have them, in the order of the clips.

    Attributes:
        clips: clips with a prediction.
        targets: names of the predicted targets, in the order of the corpus.
        seeds: one per repetition of a training, in order; (0,) without a seed column.
        values: (seeds, clips, targets).
        failures: clips that were asked for in vain.
        notes: what a reader must know: duplicates, unknown clips, columns that disagree.
    """

    clips: tuple[Clip, ...]
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    values: Array
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def explain(self, reasons: Sequence[Failure]) -> "Predictions":
        """Replace the reasons of failures by better known ones."""
        known = {reason.clip: reason for reason in reasons}
        failures = tuple(known.get(failure.clip, failure) for failure in self.failures)
        return replace(self, failures=failures)


def write_predictions(
    path: Path,
    clips: Sequence[Clip],
    values: Array,
    *,
    targets: Sequence[str],
    split: str = "test",
    seed: int | Sequence[int] = 0,
) -> None:
    """Write predictions.csv, all of it or nothing.

    Args:
        path: the file.
        clips: clips with a prediction.
        values: (clips, targets), or (seeds, clips, targets).
        targets: names of the columns of ``values``.
        split: which split of the protocol was predicted.
        seed: of the training, or of each.
    """
    rows = []
    seeds = [seed] if isinstance(seed, int) else seed
    each = np.asarray(values, dtype=float).reshape(len(seeds), len(clips), len(targets))
    for (number, predicted), place in product(zip(seeds, each, strict=True), range(len(clips))):
        clip = clips[place]
        # Labels go along, so that anybody can check the scores without the corpus.
        known = {f"true_{name}": clip.targets.get(name) for name in targets}
        scores = {f"predicted_{n}": v for n, v in zip(targets, predicted[place], strict=True)}
        facts = {"clip": clip.id, "source": clip.source, "subject": clip.subject}
        rows.append({**facts, "split": split, "seed": number, **known, **scores})
    columns = ["clip", "source", "subject", "split", "seed"]
    columns += [f"{kind}_{name}" for kind in ("true", "predicted") for name in targets]
    save_table(path, pd.DataFrame(rows, columns=columns))


def save_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table whole or not at all; what `open_predictions` reads is what was written."""
    guarded = frame.apply(lambda column: column.map(cell))
    with replacing(path) as draft:
        guarded.to_csv(draft, index=False, header=[cell(name) for name in frame.columns])


def read_predictions(
    table: Path | pd.DataFrame,
    clips: Sequence[Clip],
    *,
    targets: Sequence[str],
    optional: Sequence[str] = (),
) -> Predictions:
    """Join a table of predictions to the clips that are asked for.

    Args:
        table: predictions.csv, or its content.
        clips: the clips of the split, in order.
        targets: names of the corpus' targets; those without a column are left out.
        optional: names of further targets, read where they have a column.

    Raises:
        DataError: columns are missing, or no row belongs to a clip.
    """
    where, frame, noticed = open_predictions(table)
    # An optional target is no gap where it is missing, as one of the corpus is.
    targets = [*targets, *(name for name in optional if f"predicted_{name}" in frame)]
    predicted = [name for name in targets if f"predicted_{name}" in frame]
    if "clip" not in frame or not predicted:
        raise DataError(
            f"{where} needs the columns clip and predicted_<target> (such as "
            f"predicted_{targets[0]}); it has: {', '.join(map(str, frame.columns)) or 'none'}. "
            f"Rename its columns."
        )
    given = frame["clip"].astype(str).str.strip()
    frame = frame.assign(clip=_matched(list(given), clips))
    notes = [*noticed, *_column_notes(frame, predicted, targets)]
    unknown = sorted(set(given[frame["clip"] == ""]))
    if unknown:
        notes.append(f"{len(unknown)} predicted clips are not in this split: {some(unknown)}.")
    # As it was typed, for the message: what is no number is NaN after this.
    written = frame[frame["clip"] != ""]
    frame = _numbers(written, predicted)
    notes += _disagreements(frame, clips, predicted)
    rows, failures, doubles = _collect(frame, clips, predicted)
    notes += doubles
    if not rows:
        reasons = [_reason(failures, written, predicted), *notes]
        raise DataError(
            f"{where} has a usable prediction for none of the {len(clips)} clips asked for "
            f"(such as {clips[0].id if clips else 'none'}). {' '.join(filter(None, reasons))}"
        )
    seeds = tuple(sorted(set(frame["seed"])))
    kept = tuple(clip for clip in clips if clip.id in rows)
    values = np.stack([rows[clip.id] for clip in kept], axis=1)
    return Predictions(kept, tuple(predicted), seeds, values, failures, tuple(notes))


def labelled(read: Predictions) -> Predictions:
    """Turn clips without a single label for the predicted targets into failures."""
    has_label = [any(name in clip.targets for name in read.targets) for clip in read.clips]
    without = [c for c, labels in zip(read.clips, has_label, strict=True) if not labels]
    if not any(has_label):
        raise DataError(
            f"None of the {len(has_label)} predicted clips has a label for "
            f"{', '.join(read.targets)}. Give the labels of this split."
        )
    return replace(
        read,
        clips=tuple(clip for clip, labels in zip(read.clips, has_label, strict=True) if labels),
        values=read.values[:, has_label],
        failures=(*read.failures, *(_failure(c, "no_label", "it has no label") for c in without)),
    )


def open_predictions(table: Path | pd.DataFrame) -> tuple[str, pd.DataFrame, tuple[str, ...]]:
    """What a table is called, its columns as text (numbers where they have a comma), and notes.

    Raises:
        DataError: it is no table, or has faults.
    """
    if isinstance(table, pd.DataFrame):
        return "The table", table, ()
    # everything as text: an id such as "NA" or "1e5" stays what it is
    sheet = open_sheet(table, fold=("clip", "seed"))
    frame = sheet.read()
    if sheet.decimal_comma:
        # Names stay as they are, also those with a comma between digits.
        written = [n for n in sheet.columns if n not in ("clip", "source", "subject", "split")]
        commas = {n: as_numbers(frame[n], decimal_comma=True)[0] for n in written}
        frame = frame.assign(**commas)
    return str(table), frame, sheet.notes


def _matched(given: Sequence[str], clips: Sequence[Clip]) -> list[str]:
    """The id that each name means, empty where none or several could be meant.

    ``x`` and ``x.mp4`` side by side stay apart. Where no name is an id as it stands, folders before
    it and capital letters are looked through.
    """
    short: dict[str, str] = {}
    for clip in clips:
        short.setdefault(_plain(clip.id), clip.id)
    known = short | {clip.id: clip.id for clip in clips}
    ids = [known.get(name, known.get(_plain(name), "")) for name in given]
    # One exact match shows how ids are written: beside it a loose one would join strangers.
    if any(ids):
        return ids
    loose: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        loose[_loose(clip.id)].add(clip.id)
    candidates = [loose.get(_loose(name), set()) for name in given]
    return [next(iter(one)) if len(one) == 1 else "" for one in candidates]


def _loose(name: str) -> str:
    """A name without folders, suffix and capital letters."""
    return _plain(re.split(r"[/\\]", name)[-1]).casefold()


def _reason(failures: Sequence[Failure], frame: pd.DataFrame, predicted: Sequence[str]) -> str:
    """Why no clip has a prediction, with what to do, from the commonest failure."""
    counted = Counter((failure.status, failure.reason) for failure in failures)
    status, reason = max(counted, key=lambda one: counted[one], default=("", ""))
    if status == "duplicate":
        return f"They have {reason}: number the trainings of one system in a column seed."
    if status == "nan":
        cells = (str(value) for name in predicted for value in frame[f"predicted_{name}"])
        wrong = next((cell for cell in cells if not _is_finite(cell)), "")
        return (
            f"They have {reason} (such as {wrong!r}). Write numbers such as 0.5, and leave out "
            f"columns without any."
        )
    return "Check the ids, and the split that is evaluated."


def _is_finite(text: str) -> bool:
    return bool(np.isfinite(pd.to_numeric(pd.Series([text]), errors="coerce")).all())


def _plain(name: str) -> str:
    return same_name(_SUFFIX.sub("", name))


def _numbers(frame: pd.DataFrame, predicted: Sequence[str]) -> pd.DataFrame:
    """Predictions as numbers, NaN for what is none; seeds as integers, 0 where none is given."""
    columns: dict[str, Any] = {
        f"predicted_{name}": pd.to_numeric(frame[f"predicted_{name}"], errors="coerce")
        for name in predicted
    }
    columns["seed"] = _seeds(frame["seed"]) if "seed" in frame else 0
    return frame.assign(**columns)


def _seeds(given: "pd.Series[Any]") -> "pd.Series[int]":
    """Seeds as integers; an empty column is one training.

    Raises:
        DataError: some are no whole numbers, such as the name of an ensemble among them.
    """
    text = given.astype(str).str.strip()
    numbers = pd.to_numeric(given, errors="coerce")
    if numbers.isna().all() and text.isin(["", "nan", "None"]).all():
        return numbers.fillna(0).astype(int)
    odd = sorted(set(text[~(numbers % 1 == 0)]))
    if odd:
        raise DataError(
            f"The column seed holds what is no whole number: {some(odd)}. Number the trainings of "
            f"one system; the mean of their predictions is made here, and other systems go into "
            f"tables of their own."
        )
    return numbers.astype(int)


def _collect(
    frame: pd.DataFrame, clips: Sequence[Clip], predicted: Sequence[str]
) -> tuple[dict[str, Array], tuple[Failure, ...], list[str]]:
    """Rows (seeds, targets) by clip id, failures, and a note on harmless duplicates."""
    seeds = frame["seed"].tolist()
    values = frame[[f"predicted_{name}" for name in predicted]].to_numpy(dtype=float)
    given: dict[str, list[tuple[int, Array]]] = defaultdict(list)
    for clip_id, seed, row in zip(frame["clip"], seeds, values, strict=True):
        given[clip_id].append((seed, row))
    # Taken for seeds, folds would make a failure of every clip: predicted for one of them only.
    if len(set(seeds)) > 1 and all(len(dict(mine)) == 1 for mine in given.values()):
        raise DataError(
            "The column seed holds folds: its values are on different clips, and no clip has two. "
            "Call the column fold, or leave it out."
        )
    rows: dict[str, Array] = {}
    failures, copies = [], []
    for clip in clips:
        mine = given.get(clip.id, [])
        once = dict(mine)
        fault = _fault(mine, predicted, set(seeds))
        if fault is not None:
            failures.append(_failure(clip, *fault))
            continue
        rows[clip.id] = np.stack([once[seed] for seed in sorted(once)])
        copies += [clip.id] if len(mine) > len(once) else []
    verb = "occurs" if len(copies) == 1 else "occur"
    what = f"{counted(len(copies), 'clip')} {verb} twice"
    notes = [f"{what} with equal predictions: {some(copies)}."]
    return rows, tuple(failures), notes if copies else []


def _fault(
    mine: Sequence[tuple[int, Array]], predicted: Sequence[str], seeds: set[int]
) -> tuple[str, str] | None:
    """Status and reason why the rows (seed, predictions) of a clip cannot be used."""
    if not mine:
        return "missing", "the predictions have no row for it"
    once = dict(mine)
    # Equal rows of NaN do not contradict each other; they are the next fault.
    if any(not np.array_equal(row, once[seed], equal_nan=True) for seed, row in mine):
        return "duplicate", f"{len(mine)} rows with different predictions"
    finite = np.isfinite(np.stack([row for _, row in mine]))
    if not finite.all():
        names = [name for name, good in zip(predicted, finite.T, strict=True) if not good.all()]
        return "nan", f"no finite prediction of {', '.join(names)}"
    if set(once) < seeds:
        return "missing", f"predicted for seed {', '.join(map(str, sorted(once)))} only"
    return None


def _failure(clip: Clip, status: str, reason: str) -> Failure:
    return Failure(clip=clip.id, status=status, reason=reason)


def _column_notes(
    frame: pd.DataFrame, predicted: Sequence[str], targets: Sequence[str]
) -> Sequence[str]:
    given = {str(name).removeprefix("predicted_") for name in frame if "predicted_" in str(name)}
    absent = [name for name in targets if name not in predicted]
    foreign = [_with_nearest(name, absent) for name in sorted(given - set(targets))]
    notes = []
    if absent:
        notes.append(f"Not predicted, so not scored: {', '.join(absent)}.")
    if foreign:
        notes.append(f"Predicted, but not among the labels: {', '.join(foreign)}.")
    return notes


def _with_nearest(name: str, absent: Sequence[str]) -> str:
    """A foreign target, with the missing one that it may be."""
    nearest = get_close_matches(name, absent, n=1)
    return f"{name} (is it {nearest[0]}?)" if nearest else name


def _disagreements(
    frame: pd.DataFrame, clips: Sequence[Clip], predicted: Sequence[str]
) -> Sequence[str]:
    """Name clips whose ``true_`` column is not the label of the corpus, which is what counts."""
    labels: Mapping[str, Mapping[str, float]] = {clip.id: clip.targets for clip in clips}
    apart: set[str] = set()
    for name in predicted:
        if f"true_{name}" not in frame:
            continue
        true = pd.to_numeric(frame[f"true_{name}"], errors="coerce").to_numpy(dtype=float)
        mine = np.array([labels[clip].get(name, np.nan) for clip in frame["clip"]], dtype=float)
        # Tables write labels with few digits, often four.
        apart |= set(frame["clip"][np.abs(true - mine) > 1e-4])
    if not apart:
        return []
    return [
        f"The true_ columns of {len(apart)} clips differ from the labels of the corpus, which "
        f"were used: {some(sorted(apart))}."
    ]
