"""A Parquet file -> names of its columns, and those that are asked for, within bounds.

A Parquet file can be a thousand times smaller than what it holds: a page of equal cells takes a
few bytes. How much that is, is counted before it is laid out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traitscope.errors import DataError

_MOST_CELLS = 2**31
"""That are read at once: 16 GiB of numbers."""

_MOST_TEXT_BYTES = 2**32
"""Letters of the columns of text that are read at once."""

_PIECE_ROWS = 2**16


def check_cells(path: Path, cells: int) -> None:
    """Refuse to read more cells than memory holds.

    Raises:
        DataError: it is more than the limit.
    """
    if cells > _MOST_CELLS:
        raise DataError(
            f"{path} has {cells:,} cells to read, more than the limit of {_MOST_CELLS:,}. Split "
            f"it into tables with fewer rows, or leave out columns."
        )


def parquet_names(path: Path) -> tuple[str, ...]:
    """Names of the columns, in order.

    Raises:
        DataError: it is no Parquet file.
    """
    with _opened(path) as file:
        return tuple(map(str, file.schema_arrow.names))


def parquet_columns(path: Path, places: Sequence[int]) -> list[Any]:
    """Read columns, by their places, as Arrow's.

    Raises:
        DataError: it is damaged, or the columns are larger than memory.
    """
    import pyarrow

    with _opened(path) as file:
        check_cells(path, file.metadata.num_rows * len(places))
        schema = file.schema_arrow
        names = [schema.field(place).name for place in places]
        texts = [n for n in dict.fromkeys(names) if _is_text(schema, n)]
    with _opened(path, texts) as file:  # as numbers of a dictionary until its size is known
        letters, pieces = 0, []
        nested = any(pyarrow.types.is_nested(field.type) for field in schema)
        # Nested columns, and names that are there twice, cannot be asked for by name: all are read.
        chosen = None if nested or len(set(schema.names)) < len(schema.names) else names
        for batch in file.iter_batches(_PIECE_ROWS, columns=chosen):
            letters += sum(_letters(column) for column in batch.columns)
            if letters > _MOST_TEXT_BYTES:
                raise DataError(
                    f"{path} holds more than {_MOST_TEXT_BYTES:,} letters. Split it into tables "
                    f"with fewer rows."
                )
            pieces.append(batch)
        table = pyarrow.Table.from_batches(pieces, None if pieces else file.schema_arrow)
    own = places if chosen is None else [table.schema.get_field_index(name) for name in names]
    return [_plain(table.column(place)) for place in own]


def _is_text(schema: Any, name: str) -> bool:
    return schema.names.count(name) == 1 and _holds_letters(schema.field(name).type)


def _holds_letters(kind: Any) -> bool:
    from pyarrow import types

    return any(tell(kind) for tell in (types.is_string, types.is_large_string, types.is_binary))


def _letters(column: Any) -> int:
    """Bytes of a column of text, once each cell has its own."""
    import pyarrow
    import pyarrow.compute

    if not pyarrow.types.is_dictionary(column.type) or not _holds_letters(column.type.value_type):
        return 0
    lengths = pyarrow.compute.binary_length(column.dictionary)
    return int(pyarrow.compute.sum(lengths.take(column.indices)).as_py() or 0)


def _plain(column: Any) -> Any:
    import pyarrow

    kind = column.type
    return column.cast(kind.value_type) if pyarrow.types.is_dictionary(kind) else column


@contextmanager
def _opened(path: Path, dictionaries: Sequence[str] = ()) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=list(dictionaries)) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is not readable as Parquet: {error}") from error
