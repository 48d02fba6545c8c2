"""A table of anybody's -> the same table with its columns called as we call them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PureWindowsPath

from traitscope.corpora._faults import Faults
from traitscope.sheets import Table


def renamed(
    table: Table, columns: Mapping[str, str], known: Collection[str], faults: Faults
) -> Table:
    """Call columns as we do; one may be two things: ``clip: Code`` and ``subject: Code``.

    A name of ours that is only written in other letters (``Openness``) needs no line for it.

    Args:
        table: as it was read.
        columns: our name -> the name that the column has in the table.
        known: our names.
        faults: where to note what cannot be meant.
    """
    letters = {name.casefold(): name for name in table.columns}
    lacking = [name for name in known if name not in table.columns and name not in columns]
    usable = {name: letters[name.casefold()] for name in lacking if name.casefold() in letters}
    for ours, theirs in columns.items():
        if ours not in known:
            faults.add(f"columns: {ours!r} is no column of ours and not declared")
        elif theirs not in table.columns:
            near = get_close_matches(theirs, table.columns, n=1)
            hint = f" (is {near[0]!r} meant?)" if near else ""
            faults.add(f"columns: there is no column {theirs!r} to be {ours!r}{hint}")
        elif ours in table.columns and ours != theirs:
            faults.add(f"columns: {theirs!r} cannot be {ours!r}, which the table has already")
        else:
            usable[ours] = theirs
    kept = [name for name in table.columns if name not in usable.values()]
    names = {**{name: name for name in kept}, **usable}
    rows = tuple({ours: row[theirs] for ours, theirs in names.items()} for row in table.rows)
    return replace(table, columns=tuple(names), rows=rows)


def with_ids(table: Table) -> Table:
    """Name clips by their files where no column does: ``media/anna_1.mp4`` is ``anna_1``."""
    if "clip" in table.columns or "path" not in table.columns:
        return table
    # Windows' paths have both slashes, so its rules read those of other systems, too.
    rows = tuple({"clip": PureWindowsPath(row["path"]).stem, **row} for row in table.rows)
    note = "No column is called clip: clips are named by their files."
    return replace(table, columns=("clip", *table.columns), rows=rows, notes=(*table.notes, note))
