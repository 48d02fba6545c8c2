"""OpenFace 2 tables -> the rows of one clip as signals, whatever the layout of the table.

Separators ``,`` and ``, ``; old and new layouts; one clip per file, or many in a long table with
``ID`` or ``File``. Only the columns of the schema are read, so points and shape parameters may be
there or not. A row without success, or with confidence below 0.8, is missing. Times are those of
the frame numbers, which start at 1; OpenFace's timestamps only decide the rate, if they are
credible.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media import probe
from traitscope.media.suffixes import VIDEO
from traitscope.types import Clip

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1

MIN_CONFIDENCE = 0.8
USUAL_FPS = 30.0
"""Where neither timestamps, nor the clip, nor a video beside the table says the rate."""

_USUAL_RATES = (12.5, 15.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0)
_CREDIBLE_FPS = (4.0, 250.0)
_SAME_FPS = 0.1
"""Timestamps that differ from the known rate by a larger share are not credible."""

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


def table_of(clip: Clip) -> Path | None:
    """Find the table of a clip: its own path, or the CSV beside its video; None without one."""
    if clip.path is None:
        return None
    if clip.path.suffix.lower() == ".csv":
        return clip.path if clip.path.is_file() else None
    beside = (clip.path.with_suffix(".csv"), clip.path.with_name(f"{clip.path.name}.csv"))
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
    stat = path.stat()
    table, groups = _read(path, columns, (stat.st_size, stat.st_mtime_ns))
    places = groups.get("") if "" in groups else groups.get(clip.id, groups.get(Path(clip.id).stem))
    if places is None:
        raise ClipError(
            f"{path} has no rows of clip {clip.id!r}. Check its columns ID and File.",
            status="missing",
        )
    found = {name: table[name].to_numpy(np.float64)[places] for name in table.columns}
    return _settle(found, clip, path, columns, long="" not in groups)


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
    others = np.flatnonzero(inside & ~np.isin(rows.frame, rows.frame[own]))
    others = others[np.unique(rows.frame[others], return_index=True)[1]]
    places = np.sort(np.concatenate([own, others]))
    return places, rows.valid[places] & (rows.face[places] == best)


@lru_cache(maxsize=1)
def _read(
    path: Path, columns: tuple[str, ...], _state: tuple[int, int]
) -> tuple["pd.DataFrame", dict[str, NDArray[np.intp]]]:
    """The wanted columns of a table as float32, and the row numbers of each clip ("" for all)."""
    import pandas as pd  # here: only clips with tables need it, and it takes a while

    from traitscope.corpora.openface import clip_names

    wanted = {*columns, *_GAZE, *_EXTENT, *_OTHERS}
    names: list[str] = []
    try:
        header = pd.read_csv(path, nrows=0, skipinitialspace=True).columns
        kept = [name for name in header if name.strip() in wanted]
        names = [name for name in header if name.strip().lower() in {n.lower() for n in _NAMES}]
        types: Any = dict.fromkeys(kept, np.float32) | dict.fromkeys(names, str)
        types |= {name: np.float64 for name in kept if name.strip() == "timestamp"}
        table = pd.read_csv(path, usecols=[*kept, *names], dtype=types, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise ClipError(
            f"{path} is not readable as an OpenFace table ({error}). Write it again.",
            status="undecodable",
        ) from error
    if not any(name.strip() in columns for name in kept):
        raise ClipError(
            f"{path} has none of OpenFace's columns (AU01_r, pose_Rx ...). Is it another table?",
            status="undecodable",
        )
    groups = {"": np.arange(len(table))}
    if names:
        clips = clip_names(table[names])
        groups = {str(name): np.sort(rows) for name, rows in clips.groupby(clips).indices.items()}
    return table.drop(columns=names).rename(columns=str.strip), groups


def _settle(
    found: dict[str, Array], clip: Clip, path: Path, columns: tuple[str, ...], *, long: bool
) -> Rows:
    rows = len(next(iter(found.values())))
    if not rows:
        raise ClipError(f"{path} has no rows of clip {clip.id!r}.", status="empty")
    counted = np.arange(1, rows + 1, dtype=np.float64)
    numbers: Array = found.get("frame", counted)
    face = found.get("face_id", np.zeros(rows)).astype(np.int64)
    again = "face_id" not in found and (np.diff(numbers) <= 0).any()
    if again or not np.isfinite(numbers).all():  # numbers that start again, repeat or lack
        numbers = counted
    first = numbers.min() if long else 1.0  # a clip of a long table may be cut out of a video
    order = np.lexsort((face, numbers))
    frame = np.maximum(numbers[order] - first, 0).astype(np.int64)
    fps, timing = _fps(found.get("timestamp"), numbers, clip, path)
    valid = found.get("success", np.ones(rows)) > 0
    valid &= ~(found.get("confidence", np.ones(rows)) < MIN_CONFIDENCE)
    values = {name: found[name] for name in columns if name in found}
    values |= _gaze_angles(found) if "gaze_angle_x" not in found else {}
    area, distance = _extent(found, rows)
    return Rows(
        time=frame / fps,
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


def _fps(timestamps: Array | None, numbers: Array, clip: Clip, path: Path) -> tuple[float, str]:
    """Frames per second, and what says so: timestamps that agree with what else is known."""
    known = clip.fps or _fps_beside(path)
    implied = _implied(timestamps, numbers)
    credible = implied is not None and _CREDIBLE_FPS[0] <= implied <= _CREDIBLE_FPS[1]
    agreeing = implied is not None and (known is None or abs(implied / known - 1) <= _SAME_FPS)
    if implied is not None and credible and agreeing:
        return implied, "timestamps"
    if known is not None:
        return known, "frames per second of the clip; the timestamps are not credible"
    return USUAL_FPS, f"{USUAL_FPS:g} frames per second assumed; the timestamps are not credible"


def _implied(timestamps: Array | None, numbers: Array) -> float | None:
    """Frames per second by the timestamps; None where they do not rise evenly."""
    if timestamps is None or not np.isfinite(timestamps).all():
        return None
    frames, first = np.unique(numbers, return_index=True)
    if len(frames) < 2:
        return None
    steps = np.diff(timestamps[first]) / np.diff(frames)
    usual = float(np.median(steps))
    if usual <= 0 or np.mean(np.abs(steps - usual) > 0.5 * usual) > 0.05:
        return None
    span = float(timestamps[first][-1] - timestamps[first][0])
    fps = float(frames[-1] - frames[0]) / span
    nearest = min(_USUAL_RATES, key=lambda rate: abs(rate - fps))
    rounding = 0.0015 / span  # timestamps are written with three decimals
    return nearest if abs(nearest / fps - 1) <= rounding else round(fps, 4)


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
