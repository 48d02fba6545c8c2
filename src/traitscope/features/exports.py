"""Stored streams -> tables and pictures that other programs read."""

import csv
import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.errors import DataError
from traitscope.escaping import cell
from traitscope.features.store import OK, Store, file_name
from traitscope.files import replacing
from traitscope.types import Hook, Stream

_UNITS = (("AU", "0-5"), ("gaze_angle_", "rad"), ("pose_R", "rad"))


def find_key(store: Store, feature: str) -> str:
    """Find the key of a feature by its key or, where there is one of that name, by its name.

    Raises:
        DataError: there is none, or there are several.
    """
    names = names_of(store)
    keys = list(names)
    if feature in keys:
        return feature
    named = [key for key, name in names.items() if name == feature]
    if len(named) == 1:
        return named[0]
    if named:
        raise DataError(
            f"There are {len(named)} features {feature!r} in {store.folder}: {', '.join(named)}. "
            f"Name one by its whole key; 'traitscope features show {store.folder}' has settings."
        )
    near = get_close_matches(feature, [*keys, *names.values()], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"There are no features {feature!r} in {store.folder}.{hint} There are: "
        f"{', '.join(keys) or 'none'}."
    )


def names_of(store: Store) -> dict[str, str]:
    """Key -> what users and models call the feature; an imported one has a name of its own."""
    return {
        key: made["config"]["name"]
        if made.get("extractor") == "imported"
        else key.rpartition("-")[0]
        for key, made in store.fingerprints().items()
    }


def clips_of(store: Store, key: str, clips: Sequence[str] = ()) -> list[str]:
    """Clips that have a feature; of those given, if any are.

    Raises:
        DataError: a given clip has it not.
    """
    rows = store.statuses(key)
    usable = [clip for clip, row in rows.items() if row.status == OK]
    for clip in clips:
        if clip not in usable:
            why = f"{rows[clip].status}: {rows[clip].reason}" if clip in rows else "never prepared"
            raise DataError(f"Clip {clip!r} has no {key} ({why}). Choose another with --clip.")
    return list(clips) or usable


def labelled(stream: Stream) -> list[str]:
    """Names of the columns of a stream's table, with units where they are known."""
    shape = stream.values.shape[1:] if stream.values is not None else ()
    names = list(stream.columns)
    if not names:
        names = ["value"] if not shape else [f"value_{n}" for n in range(int(np.prod(shape)))]
    elif len(shape) > 1:
        before = int(np.prod(shape[:-1]))
        names = [f"{name}_{place}" for place in range(before) for name in names]
    units = stream.info.get("units")
    by_column = units if isinstance(units, dict) else {}
    units_of = [by_column.get(name) or _unit(name) for name in names]
    return [f"{n} [{unit}]" if unit else n for n, unit in zip(names, units_of, strict=True)]


def write_csv(
    store: Store, key: str, path: Path, *, clips: Sequence[str] = (), hook: Hook | None = None
) -> int:
    """Write the rows of a feature as one table; return how many there are.

    The columns are clip, time [s], valid, and those of the stream; missing values are empty.

    Raises:
        DataError: the feature is of pictures, or there is no clip.
    """
    rows, tables = 0, _tables(store, key, clips, hook)
    first = next(tables)  # before there is a file: there may be nothing to write
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(map(cell, first[0]))
        for _, table in chain([first], tables):
            writer.writerows(["" if c != c else cell(c) for c in row] for row in _rows(table))
            rows += len(table[0])
    return rows


def write_parquet(
    store: Store, key: str, path: Path, *, clips: Sequence[str] = (), hook: Hook | None = None
) -> int:
    """Write the rows of a feature as a Parquet file; see `write_csv`."""
    import pyarrow
    import pyarrow.parquet

    rows, tables = 0, _tables(store, key, clips, hook)
    first = next(tables)
    schema = pyarrow.table(dict(zip(*first, strict=True))).schema  # every clip fits the first
    with replacing(path) as draft, pyarrow.parquet.ParquetWriter(draft, schema) as writer:
        for header, columns in chain([first], tables):
            table = pyarrow.table(dict(zip(header, columns, strict=True)))
            writer.write_table(table.cast(schema))
            rows += len(columns[0])
    return rows


def write_images(
    store: Store, key: str, folder: Path, *, clips: Sequence[str] = (), hook: Hook | None = None
) -> int:
    """Write the pictures of a feature as ``CLIP/0003_00.600s.jpg``; return how many there are.

    Raises:
        DataError: the feature is not of pictures.
    """
    count = 0
    for clip, stream in _streams(store, key, clips, hook):
        if stream.images is None:
            raise DataError(f"{key} holds numbers, not pictures. Use --csv or --parquet.")
        target = folder / file_name(clip)
        target.mkdir(parents=True, exist_ok=True)
        # Named by row and time, so that a file manager sorts them as they come.
        for row, (time, image) in enumerate(zip(stream.time, stream.images, strict=True)):
            if image:
                (target / f"{row:04d}_{time:06.3f}s.jpg").write_bytes(image)
                count += 1
    return count


def _streams(
    store: Store, key: str, clips: Sequence[str], hook: Hook | None
) -> Iterator[tuple[str, Stream]]:
    chosen = clips_of(store, key, clips)
    if not chosen:
        raise DataError(f"No clip in {store.folder} has {key}. See status.csv there for reasons.")
    for done, clip in enumerate(chosen, 1):
        yield clip, store.read(key, clip)
        if hook is not None:
            hook(done, len(chosen), clip)


def _tables(
    store: Store, key: str, clips: Sequence[str], hook: Hook | None
) -> Iterator[tuple[list[str], list[Any]]]:
    """Header and columns of each clip."""
    for clip, stream in _streams(store, key, clips, hook):
        if stream.values is None:
            raise DataError(f"{key} holds pictures. Use --images FOLDER.")
        width = math.prod(stream.values.shape[1:])  # of no rows, -1 would be any number
        flat = stream.values.reshape(len(stream.time), width)
        header = ["clip", "time [s]", "valid", *labelled(stream)]
        yield header, [[clip] * len(flat), stream.time, stream.mask, *flat.T]


def _rows(columns: list[Any]) -> Iterator[tuple[Any, ...]]:
    lists = [c if isinstance(c, list) else c.tolist() for c in columns]
    return zip(*lists, strict=True)


def _unit(name: str) -> str:
    return next((unit for start, unit in _UNITS if name.startswith(start)), "")
