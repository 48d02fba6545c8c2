"""UDIVA: conversations of two people in four tasks, with self-reported traits.

``udiva:FOLDER`` is the layout of the publishers (`_udiva_shipped`), or the one that the
DeepPersonality benchmark derives from it: the folder then holds
``annotation/TASK/sessions_SPLIT_id.json`` (who took part in a session) and
``parts_SPLIT_personality.json`` (five z-scores per participant, in the order O, C, E, A, N),
perhaps ``metadata_SPLIT.csv``, and the recordings ``SPLIT/TASK_SPLIT/SESSION/FC1_T.mp4``, or
folders of frames of that name with a ``.wav`` beside. ``udiva:FOLDER,task=talk`` takes one task of
the four; ``fps=25`` says how many frames of a folder are shown per second. Recordings are minutes
long: ``window=15`` cuts them into clips of 15 seconds (one every ``step`` seconds, end to end by
default; what is left at the end is dropped, a shorter recording stays whole), and ``first=15``
takes the beginning of each alone. How long a recording is only it can say: one that is missing or
cannot be opened is one clip.

One clip is one participant in one session and task, or a window of it: subject is the participant,
source the session. Labels belong to participants, so the predictions of all sessions, tasks and
windows are averaged per participant before any metric. Labels are z-scores without a range, and
``neuroticism`` *is* neuroticism here: a high value means less stable, the opposite of First
Impressions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traitscope.corpora import _udiva_shipped
from traitscope.corpora._cells import SPLIT_WORDS, Cells
from traitscope.corpora._faults import Faults
from traitscope.corpora._udiva_shipped import plain_number as _plain
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.sheets import read_table
from traitscope.types import TRAITS, Clip, Corpus, Target

TARGETS = tuple(Target(name, direction=1) for name in TRAITS)
OPTIONS = ("task", "fps", "window", "step", "first")
TASKS = {"talk": "T", "animal": "A", "animals": "A", "lego": "L", "ghost": "G"}
"""Task, as folders write it -> its letter in the names of recordings."""

PEOPLE = ("FC1", "FC2")
NOTES = (
    "UDIVA: for research under a signed agreement with its publishers. People who take part have "
    "not agreed to be judged by a model: no decisions about them.",
    "Labels are questionnaires (BFI-2), as z-scores; neuroticism is neuroticism (high = less "
    "stable), the opposite of First Impressions.",
)
_SLACK_SECONDS = 0.1  # by which a last window may be short: containers round their length
_ATTRIBUTES = ("gender", "age", "country", "education")


@dataclass
class _Reading:
    """One loading: the folder, its recordings by (split, task, session, person), and faults."""

    folder: Path
    fps: float | None
    recordings: Mapping[tuple[str, str, str, str], Path]
    faults: Faults


def load(
    path: Path,
    *,
    task: str | None = None,
    fps: str | None = None,
    window: str | None = None,
    step: str | None = None,
    first: str | None = None,
) -> Corpus:
    """Load the annotations; recordings may be missing.

    Args:
        path: the folder that holds ``annotation``, or the splits as shipped.
        task: talk, animal, lego or ghost; all that are there by default.
        fps: frames per second of recordings that are folders of frames.
        window: seconds of the clips that recordings are cut into; whole recordings by default.
        step: seconds from the start of one window to that of the next; ``window`` by default.
        first: seconds of every recording that are taken, from its start, and no more.

    Raises:
        DataError: there are no annotations, or they have faults: all of them are listed.
    """
    letter = _letter(task)
    if step and not window:
        raise ConfigError(f"step={step} has no effect without window. Write window=15,step={step}.")
    rate = _positive("fps", fps, "frames per second", 25)
    if first and window:
        raise ConfigError(f"window={window} and first={first} exclude each other. Leave one out.")
    length = _positive("window", window, "seconds", 15)
    every = _positive("step", step, "seconds", 15)
    windows = None if length is None else (length, every or length)
    if first:  # one window of each: the second would begin beyond any end
        windows = _positive("first", first, "seconds", 15) or 0.0, float("inf")
    # Of a video and a folder of frames with one name the video stays, because it comes last.
    reading = _Reading(path, rate, dict(_recordings(path)), Faults())
    whole = _recorded(reading, letter, task)
    clips = [clip for recording in whole for clip in _windows(recording, windows)]
    reading.faults.stop(path, where="in the annotations")
    return Corpus(
        name="udiva" if task is None else f"udiva ({task})",
        kind="self_reported",
        targets=TARGETS,
        clips=tuple(clips),
        notes=(*NOTES, *_said(windows)),
        aggregate="subject",
    )


def _recorded(reading: _Reading, letter: str | None, task: str | None) -> Iterator[Clip]:
    """One clip per recording, in whichever layout the folder has."""
    path = reading.folder
    annotation = path / "annotation"
    folders = sorted(annotation.iterdir()) if annotation.is_dir() else []
    tasks = [f for f in folders if letter in (None, TASKS.get(f.name.lower()))]
    tasks = [folder for folder in tasks if folder.name.lower() in TASKS]
    # Where someone derived the benchmark's layout, its splits count, though the tables lie beside.
    shipped = {} if folders else _udiva_shipped.session_files(path)
    if not tasks and not shipped:
        wanted = task or "talk, animal, lego, ghost"
        raise DataError(
            f"{path} has no annotations of {wanted}: expected {annotation}/TASK/"
            f"sessions_SPLIT_id.json, or SPLIT/metadata/metadata_SPLIT/sessions_SPLIT.csv as UDIVA "
            f"is shipped. Write udiva:FOLDER of the folder that holds 'annotation', or the splits."
        )
    if shipped:
        yield from _shipped(shipped, reading, letter)
        return
    attributes = _attributes(path, reading.faults)
    for folder in tasks:
        yield from _clips(folder, reading, attributes)


def _shipped(files: Mapping[str, Path], reading: _Reading, letter: str | None) -> Iterator[Clip]:
    """Clips of the publishers' layout: of the tasks that have recordings, else of all."""
    # Who downloaded one task wants no missing clips of three others; who has no recordings yet
    # gets the labels of all.
    recorded = {key[1] for key in reading.recordings} or set(TASKS.values())
    letters = [one for one in dict.fromkeys(TASKS.values()) if letter in (None, one)]
    for split, file in files.items():
        known = _udiva_shipped.people(file, TARGETS, _ATTRIBUTES, reading.faults)
        for session, pair in _udiva_shipped.sessions(file, reading.faults):
            plain = _plain(session)
            for person in PEOPLE:
                if person not in pair:
                    reading.faults.add(f"sessions without {person}", f"{file.name}: {session}")
                    continue
                subject = _plain(pair[person])
                if subject not in known:
                    reading.faults.add(f"not in the parts of {file.name}", f"participant {subject}")
                    continue
                for one in (each for each in letters if each in recorded or letter):
                    place = reading.recordings.get((split, one, plain, person))
                    yield Clip(
                        id=f"{plain}_{person}_{one}",
                        path=place,
                        fps=reading.fps if place and place.is_dir() else None,
                        source=plain,
                        subject=subject,
                        split=split,
                        targets=known[subject].labels,
                        attributes=known[subject].attributes,
                    )


def _letter(task: str | None) -> str | None:
    if task is not None and task.lower() not in TASKS:
        raise ConfigError(f"There is no task {task!r} in UDIVA. There are: {', '.join(TASKS)}.")
    return None if task is None else TASKS[task.lower()]


def _positive(name: str, text: str | None, unit: str, example: int) -> float | None:
    try:
        number = None if text is None else float(text)
    except ValueError:
        # Refused below, together with numbers that make no sense.
        number = 0.0
    if number is not None and not 0 < number < float("inf"):
        raise ConfigError(f"{name}={text} is not a number of {unit}. Write for example {example}.")
    return number


def _said(window: tuple[float, float] | None) -> Iterator[str]:
    if window is not None and window[1] == float("inf"):
        yield f"Of each recording the first {window[0]:g} s are taken."
    elif window is not None:
        yield f"Recordings are cut into windows of {window[0]:g} s, one every {window[1]:g} s."


def _windows(clip: Clip, window: tuple[float, float] | None) -> Iterator[Clip]:
    """The windows of a recording, called after their seconds; or all of it, if it is short."""
    # Without windows nothing is opened: the length of thousands of files is not asked for nothing.
    length, step = window or (float("inf"), 1.0)
    spare = (0.0 if window is None else _seconds(clip)) + _SLACK_SECONDS - length
    if spare < 0:
        yield clip
        return
    for number in range(1 + int(spare / step)):
        # Milliseconds, because 3 * 0.1 is 0.30000000000000004, which would be in the ids, too.
        since = number * step if number else 0.0  # the step of a single window is infinite
        start, end = round(since, 3), round(since + length, 3)
        yield replace(clip, id=f"{clip.id}_{start:.10g}-{end:.10g}", start=start, end=end)


def _seconds(clip: Clip) -> float:
    """Length of a recording; 0 where it is not there or cannot be opened."""
    from traitscope.media.images import duration_seconds
    from traitscope.media.info import describe
    from traitscope.media.opening import open_container

    if clip.path is None:
        return 0.0
    try:
        if clip.path.is_dir():
            # No limit on pictures may turn windows into one long clip: none is looked at.
            return duration_seconds(clip.path, fps=clip.fps)
        with open_container(clip.path) as container:
            return describe(container, None).duration_seconds
    except ClipError:  # becomes its status row when features are extracted
        return 0.0


def _clips(
    folder: Path, reading: _Reading, attributes: Mapping[str, Mapping[str, str | float]]
) -> Iterator[Clip]:
    """The clips of one task, in the order of splits, sessions and people."""
    letter, faults = TASKS[folder.name.lower()], reading.faults
    files = list(_split_files(folder))
    if not files:
        faults.add("no sessions_SPLIT_id.json", str(folder))
    for split, sessions_file, labels_file in files:
        labels = _labels(labels_file, faults)
        for session, people in _entries(sessions_file, faults):
            for person in PEOPLE:
                subject = _participant(people, person)
                if subject is None:
                    faults.add(f"sessions without {person}", f"{sessions_file.name}: {session}")
                    continue
                if subject not in labels:
                    faults.add(f"no personality in {labels_file.name}", f"participant {subject}")
                place = reading.recordings.get((split, letter, _plain(session), person))
                yield Clip(
                    id=f"{session}_{person}_{letter}",
                    path=place,
                    fps=reading.fps if place and place.is_dir() else None,
                    source=session,
                    subject=subject,
                    split=split,
                    targets=labels.get(subject, {}),
                    attributes=attributes.get(subject, {}),
                )


def _split_files(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Split, its sessions and its labels; the first spelling of a split that is there."""
    done: set[str] = set()
    for word, split in SPLIT_WORDS.items():
        sessions = folder / f"sessions_{word}_id.json"
        if sessions.is_file() and split not in done:
            done.add(split)
            yield split, sessions, folder / f"parts_{word}_personality.json"


def _labels(file: Path, faults: Faults) -> dict[str, dict[str, float]]:
    """Participant -> trait -> z-score."""
    labels = {}
    for person, scores in _entries(file, faults):
        # The type itself, because JSON's true is an int for Python.
        numbers = isinstance(scores, list) and all(type(s) in (int, float) for s in scores)
        if not numbers or len(scores) != len(TRAITS):
            faults.add(f"{file.name}: not five numbers", f"participant {person}")
            continue
        labels[person] = {
            # Python's JSON reads NaN and Infinity, which other programs write into it.
            target.name: float(score)
            for target, score in zip(TARGETS, scores, strict=True)
            if target.contains(score)
        }
        if len(labels[person]) < len(TRAITS):
            faults.add(f"{file.name}: not a finite number", f"participant {person}")
    return labels


def _entries(file: Path, faults: Faults) -> Sequence[tuple[str, Any]]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        faults.add("files are missing", str(file))
        return ()
    except ValueError as error:
        faults.add(f"{file} is not readable as JSON: {error}")
        return ()
    if not isinstance(tree, dict):
        faults.add(f"{file} holds no object")
        return ()
    return list(tree.items())


def _participant(people: Any, person: str) -> str | None:
    """The participant's id; the key ends in ``_T`` whatever the task."""
    if not isinstance(people, dict):
        return None
    number = next((value for key, value in people.items() if str(key).startswith(person)), None)
    return None if number is None else _plain(str(number))


def _recordings(folder: Path) -> Iterator[tuple[tuple[str, str, str, str], Path]]:
    """Recordings that are there; a video comes after a folder of frames of the same name."""
    shipped = list(folder.glob(_udiva_shipped.RECORDINGS))
    for place in sorted([*folder.glob("*/*/*/FC[12]_?*"), *shipped]):
        person, letter = place.stem.split("_", 1)
        # The benchmark's:   SPLIT/TASK_SPLIT/SESSION/FC1_T
        # The publishers':   SPLIT/recordings/TASK_recordings_SPLIT/SESSION/FC1_T
        session, task, *above = (parent.name.lower() for parent in list(place.parents)[:4])
        split = above[1] if above[0] == "recordings" else above[0]
        if split not in SPLIT_WORDS or TASKS.get(task.split("_")[0]) != letter:
            continue
        if place.is_dir() or place.suffix.lower() == ".mp4":
            yield (SPLIT_WORDS[split], letter, _plain(session), person), place


def _attributes(folder: Path, faults: Faults) -> dict[str, dict[str, str | float]]:
    """Participant -> what the metadata say, from every ``metadata_SPLIT.csv`` below the folder."""
    known: dict[str, dict[str, str | float]] = {}
    files = [f for depth in ("", "*/", "*/*/") for f in folder.glob(f"{depth}metadata_*.csv")]
    for file in sorted(files):
        table = read_table(file, tell=faults.add)
        for row in table.rows:
            cells = {name.lower(): cell for name, cell in row.items()}
            reader = Cells({"clip": cells.get("id", ""), **cells}, table.decimal_comma, faults)
            known[_plain(cells.get("id", ""))] = reader.attributes(_ATTRIBUTES)
    return known
