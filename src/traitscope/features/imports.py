"""Anybody's features -> streams of the store: a table, or folders of images and their points."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.errors import ClipError, ConfigError, DataError, some
from traitscope.extract import POINT_FILES, read_images, read_points
from traitscope.extract.imported import DRAWINGS, PICTURES, POINTS, Table, read_table
from traitscope.extract.landmarks import COLUMNS
from traitscope.features._arrays import SUFFIXES as SUFFIXES_OF_ARRAYS
from traitscope.features._arrays import read_arrays
from traitscope.features.origins import joined, record
from traitscope.features.remote import open_store
from traitscope.features.request import Request, make_request
from traitscope.features.store import Origin, StatusRow, Store, file_name
from traitscope.media.folders import walk
from traitscope.media.images import SUFFIXES, drawings, images_in
from traitscope.sheets import same_name
from traitscope.types import Corpus, Hook, Stream, label_array

_ENOUGH_CLIPS = 8  # with fewer, a feature may follow a label by chance
_SAME = 1 - 1e-9  # correlation of a column that is a label, but for its unit

Reads = Mapping[str, Callable[[], Stream]]
"""Clip -> what reads its stream."""


@dataclass(frozen=True)
class Imported:
    """What was brought in.

    Attributes:
        name: what models call the stream.
        request: how the stream is known in the store.
        columns: names of the features.
        units: column -> unit.
        clips: clips of the corpus with features.
        without: clips of the corpus that are lacking, or could not be read.
        ignored: clips of the table, or folders, that the corpus lacks.
        left_out: columns that are labels, attributes or splits, or what they are to the letter.
        notes: what was noticed of the file.
    """

    name: str
    request: Request
    columns: tuple[str, ...]
    units: Mapping[str, str]
    clips: int
    without: tuple[str, ...]
    ignored: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
        table: CSV, Parquet, HDF5 or .npz; ids match with or without a file suffix.
        name: what models call the stream, and an HDF5 file or .npz as well; not the name of an
            extractor.
        corpus: whose clips the rows are of, or its address.
        columns: features to take; by default all that are not named like labels, attributes
            of people or splits, and do not follow a label of the corpus to the letter.

    Raises:
        ConfigError: the name is taken or not a plain word.
        DataError: the table cannot be used, or has none of the clips.

    Example:
        ``import_features("store", "egemaps.csv", name="egemaps", corpus="fi:/data/fi")``
    """
    store = store if isinstance(store, Store) else open_store(store)
    if name in registry.names("extract"):
        raise ConfigError(f"{name!r} is an extractor. Choose another name for the table.")
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    left_out: tuple[str, ...] = ()
    if Path(table).suffix.lower() in SUFFIXES_OF_ARRAYS:
        read = _arrays_of(Path(table), name, corpus, columns)
    else:
        read, left_out = _features(Path(table), corpus, columns)
    content = {"name": name, "content": read.content, "columns": list(read.columns)}
    request = make_request("imported", content)
    names = _matched(read.streams, corpus)
    if not names:
        raise _foreign(table, read.streams, corpus)
    reads = {clip: partial(read.streams.__getitem__, name) for clip, name in names.items()}
    without = _write(store, request, reads, corpus, "The imported table has no row for it.")
    return Imported(
        name=name,
        request=request,
        columns=read.columns,
        units=read.units,
        clips=len(corpus.clips) - len(without),
        without=without,
        ignored=tuple(sorted(set(read.streams) - set(names.values()))),
        left_out=left_out,
        notes=read.notes,
    )


def _features(path: Path, corpus: Corpus, columns: Sequence[str]) -> tuple[Table, tuple[str, ...]]:
    """Read the features of a table, and say which columns were left out because they are labels."""
    if columns:
        return read_table(path, columns=columns), ()
    named = {name for clip in corpus.clips for name in (*clip.targets, *clip.attributes)}
    read = read_table(path, labels=(*corpus.target_names, *sorted(named)))
    same = _disguised(read, corpus)
    if not same:
        return read, read.left_out
    kept = [name for name in read.columns if name not in same]
    said = tuple(f"{column} (it is {target})" for column, target in same.items())
    if not kept:
        raise DataError(
            f"{path} has no features but labels: {some(said)}. Name columns to take with --columns."
        )
    return read_table(path, columns=kept), (*read.left_out, *said)


def _arrays_of(path: Path, name: str, corpus: Corpus, columns: Sequence[str]) -> Table:
    """Read a stream of an HDF5 file or .npz archive, whose columns have no names to go by."""
    if columns:
        raise ConfigError("--columns goes with a table: features of arrays have no names.")
    read = read_arrays(path, name)
    if same := _disguised(read, corpus):
        said = some([f"column {column} is {target}" for column, target in same.items()])
        raise DataError(f"{name} of {path} holds labels: {said}. Leave them out of the file.")
    return read


def _disguised(read: Table, corpus: Corpus) -> dict[str, str]:
    """Column -> the label that it is, perhaps in another unit, whatever the column is called."""
    names = _matched(read.streams, corpus)
    rows = [(clip, read.streams[names[clip.id]]) for clip in corpus.clips if clip.id in names]
    if len(rows) < _ENOUGH_CLIPS or any(len(stream.time) != 1 for _, stream in rows):
        return {}
    values = np.stack([np.asarray(stream.values)[0] for _, stream in rows])
    found = {}
    for target in (*corpus.targets, *corpus.optional):
        labels = label_array([clip for clip, _ in rows], [target.name])[:, 0]
        for place, column in enumerate(read.columns):
            there = np.isfinite(values[:, place]) & np.isfinite(labels)
            one, two = values[there, place], labels[there]
            if len(np.unique(two)) < _ENOUGH_CLIPS or len(np.unique(one)) < _ENOUGH_CLIPS:
                continue
            if abs(np.corrcoef(one, two)[0, 1]) > _SAME:
                found[column] = target.name
    return found


def import_images(
    store: Store | Path | str,
    folder: Path | str,
    *,
    name: str,
    corpus: Corpus | str,
    points: Path | str | None = None,
    fps: float | None = None,
    hook: Hook | None = None,
) -> list[Imported]:
    """Bring folders of images, one per clip, and the points in them into a store as they are.

    Args:
        store: the folder of features.
        folder: holds a folder for each clip, at any depth, named as the clip.
        name: ``faces`` for face pictures, ``frames`` for whole ones.
        corpus: whose clips they are, or its address.
        points: holds a folder of files, or one file, for each clip; see ``extract.read_images``.
        fps: images per second, where neither names nor ``fps.txt`` nor the corpus say it.
        hook: called as hook(done, total, clip).

    Returns:
        One for the images, one for the points if there are some, and one for drawings of landmarks
        that lie beside the images.

    Raises:
        ConfigError: models take no images under the name.
        DataError: none of the folders is of a clip.

    Example:
        ``import_images("store", "frames", name="faces", corpus="fi:/data/fi", points="points")``
    """
    store = store if isinstance(store, Store) else open_store(store)
    if name not in PICTURES:
        raise ConfigError(f"Images are taken as {' or '.join(PICTURES)}, not as {name!r}.")
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    folders, ignored = _places(Path(folder), SUFFIXES, corpus, name)
    marked = _places(Path(points), POINT_FILES, corpus, name)[0] if points is not None else {}
    marked = {clip: place for clip, place in marked.items() if clip in folders}
    rates = {clip.id: fps or clip.fps for clip in corpus.clips}
    content = _content([*folders.items(), *marked.items()], rates)
    reads = {name: _images(folders, rates)}
    if points is not None:
        reads[POINTS] = {
            clip: partial(read_points, folders[clip], place, fps=rates[clip])
            for clip, place in marked.items()
        }
    drawn = {clip: path for clip, path in folders.items() if drawings(images_in(path))}
    if drawn:
        reads[DRAWINGS] = _images(drawn, rates, drawn=True)
    imported = []
    for stream, own in reads.items():
        columns = COLUMNS if stream == POINTS else ()
        settings = {"name": stream, "content": content, "columns": columns}
        request = make_request("imported", settings)
        lacking = f"There was nothing to import as its {stream}."
        without = _write(store, request, own, corpus, lacking, hook)
        count = len(corpus.clips) - len(without)
        imported.append(Imported(stream, request, columns, {}, count, without, ignored))
    return imported


def _images(
    folders: Mapping[str, Path], rates: Mapping[str, float | None], *, drawn: bool = False
) -> Reads:
    """Clip -> what reads its images, or the drawings beside them."""
    return {
        clip: partial(read_images, path, fps=rates[clip], drawn=drawn)
        for clip, path in folders.items()
    }


def _places(
    folder: Path, suffixes: Iterable[str], corpus: Corpus, name: str
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find what is of each clip: a folder that holds files of some kinds, or such a file itself.

    Links to folders are followed.

    Returns:
        Clip -> its folder or file; and names of folders that are of no clip.
    """
    folders: dict[str, list[Path]] = {}
    files: dict[str, list[Path]] = {}
    for parent, below, names in walk(folder):
        below[:] = _of_kind(below, name)
        own = [parent / file for file in names if file.lower().endswith(tuple(suffixes))]
        if own:
            folders.setdefault(parent.name, []).append(parent)
        for path in own:
            files.setdefault(path.stem, []).append(path)
    candidates = {**(files if suffixes is POINT_FILES else {}), **folders}
    names_of = _matched(candidates, corpus)
    if not names_of:
        raise _foreign(folder, folders or files, corpus)
    for clip, name in names_of.items():
        if len(candidates[name]) > 1:
            two = " and ".join(map(str, candidates[name][:2]))
            raise DataError(f"Clip {clip!r} may be {two}. Remove or rename one.")
    places = {clip: candidates[name][0] for clip, name in names_of.items()}
    return places, tuple(sorted(set(folders) - set(names_of.values())))


def _of_kind(folders: Sequence[str], name: str) -> list[str]:
    """Of the DeepPersonality benchmark's ``train_data_face`` and ``train_data``, those of a name.

    One is left out only where the other lies beside it.
    """
    unwanted = {
        other
        for one in folders
        if re.fullmatch(r"(?:train|valid|validation|val|test)_data", one)
        for other in [one if name == "faces" else f"{one}_face"]
        if f"{one}_face" in folders
    }
    return [folder for folder in folders if folder not in unwanted]


def _content(places: Iterable[tuple[str, Path]], rates: Mapping[str, float | None]) -> str:
    """Hash of all that a model could see of the files of some clips."""
    digest = hashlib.sha256()
    for clip, place in places:
        digest.update(f"{clip}\x1f{rates[clip]}\x1e".encode("utf-8", "surrogatepass"))
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            if path.is_file():
                digest.update(path.name.encode("utf-8", "surrogateescape") + b"\x1f")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _matched(names: Iterable[str], corpus: Corpus) -> dict[str, str]:
    """Clip -> the name that is its id; one of the same stem counts where it is the only one."""
    known = set(names)
    stems: dict[str, list[str]] = {}
    for name in known:
        stems.setdefault(_stem(name), []).append(name)
    matched = {}
    for clip in corpus.clips:
        alike = stems.get(_stem(clip.id), [])
        exact = next((name for name in (clip.id, file_name(clip.id)) if name in known), None)
        match = exact or (alike[0] if len(alike) == 1 else None)
        if match is not None:
            matched[clip.id] = match
    return matched


def _stem(clip: str) -> str:
    """The id without the suffix of a media file."""
    clip = same_name(clip)
    stem, dot, suffix = clip.rpartition(".")
    return stem if dot and suffix.isalnum() and not suffix.isdigit() and stem else clip


def _write(
    store: Store,
    request: Request,
    reads: Reads,
    corpus: Corpus,
    lacking: str,
    hook: Hook | None = None,
) -> tuple[str, ...]:
    """Write the clips that can be read, and a status row for each; return those without."""
    store.add(request.key, request.fingerprint)
    known = {row.clip: row.corpora for row in store.rows(request.key)}
    without = []
    for done, clip in enumerate(corpus.clips, 1):
        try:
            if clip.id not in reads:
                raise ClipError(lacking, status="missing")
            corpora = joined(known.get(clip.id, ""), record(corpus.name, clip))
            origin = Origin(corpora=corpora)
            row = store.write(request.key, clip.id, reads[clip.id](), origin=origin)
        except ClipError as error:
            without.append(clip.id)
            whose = record(corpus.name, clip)
            row = StatusRow(clip.id, status=error.status, reason=str(error), corpora=whose)
        store.record(request.key, row)
        if hook is not None:
            hook(done, len(corpus.clips), clip.id)
    store.settle(request.key)
    return tuple(without)


def _foreign(place: Path | str, names: Iterable[str], corpus: Corpus) -> DataError:
    return DataError(
        f"{place} has none of the {len(corpus.clips)} clips of {corpus.name}: its clips are "
        f"{some([repr(name) for name in sorted(names)]) or 'none'}, those of the corpus "
        f"{some([repr(clip.id) for clip in corpus.clips])}."
    )
