"""A folder of images (with fps, perhaps a WAV) is a clip too: path -> times and pictures."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media.info import MediaInfo
from traitscope.media.limits import DEFAULTS, Limits, check_bytes
from traitscope.media.pictures import decoded

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_RATE_BYTES = 100
# Tools that draw landmarks call their pictures face_landmark_7, face-marks or 7_lmks.
_LANDMARKS = re.compile(r"[_-]?(?:land)?marks?(?=[_-]|$)|[_-]?lmks?(?=[_-]|$)")


def probe(folder: Path, *, fps: float | None, limits: Limits = DEFAULTS) -> MediaInfo:
    """Read the facts of a folder of images.

    Raises:
        ClipError: it holds no images, or nothing says how many are shown per second.
    """
    files, rate = _files(folder), _fps(folder, fps)
    # The first stands for all: a look at a folder must not read thousands of pictures.
    height, width = load(files[0], limits).shape[:2]
    wav = sound_file(folder)
    return MediaInfo(
        duration_seconds=duration_seconds(folder, fps=fps),
        fps=rate,
        width=width,
        height=height,
        has_video=True,
        has_audio=wav is not None,
        sample_rate_hz=None,
        channels=None,
        rotation_degrees=0,
        codec=files[0].suffix.lower().lstrip("."),
    )


def duration_seconds(folder: Path, *, fps: float | None) -> float:
    """Tell how long a folder of images lasts, without looking into one.

    Raises:
        ClipError: it holds no images, or nothing says how many are shown per second.
    """
    return len(_files(folder)) / _fps(folder, fps)


def timed_files(folder: Path, *, fps: float | None) -> list[tuple[float, Path]]:
    """List the images of a folder in natural order with their times in seconds.

    Raises:
        ClipError: it holds no images, or nothing says how many are shown per second.
    """
    rate = _fps(folder, fps)
    return [(number / rate, file) for number, file in enumerate(_files(folder))]


def load(file: Path, limits: Limits = DEFAULTS) -> NDArray[np.uint8]:
    """Read one image as (height, width, 3) RGB, turned as its EXIF tag asks.

    Raises:
        ClipError: it is no image, cannot be read, or is beyond a limit.
    """
    try:
        check_bytes(file, file.stat().st_size, limits)
        data = file.read_bytes()
    except OSError as error:
        raise ClipError(
            f"{file} cannot be read: {error.strerror}. Replace or remove it.", status="unreadable"
        ) from error
    image = decoded(data, file, limits)
    if image is None:
        raise ClipError(
            f"{file} is not a readable image. Replace or remove it.", status="undecodable"
        )
    return image


def sound_file(folder: Path) -> Path | None:
    """Find the WAV inside a folder of images or beside it, or None."""
    inside = sorted(f for f in folder.iterdir() if f.suffix.lower() == ".wav")
    beside = folder.with_name(f"{folder.name}.wav")
    return inside[0] if inside else (beside if beside.is_file() else None)


def _files(folder: Path) -> list[Path]:
    files = images_in(folder)
    # Drawn landmarks are no frames, or each moment would be there twice.
    drawn = drawings(files)
    files = [file for file in files if file not in drawn]
    if not files:
        raise ClipError(
            f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}). Give a media file or a "
            f"folder of images.",
            status="no_video",
        )
    return sorted(files, key=lambda f: _natural(f.name))


def images_in(folder: Path) -> list[Path]:
    """All images of a folder, in no order."""
    # Hidden ones are no frames: macOS leaves ._NAME beside each file on other disks.
    return [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.name[0] != "."]


def drawings(files: Iterable[Path]) -> set[Path]:
    """Find the pictures of landmarks that lie beside the pictures they were found in.

    ``face_landmark_7.jpg`` is one beside ``face_7.jpg``, and a picture by itself without it.
    """
    return set(drawing_of(files).values())


def drawing_of(files: Iterable[Path]) -> dict[Path, Path]:
    """Picture -> the picture of the landmarks in it, as far as there are some."""
    by_stem = {file.stem.lower(): file for file in files}
    bare = {stem: _LANDMARKS.sub("", stem).strip("_- ") for stem in by_stem}
    drawn = {of: stem for stem, of in bare.items() if of != stem and of in by_stem}
    return {by_stem[of]: by_stem[stem] for of, stem in drawn.items()}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", name)
    # Pairs, because numbers and words cannot be compared; and digits of other scripts, which
    # int() would read as well, are words here.
    return [(int(p), "") if p.isdecimal() and p.isascii() else (-1, p.lower()) for p in parts]


def _written(note: Path) -> str:
    with note.open("rb") as file:
        # A number is short, and the file may be anything.
        return file.read(_RATE_BYTES).decode("utf-8", errors="replace").strip()


def _fps(folder: Path, fps: float | None) -> float:
    note = folder / "fps.txt"
    # What the table says of a clip goes before the note in its folder.
    text = _written(note) if fps is None and note.is_file() else fps
    try:
        rate = float(text) if text is not None else 0.0
    except ValueError:
        # Refused below, with the text that stood there.
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ClipError(
            f"Nothing says how many images of {folder} are shown per second (found: {text!r}). "
            f"Set fps for the clip (a column 'fps' in the table) or write the number into {note}.",
            status="missing_fps",
        )
    return rate
