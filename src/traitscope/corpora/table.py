"""Your own data: a CSV or Parquet table of clips, with ``clips.yaml`` beside it -> Corpus.

Columns: ``clip`` (or ``path`` alone) and the targets; optional ``path``, ``source``, ``subject``,
``split``, ``start``, ``end``, ``fps``, ``transcript`` and the attributes that ``clips.yaml`` names.
With a column ``rater`` a clip has one row per rater: labels are averaged, and how far raters agree
is said. What a number means is never guessed: ``clips.yaml`` states range and direction of targets,
and which column is which where a table calls them otherwise.

Every fault of the table is listed in one error; nothing is dropped silently.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import Literal

import numpy as np
from pydantic import Field

from traitscope.config import Config, build, read_yaml
from traitscope.corpora._cells import Cells
from traitscope.corpora._columns import renamed, with_ids
from traitscope.corpora._faults import Faults
from traitscope.errors import ConfigError, DataError, some
from traitscope.sheets import SUFFIXES as TABLES
from traitscope.sheets import Table, read_table, same_name
from traitscope.statistics.reliability import agreement
from traitscope.types import TRAITS, Clip, Corpus, Kind, Target

DECLARATION = "clips.yaml"
COLUMNS = (
    *("clip", "path", "source", "subject", "split", "start", "end", "fps", "transcript"),
    "rater",
)
_USUAL_ATTRIBUTES = ("age", "gender", "sex", "ethnicity", "race", "language", "country")


class TargetRange(Config):
    """Range and direction of one target; all three must be written down."""

    low: float | None
    """Lower end of the range; null (with high) for z-scores."""
    high: float | None
    """Upper end of the range."""
    direction: Literal[1, -1] | None
    """1: a high value is more of what the name says; -1: less; null: not known."""


class Declaration(Config):
    """What ``clips.yaml`` says."""

    kind: Kind
    """Whose judgement the labels are: apparent (observers) or self_reported (questionnaires)."""
    targets: dict[str, TargetRange]
    """Target -> its range and direction."""
    name: str | None = None
    """Name of the corpus in reports; the table's file name when left out."""
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Our name of a column -> its name in the table, where that is another: ``clip: Code``."""
    attributes: tuple[str, ...] = ()
    """Columns such as age and gender, for baselines and audits only."""
    notes: tuple[str, ...] = ()
    """Facts that readers of results must know: licence, excluded uses."""
    aggregate: Literal["clip", "subject"] = "clip"
    """subject: labels belong to people, whose clips are averaged before any metric."""
    media: str = "."
    """Folder of the media, relative to the table."""


def load(path: Path, *, suffixes: Sequence[str] | None = None) -> Corpus:
    """Load a table of clips, or the ``clips.csv`` or ``clips.parquet`` of a folder.

    Args:
        path: the table, or its folder.
        suffixes: of the files that are looked for by the clip's id, best first; of recordings
            where not given.

    Raises:
        DataError: lists every fault of the table.
        ConfigError: ``clips.yaml`` is wrong, or missing: then it shows one to fill in.
    """
    path = _find(path)
    faults = Faults()
    # Before the declaration, because the message that asks for one shows the table's ranges.
    table = read_table(path, fold=COLUMNS, tell=faults.add)
    declared_in = path.parent / DECLARATION
    if not declared_in.exists():
        raise ConfigError(_ask_for_declaration(table, declared_in))
    declaration = read_declaration(declared_in)
    targets = declared_targets(declaration)
    known = {*COLUMNS, *declaration.targets, *declaration.attributes}
    table = with_ids(renamed(table, declaration.columns, known, faults))
    notes = _check_columns(table, declaration, faults)
    rows = _rows_by_clip(table, faults)
    clips = _clips(table, rows, declaration, suffixes, faults)
    faults.stop(path, where=f"there or in {DECLARATION}")
    ratings = _ratings(table, rows, targets)
    raters = _agreement_of_raters(ratings, targets)
    notes += _without_clip(path.parent / declaration.media, clips, suffixes)
    return Corpus(
        name=declaration.name or f"table:{path.name}",
        kind=declaration.kind,
        targets=targets,
        clips=tuple(clips),
        notes=(*declaration.notes, *table.notes, *notes, *raters),
        aggregate=declaration.aggregate,
        ratings=ratings,
    )


def read_declaration(path: Path) -> Declaration:
    """Read what a ``clips.yaml`` says.

    Raises:
        ConfigError: it is missing or wrong; every wrong key is named.
    """
    return build(Declaration, read_yaml(path), where=str(path))


def declared_targets(declaration: Declaration) -> tuple[Target, ...]:
    """The declared targets, traits first and in their order."""
    order = {name: place for place, name in enumerate(TRAITS)}
    names = sorted(declaration.targets, key=lambda name: order.get(name, len(order)))
    return tuple(Target(name=name, **declaration.targets[name].model_dump()) for name in names)


def _find(path: Path) -> Path:
    candidates = [path / f"clips{suffix}" for suffix in TABLES] if path.is_dir() else [path]
    table = next((candidate for candidate in candidates if candidate.is_file()), None)
    if table is None:
        looked = " or ".join(str(candidate) for candidate in candidates)
        raise DataError(f"There is no table {looked}. Write table:PATH of a CSV or Parquet file.")
    return table


def _check_columns(table: Table, declaration: Declaration, faults: Faults) -> list[str]:
    """Note faults of the columns, and return notes on those that are not used."""
    declared = [*declaration.targets, *declaration.attributes]
    for name in ("clip", *declared):
        if name not in table.columns:
            near = get_close_matches(name, [c for c in table.columns if c not in COLUMNS], n=1)
            hint = f" (is {near[0]!r} meant?)" if near else ""
            faults.add(f"there is no column {name!r}{hint}")
    for name in declared:
        if name in COLUMNS or (name in declaration.targets and name in declaration.attributes):
            faults.add(f"{name!r} is declared, but it is already something else")
    known = {*COLUMNS, *declared}
    unused = [name for name in table.columns if name and name not in known]
    absent = sorted(known - set(table.columns))
    # An optional column that is misspelt would be left out without a word: "subjekt" is none.
    # Columns that have to be there were looked for above.
    for name in unused:
        near = get_close_matches(name.lower(), absent, n=1, cutoff=0.75)
        if near and near[0] not in ("clip", *declared):
            faults.add(f"unknown column {name!r}: is {near[0]!r} meant?")
    return [f"Columns that are not used: {', '.join(unused)}."] if unused else []


def _rows_by_clip(table: Table, faults: Faults) -> dict[str, list[Mapping[str, str]]]:
    """The rows of each clip: one, or one per rater."""
    rows = [row for row in table.rows if row.get("clip")]
    if "clip" in table.columns and len(rows) < len(table.rows):
        faults.add(f"{len(table.rows) - len(rows)} rows have no clip id")
    by_clip: dict[str, list[Mapping[str, str]]] = {}
    seen: set[tuple[str, str | None]] = set()
    for row in rows:
        clip, rater = row["clip"], row.get("rater")
        if rater == "":
            faults.add("rows have no rater", repr(clip))
        elif (clip, rater) in seen:
            kind = "clip ids occur more than once" if rater is None else "rated twice by one rater"
            faults.add(kind, repr(clip) + (f" ({rater})" if rater else ""))
            continue
        seen.add((clip, rater))
        by_clip.setdefault(clip, []).append(row)
    return by_clip


def _clips(
    table: Table,
    rows: Mapping[str, Sequence[Mapping[str, str]]],
    declaration: Declaration,
    suffixes: Sequence[str] | None,
    faults: Faults,
) -> list[Clip]:
    base, targets = table.path.parent, declared_targets(declaration)
    find_media = _media_finder(base, base / declaration.media, suffixes)
    clips = []
    for clip_id, mine in rows.items():
        row = _merged(mine, [*COLUMNS, *declaration.attributes], faults)
        cell = Cells(row, table.decimal_comma, faults)
        times, split = cell.times(), cell.split()
        # Rater by rater: on a scale of 1 to 5 the ratings 9 and 1 have a fine mean.
        labels = [Cells(one, table.decimal_comma, faults).labels(targets) for one in mine]
        try:
            clip = Clip(
                id=clip_id,
                path=find_media(clip_id, row.get("path", "")),
                start=times["start"],
                end=times["end"],
                fps=times["fps"],
                source=row.get("source", ""),
                subject=row.get("subject") or None,
                split=split,
                targets=_mean_labels(labels, targets),
                transcript=row.get("transcript") or None,
                attributes=cell.attributes(declaration.attributes),
            )
        except DataError as error:
            # On to the next clip: one error lists the faults of all.
            faults.add(str(error))
            continue
        clips.append(clip)
    return clips


def _merged(
    rows: Sequence[Mapping[str, str]], columns: Sequence[str], faults: Faults
) -> Mapping[str, str]:
    """What several raters' rows say of one clip; they must not contradict each other."""
    if len(rows) == 1:
        return rows[0]
    merged = dict(rows[0])
    for name in columns:
        # An empty cell contradicts nobody: facts of a clip are often filled in once.
        given = list(dict.fromkeys(cell for row in rows if (cell := row.get(name, ""))))
        merged[name] = given[0] if given else ""
        if len(given) > 1 and name != "rater":
            faults.add(f"{name}: differs between raters", f"{merged['clip']} ({', '.join(given)})")
    return merged


def _mean_labels(
    labels: Sequence[Mapping[str, float]], targets: Sequence[Target]
) -> dict[str, float]:
    """Mean over the raters that gave a label."""
    given = {t.name: [each[t.name] for each in labels if t.name in each] for t in targets}
    return {name: float(np.mean(values)) for name, values in given.items() if values}


def _ratings(
    table: Table, rows: Mapping[str, Sequence[Mapping[str, str]]], targets: Sequence[Target]
) -> dict[str, dict[str, Mapping[str, float]]]:
    """What each rater said of each clip; nothing where raters are not told apart."""
    if "rater" not in table.columns:
        return {}
    # faults of these cells were listed when the labels were made of them
    return {
        clip: {
            row["rater"]: Cells(row, table.decimal_comma, Faults()).labels(targets) for row in mine
        }
        for clip, mine in rows.items()
    }


def _agreement_of_raters(
    ratings: Mapping[str, Mapping[str, Mapping[str, float]]], targets: Sequence[Target]
) -> list[str]:
    """Say how many raters there are, and how far one of them and their mean can be relied on."""
    if not ratings:
        return []
    raters = {rater for mine in ratings.values() for rater in mine}
    sizes = [len(mine) for mine in ratings.values()]
    sentences = []
    for target in targets:
        values = (
            [labels[target.name] for labels in mine.values() if target.name in labels]
            for mine in ratings.values()
        )
        icc = agreement(values)
        if icc.single is None or icc.mean is None:
            sentences.append(f"{target.name} undefined")
        else:
            sentences.append(
                f"{target.name} {icc.single:.2f} (mean of {icc.size:.1f}: {icc.mean:.2f})"
            )
    return [
        f"Labels are means over {min(sizes)} to {max(sizes)} of {len(raters)} raters. Reliability "
        f"of one rater, ICC(1), and of the mean, ICC(1, k): {'; '.join(sentences)}."
    ]


def _media_finder(
    base: Path, media: Path, suffixes: Sequence[str] | None
) -> Callable[[str, str], Path | None]:
    """Make the function that finds a clip's media by its path cell, else by its id."""
    from traitscope.media.folders import is_media  # its room opens with the decoders: half a second
    from traitscope.media.suffixes import MEDIA

    entries = _entries(media)[0]
    # Compared in one form: macOS writes file names with other letters than spreadsheets do.
    by_name = {same_name(entry.name): entry for entry in entries}
    suffix_rank = {suffix: rank for rank, suffix in enumerate(suffixes or MEDIA)}
    by_stem: dict[str, Path] = {}
    usable = [p for p in by_name.values() if p.suffix.lower() in suffix_rank]
    for entry in sorted(usable, key=lambda p: suffix_rank[p.suffix.lower()]):
        by_stem.setdefault(same_name(entry.stem), entry)
    # A file with an unknown suffix may be a recording as well. Only opening it tells, so that waits
    # until a clip finds nothing else.
    odd_by_stem: dict[str, list[Path]] = {}
    for entry in by_name.values() if not suffixes else ():  # not where CSVs are wanted
        odd_by_stem.setdefault(same_name(entry.stem), []).append(entry)

    def find(clip: str, cell: str) -> Path | None:
        if not cell:
            clip = same_name(clip)
            odd = (path for path in odd_by_stem.get(clip, ()) if is_media(path))
            return by_name.get(clip) or by_stem.get(clip) or next(odd, None)
        # A table made on Windows: its backslashes are slashes here.
        path = Path(PureWindowsPath(cell).as_posix()) if "\\" in cell else Path(cell)
        # Beside the table first. Where neither is there, the first is what messages name.
        beside = base / path
        return media / path if not _exists(beside) and _exists(media / path) else beside

    return find


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that this user may not read
        return False


def _entries(media: Path) -> tuple[list[Path], str]:
    """What lies in the folder of the media, if there is one; or why that cannot be seen."""
    try:
        return sorted(media.iterdir()) if media.is_dir() else [], ""
    except OSError as error:
        return [], (
            f"The folder of the media, {media}, cannot be read ({error.strerror}), so recordings "
            f"were not found in it. Give this user the right to."
        )


def _without_clip(media: Path, clips: Sequence[Clip], suffixes: Sequence[str] | None) -> list[str]:
    """Name the recordings in the folder of the media that no row of the table is of."""
    from traitscope.media.suffixes import MEDIA

    entries, refused = _entries(media)
    if refused:
        return [refused]
    if suffixes:  # tables are wanted, and no recordings
        return []
    used = {clip.path for clip in clips}
    others = [p.name for p in entries if p.suffix.lower() in MEDIA]
    others = [name for name in others if media / name not in used]
    return [f"Recordings of no clip: {some(others)}."] if others else []


def _ask_for_declaration(table: Table, path: Path) -> str:
    """Write the error for a missing clips.yaml, with one to copy and fill in."""
    ranges = {name: _observed(table, name) for name in table.columns if name not in COLUMNS}
    numeric = [name for name, seen in ranges.items() if seen and name not in _USUAL_ATTRIBUTES]
    # Without any trait every column of numbers may be a target; with one the others are not.
    targets = [name for name in numeric if name in (*TRAITS, "interview")] or numeric
    attributes = [name for name in ranges if name in _USUAL_ATTRIBUTES]
    lines = [
        f"name: {table.path.stem}",
        "kind: FILL            # apparent (observers judged) or self_reported (questionnaires)",
        *_ask_for_names(table, targets),
        "targets:              # low and high: ends of the scale, null for z-scores",
        *(() if set(targets) & set(TRAITS) else ("  # delete what is no label",)),
        *(
            f"  {name}: {{low: FILL, high: FILL, direction: FILL}}   # found: {ranges[name]}"
            for name in targets
        ),
        f"attributes: [{', '.join(attributes)}]",
        "media: .              # folder of the media, relative to the table",
    ]
    return (
        f"There is no {path}. It says what the numbers of {table.path.name} mean, which is never "
        f"guessed. Put this there, with FILL replaced (direction: 1 if a high value is more of "
        f"what the name says, -1 if it is less):\n\n" + "\n".join(lines) + "\n"
    )


def _observed(table: Table, name: str) -> str:
    """The least and greatest number of a column, empty if it holds none."""
    cells = [Cells(row, table.decimal_comma, Faults()) for row in table.rows]
    numbers = [number for cell in cells if (number := cell.number(name)) is not None]
    return f"{min(numbers):g} to {max(numbers):g}" if numbers else ""


def _ask_for_names(table: Table, targets: Sequence[str]) -> list[str]:
    """Lines that say which column is which, where the table has none of our names for them."""
    lines = []
    if not {"clip", "path"} & set(table.columns):
        lines += [
            "  clip: FILL          # the column that names a clip; or path: that of its file",
            "  # subject: FILL     # the person; also source, split, start, end, transcript",
        ]
    if not set(targets) & set(TRAITS):
        lines += ["  # openness: FILL    # a trait, if it is then called openness in targets, too"]
    return ["columns:              # what your table calls otherwise", *lines] if lines else []
