"""Images that somebody else extracted, and points in them, as streams: read as they are.

A clip is a folder of images, with ``fps.txt``, a known rate, or times in the names as ``features
export --images`` writes them. Points are 68 of iBUG or MediaPipe's 478 (of which 68 are taken), in
pixels or as shares of the image: one ``.npy``, ``.csv``, ``.txt`` or ``.pts`` file per image with
the image's name, or one per clip with a row per image (frames, points, 2) or x, y, x, y ...
"""

import re
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError, DataError
from traitscope.extract.landmarks import COLUMNS, TO_68
from traitscope.media.images import drawing_of, images_in, timed_files
from traitscope.media.limits import DEFAULTS, check_bytes
from traitscope.media.pictures import decoded
from traitscope.sheets import open_sheet
from traitscope.types import Stream

POINT_FILES = (".npy", ".csv", ".txt", ".pts")

_TIMED = re.compile(r"_(\d+\.\d+)s$")
_NOT_POINTS = "fps.txt"
_SHARES_END = 2.0
"""Points beyond are pixels: as shares of a face's picture they would be far outside it."""

Array = NDArray[np.float64]


def read_images(folder: Path, *, fps: float | None = None, drawn: bool = False) -> Stream:
    """Read the images of a clip; one that cannot be decoded is a missing row.

    Args:
        folder: the images.
        fps: images per second, where nothing else says it.
        drawn: read the drawings of landmarks beside the images instead of these, at their times.

    Raises:
        ClipError: there are none, none can be decoded, or nothing says when they were taken.
    """
    timed = _timed(folder, fps)
    if drawn:
        beside = drawing_of(images_in(folder))
        timed = [(time, beside[path]) for time, path in timed if path in beside]
        if not timed:
            raise ClipError(
                f"There are no drawings of landmarks beside the images of {folder}, such as "
                f"face_landmark_1.jpg beside face_1.jpg. Put them there.",
                status="missing",
            )
    images = tuple(_bytes(path) for _, path in timed)
    sizes = np.array([_size(i, path) for i, (_, path) in zip(images, timed, strict=True)])
    readable = np.asarray((sizes > 0).all(axis=1))
    if not readable.any():
        raise ClipError(f"No image in {folder} can be decoded. Replace them.", status="undecodable")
    return Stream(
        time=np.array([time for time, _ in timed]),
        images=tuple(image if ok else b"" for image, ok in zip(images, readable, strict=True)),
        valid=readable,
        info={"backend": "imported"},
    )


def read_points(folder: Path, place: Path | None, *, fps: float | None = None) -> Stream:
    """Read the points in the images of a clip: (images, 68, 2), as shares of their middle square.

    Args:
        folder: the images.
        place: a folder with a file per image, or one file; None to look in and beside ``folder``.
        fps: images per second, where nothing else says it.

    Raises:
        ClipError: there are none, or they are not 68 or 478 in each image.
    """
    place = place or beside(folder)
    timed = _timed(folder, fps)
    files = [path for _, path in timed]
    points = _per_image(place, files) if place.is_dir() else _per_clip(place, len(files))
    sizes = np.array([_size(_bytes(path), path) for path in files])[:, None, :]
    if np.abs(np.nan_to_num(points)).max() <= _SHARES_END:
        points = points * sizes
    side = np.maximum(sizes.min(axis=2, keepdims=True), 1)
    points = (points - (sizes - side) / 2) / side  # a model sees the middle square of an image
    complete = np.isfinite(points).all(axis=(1, 2)) & (sizes > 0).all(axis=(1, 2))
    return Stream(
        time=np.array([time for time, _ in timed]),
        values=np.where(complete[:, None, None], points, np.nan).astype(np.float32),
        valid=complete,
        columns=COLUMNS,
        info={"backend": "imported", "units": "share of the middle square of the image"},
    )


def beside(folder: Path) -> Path:
    """Find the points of a clip: a file of its name beside it, or files among its images.

    Raises:
        ClipError: there are none.
    """
    for suffix in POINT_FILES:
        if (file := folder.with_name(folder.name + suffix)).is_file():
            return file
    if not point_files(folder):
        raise ClipError(
            f"There are no points ({', '.join(POINT_FILES)}) among the images of {folder}, nor "
            f"beside it as {folder.name}.npy. Put them there.",
            status="missing",
        )
    return folder


def point_files(folder: Path) -> dict[str, Path]:
    """Files of points in a folder, by name without suffix."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in POINT_FILES]
    return {path.stem: path for path in sorted(files) if path.name != _NOT_POINTS}


def _timed(folder: Path, fps: float | None) -> list[tuple[float, Path]]:
    """Images in order, with their times: those in the names, or those of a rate."""
    timed = timed_files(folder, fps=1.0)
    names = [_TIMED.search(path.stem) for _, path in timed]
    times = [float(name[1]) for name in names if name]
    if len(times) == len(timed) and times == sorted(times):
        return list(zip(times, (path for _, path in timed), strict=True))
    return timed_files(folder, fps=fps)


def _bytes(path: Path) -> bytes:
    check_bytes(path, path.stat().st_size, DEFAULTS)
    return path.read_bytes()


def _size(image: bytes, file: Path) -> tuple[int, int]:
    """Width and height of an encoded image, zeros if it cannot be decoded."""
    picture = decoded(image, file)
    return (0, 0) if picture is None else (picture.shape[1], picture.shape[0])


def _per_image(folder: Path, images: Sequence[Path]) -> Array:
    files = point_files(folder)
    points = np.full((len(images), len(TO_68), 2), np.nan)
    for row, image in enumerate(images):
        if image.stem in files:
            (points[row],) = _shaped(_numbers(files[image.stem]), 1, files[image.stem])
    if np.isnan(points).all():
        raise ClipError(
            f"No file of points in {folder} has the name of an image, such as "
            f"{images[0].stem}.npy. Rename them.",
            status="missing",
        )
    return points


def _per_clip(path: Path, images: int) -> Array:
    return _shaped(_numbers(path), images, path)


def _shaped(numbers: Array, images: int, path: Path) -> Array:
    """Bring points of some images, however they are laid out, to (images, 68, 2)."""
    if images == 1 or len(numbers) == images:
        flat = numbers.reshape(images, -1)
        for points in (len(TO_68), 478):
            for width in (2, 3):  # a third column is depth, or a score
                if flat.shape[1] == points * width:
                    places = flat.reshape(images, points, width)[..., :2]
                    return places[:, TO_68] if points == 478 else places
    raise ClipError(
        f"{path} holds numbers of the shape {numbers.shape}; {images} image"
        f"{'s' if images > 1 else ''} need 68 or 478 points of x and y each.",
        status="undecodable",
    )


def _numbers(path: Path) -> Array:
    """Read an array or a text of numbers; in a table, columns x_0, y_0, x_1 ... if it has them."""
    try:
        if path.suffix.lower() == ".npy":
            return _array(path)
        lines = [re.split(r"[,;\s]+", line.strip()) for line in path.read_text().splitlines()]
        if lines and "x_0" in lines[0]:
            names = [f"{axis}_{point}" for point in range(len(TO_68)) for axis in "xy"]
            table = open_sheet(path).read((), dict.fromkeys(names, np.float64))
            return np.asarray(table[names].to_numpy(dtype=np.float64))
        return np.array([list(map(float, line)) for line in lines if _is_row(line)])
    except (ValueError, OSError, IndexError, KeyError, EOFError, DataError) as error:
        raise ClipError(
            f"{path} is not readable as points: {error}", status="undecodable"
        ) from None


def _array(path: Path) -> Array:
    """Read an array through a map of its file: a header may declare more than there is."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False), dtype=np.float64)
    except (SyntaxError, TokenError) as error:  # of the header, which NumPy reads as Python
        raise ValueError(f"its header is damaged ({error})") from None


def _is_row(words: Sequence[str]) -> bool:
    """Tell numbers from headers and the braces of .pts files."""
    return all(re.fullmatch(r"[-+.\deE]+|nan", word) for word in words)
