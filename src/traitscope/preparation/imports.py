"""A table of anybody's features -> a stream of the store, with names, units and status rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.extract import Request, make_request
from traitscope.extract.imported import Table, read_table
from traitscope.store import StatusRow, Store
from traitscope.types import Corpus, Stream

_SHOWN = 10


@dataclass(frozen=True)
class Imported:
    """What was brought in.

    Attributes:
        request: how the stream is known in the store.
        columns: names of the features.
        units: column -> unit.
        clips: clips of the corpus with features.
        without: clips of the corpus that the table lacks.
        ignored: clips of the table that the corpus lacks.
    """

    request: Request
    columns: tuple[str, ...]
    units: Mapping[str, str]
    clips: int
    without: tuple[str, ...]
    ignored: tuple[str, ...]


def import_features(
    store: Store | Path | str,
    table: Path | str,
    *,
    name: str,
    corpus: Corpus | str,
    columns: Sequence[str] = (),
) -> Imported:
    """Bring a table keyed by clip, or by clip and time, into a store as a stream.

    Args:
        store: the folder of features.
        table: CSV or Parquet; ids match with or without a file suffix.
        name: what models call the stream; not the name of an extractor.
        corpus: whose clips the rows are of, or its address.
        columns: features to take; all by default.

    Raises:
        ConfigError: the name is taken or not a plain word.
        DataError: the table cannot be used, or has none of the clips.

    Example:
        ``import_features("store", "egemaps.csv", name="egemaps", corpus="fi:/data/fi")``
    """
    store = store if isinstance(store, Store) else Store(Path(store))
    if name in registry.names("extract"):
        raise ConfigError(f"{name!r} is an extractor. Choose another name for the table.")
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    read = read_table(Path(table), columns=columns or None)
    content = {"name": name, "content": read.content, "columns": list(read.columns)}
    request = make_request("imported", content)
    rows = _by_clip(read, corpus)
    if not rows:
        raise DataError(
            f"{table} has none of the {len(corpus.clips)} clips of {corpus.name}: its clips are "
            f"{_some(list(read.streams))}, those of the corpus "
            f"{_some([clip.id for clip in corpus.clips])}."
        )
    _write(store, request, rows, corpus)
    used = {_stem(clip) for clip in rows}
    return Imported(
        request=request,
        columns=read.columns,
        units=read.units,
        clips=len(rows),
        without=tuple(clip.id for clip in corpus.clips if clip.id not in rows),
        ignored=tuple(clip for clip in read.streams if _stem(clip) not in used),
    )


def _by_clip(read: Table, corpus: Corpus) -> dict[str, Stream]:
    """Rows of each clip of the corpus; a clip of the same stem counts where it is the only one."""
    stems: dict[str, list[str]] = {}
    for clip in read.streams:
        stems.setdefault(_stem(clip), []).append(clip)
    rows = {}
    for clip_ in corpus.clips:
        alike = stems.get(_stem(clip_.id), [])
        found = clip_.id if clip_.id in read.streams else alike[0] if len(alike) == 1 else None
        if found is not None:
            rows[clip_.id] = read.streams[found]
    return rows


def _stem(clip: str) -> str:
    """The id without the suffix of a media file."""
    stem, dot, suffix = clip.rpartition(".")
    return stem if dot and suffix.isalnum() and not suffix.isdigit() and stem else clip


def _write(store: Store, request: Request, rows: Mapping[str, Stream], corpus: Corpus) -> None:
    store.add(request.key, request.fingerprint)
    for clip in corpus.clips:
        if clip.id in rows:
            store.record(request.key, store.write(request.key, clip.id, rows[clip.id]))
        else:
            reason = "The imported table has no row for it."
            store.record(request.key, StatusRow(clip.id, status="missing", reason=reason))
    store.settle(request.key)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
