"""OpenFace 2 tables -> the rows of one clip as signals, whatever the layout of the table.

Old and new layouts; one clip per file, or many in a long table with ``ID`` or ``File``. Only the
columns of the schema are read, so points and shape parameters may be there or not. A row without
success, with confidence below 0.8, or without numbers, is missing. Times are those of the frame
numbers, from 1 or from 0, at the rate of OpenFace's timestamps; where these rise unevenly, as a
webcam's do, they are the times. Timestamps that contradict a possible rate are not believed.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError, DataError
from traitscope.media import probe
from traitscope.media.suffixes import VIDEO
from traitscope.sheets import SUFFIXES as TABLES
from traitscope.sheets import open_sheet
from traitscope.types import Clip

if TYPE_CHECKING:
    import pandas as pd

VERSION = 2

MIN_CONFIDENCE = 0.8
USUAL_FPS = 30.0
"""Where neither timestamps, nor the clip, nor a video beside the table says the rate."""

_USUAL_RATES = (12.5, 15.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0)
_CREDIBLE_FPS = (4.0, 250.0)
_SAME_FPS = 0.1
"""Timestamps that differ from the known rate by a larger share are not credible."""

_EVEN_SECONDS = 0.003
"""Timestamps this near to a constant rate are those of a constant rate, rounded."""
_OFFSET_SECONDS = 1.0
"""A first timestamp this far from its frame number counts from something else than the start."""
_GAP = 5.0
"""A step of the timestamps that is so many usual ones is a pause."""
_ODD_SHARE = 0.05
"""Of timestamps that do not rise: if these are few, the others tell the rate."""
_OLD_NAMES = {"gaze_2_z": "gaze_1_z"}
"""A slip in the header of early versions."""

_GAZE = tuple(f"gaze_{eye}_{axis}" for eye in "01" for axis in "xyz")
_EXTENT = ("x_0", "x_16", "y_8", "y_27")
"""Ends of the jaw, chin and bridge of the nose: enough for the size and place of a face."""

_OTHERS = (
    "frame",
    "timestamp",
    "success",
    "confidence",
    "face_id",
    "pose_Tx",
    "pose_Ty",
    "pose_Tz",
)
_NAMES = ("ID", "File")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What a table says of one clip.

    Attributes:
        time: (rows,) seconds from the start of the file, rising, one per frame and face.
        frame: (rows,) number of the frame in the file, from 0.
        face: (rows,) id of the face, 0 where the table has one face only.
        values: column -> (rows,); NaN where the row is missing, or the table has no such column.
        valid: (rows,) False where OpenFace had no face, or doubted it.
        confidence: (rows,) OpenFace's own, 1 where the table has none.
        area: (rows,) size of the face, in any unit.
        distance: (rows,) distance of the face from the middle, in any unit.
        fps: frames per second.
        timing: what says so.
        notes: what was noticed of the file.
    """

    time: Array
    frame: NDArray[np.int64]
    face: NDArray[np.int64]
    values: dict[str, Array]
    valid: NDArray[np.bool_]
    confidence: Array
    area: Array
    distance: Array
    fps: float
    timing: str
    notes: tuple[str, ...] = ()


def table_of(clip: Clip) -> Path | None:
    """Find the table of a clip: its own path, or one beside its video; None without one."""
    if clip.path is None:
        return None
    if clip.path.suffix.lower() in TABLES:
        return clip.path if clip.path.is_file() else None
    beside = (
        path
        for suffix in TABLES
        for path in (clip.path.with_suffix(suffix), clip.path.with_name(clip.path.name + suffix))
    )
    return next((path for path in beside if path.is_file()), None)


def read_rows(clip: Clip, columns: tuple[str, ...]) -> Rows:
    """Read the rows of a clip.

    Args:
        clip: whose path is a table, or has one beside it.
        columns: of the schema, such as ``AU12_r``.

    Raises:
        ClipError: there is no table, it is no OpenFace table, or it has no rows of the clip.
    """
    path = table_of(clip)
    if path is None:
        raise ClipError(
            f"There is no OpenFace table for clip {clip.id!r}, neither {clip.path} nor beside it. "
            f"Run OpenFace first, or take another backend.",
            status="missing",
        )
    # A long table is read once for all of its clips, and again when it has changed.
    stat = path.stat()
    table, groups, notes = _read(path, columns, (stat.st_size, stat.st_mtime_ns))
    # Clip ids may be file names with or without their suffix.
    places = groups.get("") if "" in groups else groups.get(clip.id, groups.get(Path(clip.id).stem))
    if places is None:
        raise ClipError(
            f"{path} has no rows of clip {clip.id!r}. Check its columns ID and File.",
            status="missing",
        )
    found = {name: table[name].to_numpy(np.float64)[places] for name in table.columns}
    rows = _settle(found, clip, path, columns, long="" not in groups)
    mended = {"assumed": "assumed-rate", "numbered anew": "times"}
    timing = [f"{kind}: {rows.timing}" for sign, kind in mended.items() if sign in rows.timing]
    return replace(rows, notes=(*(f"table: {note}" for note in notes), *timing))


def choose(
    rows: Rows, policy: str, interval: tuple[float, float], clip_id: str
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Row numbers of the chosen face within an interval in seconds, and which of them are there.

    Frames in which only others are seen are missing rows.

    Raises:
        ClipError: no row lies there, or OpenFace found no face in any.
    """
    inside = (rows.time >= interval[0] - 1e-9) & (rows.time < interval[1] - 1e-9)
    if not inside.any():
        raise ClipError(
            f"The table of clip {clip_id!r} has no row from {interval[0]:g} s to "
            f"{interval[1]:g} s. Correct start and end.",
            status="empty",
        )
    seen = inside & rows.valid
    if not seen.any():
        raise ClipError(
            f"OpenFace found no face in clip {clip_id!r}. Check the video, or try another backend.",
            status="no_face",
        )
    if policy == "all":
        return np.flatnonzero(inside), rows.valid[inside]
    faces = np.unique(rows.face[seen])

    def merit(face: int) -> float:
        own = seen & (rows.face == face)
        if policy == "central":
            return -float(rows.distance[own].mean())
        return float(own.sum() if policy == "longest" else rows.area[own].sum())

    best = max(faces, key=merit)
    own = np.flatnonzero(inside & (rows.face == best))
    # The person may be away while somebody else is seen: such frames stay, as missing.
    others = np.flatnonzero(inside & ~np.isin(rows.frame, rows.frame[own]))
    others = others[np.unique(rows.frame[others], return_index=True)[1]]
    places = np.sort(np.concatenate([own, others]))
    return places, rows.valid[places] & (rows.face[places] == best)


@lru_cache(maxsize=1)
def _read(
    path: Path, columns: tuple[str, ...], _state: tuple[int, int]
) -> tuple["pd.DataFrame", dict[str, NDArray[np.intp]], tuple[str, ...]]:
    """The wanted columns as float32, the row numbers of each clip ("" for all), and notes."""
    from traitscope.corpora.openface import clip_names

    wanted = {*columns, *_GAZE, *_EXTENT, *_OTHERS}
    try:
        sheet = open_sheet(path, fold=_OTHERS)
        kept = [name for name in sheet.columns if name in wanted]
        old = [n for n, new in _OLD_NAMES.items() if n in sheet.columns and new not in kept]
        names = [name for name in sheet.columns if name.lower() in {n.lower() for n in _NAMES}]
        # Half the memory: OpenFace writes two to six digits.
        types: dict[str, Any] = dict.fromkeys([*kept, *old], np.float32)
        types |= {name: np.float64 for name in kept if name in ("timestamp", "frame")}
        table = sheet.read(names, types).rename(columns={n: _OLD_NAMES[n] for n in old})
    except DataError as error:
        raise ClipError(
            f"{path} is not readable as an OpenFace table: {error}", status="undecodable"
        ) from error
    if not any(name in columns for name in kept):
        raise ClipError(
            f"{path} has none of OpenFace's columns (AU01_r, pose_Rx ...). Is it another table?",
            status="undecodable",
        )
    groups = {"": np.arange(len(table))}
    if names:
        clips = clip_names(table[names])
        groups = {str(name): np.sort(rows) for name, rows in clips.groupby(clips).indices.items()}
    return table.drop(columns=names), groups, sheet.notes


def _settle(
    found: dict[str, Array], clip: Clip, path: Path, columns: tuple[str, ...], *, long: bool
) -> Rows:
    rows = len(next(iter(found.values())))
    if not rows:
        raise ClipError(f"{path} has no rows of clip {clip.id!r}.", status="empty")
    # Where frame numbers are no numbers, the order of rows is all there is.
    counted = np.arange(1, rows + 1, dtype=np.float64)
    numbers: Array = found.get("frame", counted)
    face = np.nan_to_num(found.get("face_id", np.zeros(rows))).astype(np.int64)
    if not np.isfinite(numbers).all():
        numbers = counted
    again = _start_again(numbers, face)
    if again and not long:
        raise ClipError(
            f"{path} holds more than one recording: its frames start again in row {again + 2}. "
            f"Write one file for each, or add a column File that says which row is of which.",
            status="undecodable",
        )
    numbers = counted if again else numbers
    # frames are counted from 1, or from 0; a clip of a long table may be cut out of a video
    first = numbers.min() if long else min(1.0, numbers.min())
    # OpenFace writes several faces in the order in which it found them.
    order = np.lexsort((face, numbers))
    frame = np.maximum(numbers[order] - first, 0).astype(np.int64)
    time, fps, timing = _times(
        found.get("timestamp"), np.maximum(numbers - first, 0), clip, path, long=long
    )
    timing += "; the frames start again and were numbered anew" if again else ""
    valid = found.get("success", np.ones(rows)) > 0
    # A row without a confidence is not unsure, it is of a layout that has none.
    valid &= ~(found.get("confidence", np.ones(rows)) < MIN_CONFIDENCE)
    values = {name: found[name] for name in columns if name in found}
    values |= _gaze_angles(found) if "gaze_angle_x" not in found else {}
    valid &= _has_numbers(values, rows)
    area, distance = _extent(found, rows)
    return Rows(
        time=time[order],
        frame=frame,
        face=face[order],
        values={name: np.where(valid, column, np.nan)[order] for name, column in values.items()},
        valid=valid[order],
        confidence=found.get("confidence", np.ones(rows))[order],
        area=area[order],
        distance=distance[order],
        fps=fps,
        timing=timing,
    )


def _gaze_angles(found: dict[str, Array]) -> dict[str, Array]:
    """Old layouts have a gaze vector per eye only: the angles are those of their mean."""
    if not all(name in found for name in _GAZE):
        return {}
    x, y, z = ((found[f"gaze_0_{axis}"] + found[f"gaze_1_{axis}"]) / 2 for axis in "xyz")
    return {"gaze_angle_x": np.arctan2(x, -z), "gaze_angle_y": np.arctan2(y, -z)}


def _start_again(numbers: Array, face: NDArray[np.int64]) -> int:
    """The row in which frame numbers start again, from 0; 0 where they do not.

    Rows that are sorted by face count several times, but no face twice.
    """
    pairs = np.stack([numbers, face], axis=1)
    if len(np.unique(pairs, axis=0)) == len(pairs):
        return 0
    down = np.flatnonzero(np.diff(numbers) <= 0)
    return int(down[0]) + 1 if len(down) else 1


def _has_numbers(values: dict[str, Array], rows: int) -> NDArray[np.bool_]:
    """True where at least one column has a number."""
    found = np.zeros(rows, dtype=bool)
    for column in values.values():
        found |= np.isfinite(column)
    return found


def _times(
    stamps: Array | None, frames: Array, clip: Clip, path: Path, *, long: bool
) -> tuple[Array, float, str]:
    """Seconds of each row from frame 0, frames per second, and what says so."""
    known = clip.fps or _fps_beside(path)
    known = known if clip.fps or (known is not None and _is_possible(known)) else None
    rate, rises = _rate(stamps, frames)
    if stamps is None or not _agree(rate, known):
        usual = known or USUAL_FPS
        what = "frames per second of the clip" if known else f"{usual:g} frames per second assumed"
        return frames / usual, usual, f"{what}; the timestamps are not credible"
    first = int(np.argmin(frames))
    ahead = stamps[first] - frames[first] / rate
    if long or abs(ahead) > _OFFSET_SECONDS:  # counted from something else than the start
        stamps = stamps - ahead
    fps = _usual(rate, stamps)
    offsets = stamps - frames / fps
    if not rises or np.abs(offsets - offsets[first]).max() <= _EVEN_SECONDS:
        return frames / fps, fps, "timestamps"
    return np.maximum(stamps, 0.0), fps, "timestamps, which are uneven"


def _agree(rate: float, known: float | None) -> bool:
    """Tell whether the rate of the timestamps may be true beside what else is known."""
    if not _is_possible(rate):
        return False
    return known is None or not _is_possible(known) or abs(rate / known - 1) <= _SAME_FPS


def _is_possible(fps: float) -> bool:
    return _CREDIBLE_FPS[0] <= fps <= _CREDIBLE_FPS[1]


def _rate(stamps: Array | None, frames: Array) -> tuple[float, bool]:
    """Frames per second by the timestamps, 0 if they are no times; and whether they all rise."""
    if stamps is None or not np.isfinite(stamps).all():
        return 0.0, False
    numbers, places = np.unique(frames, return_index=True)
    if len(numbers) < 2:
        return 0.0, False
    steps = np.diff(stamps[places]) / np.diff(numbers)
    usual = float(np.median(steps))
    if usual <= 0:
        return 0.0, False
    if (steps > 0).all():
        gaps = steps > _GAP * usual  # a pause is no slower rate
        return 1 / float(np.average(steps[~gaps], weights=np.diff(numbers)[~gaps])), True
    even = np.abs(steps - usual) <= 0.5 * usual
    return (1 / float(steps[even].mean()) if np.mean(~even) <= _ODD_SHARE else 0.0), False


def _usual(rate: float, stamps: Array) -> float:
    """A usual rate that is as near as the timestamps are exact, else the rate itself."""
    nearest = min(_USUAL_RATES, key=lambda usual: abs(usual - rate))
    rounding = 0.0015 / float(np.ptp(stamps))  # timestamps are written with three decimals
    return nearest if abs(nearest / rate - 1) <= rounding else round(rate, 4)


def _fps_beside(path: Path) -> float | None:
    video = next((v for s in VIDEO if (v := path.with_suffix(s)).is_file()), None)
    if video is None and path.with_suffix("").is_file():
        video = path.with_suffix("")
    try:
        return probe(video).fps if video is not None else None
    except ClipError:
        return None


def _extent(found: dict[str, Array], rows: int) -> tuple[Array, Array]:
    """Size and distance from the middle of the faces, by their points or their place in space."""
    if all(name in found for name in ("pose_Tx", "pose_Ty", "pose_Tz")):
        depth = np.maximum(np.abs(found["pose_Tz"]), 1.0)
        distance = np.hypot(found["pose_Tx"], found["pose_Ty"]) / depth
        area = 1.0 / depth**2
    else:
        distance, area = np.zeros(rows), np.ones(rows)
    if all(name in found for name in _EXTENT):
        width, height = found["x_16"] - found["x_0"], found["y_8"] - found["y_27"]
        area = np.abs(width * height)
    return np.nan_to_num(area), np.nan_to_num(distance)
