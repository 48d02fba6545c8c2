"""A contact sheet of stored features: faces with landmarks, and signals and sound over time."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ConfigError, DataError
from traitscope.features.exports import clips_of, names_of
from traitscope.features.store import OK, Store
from traitscope.media.pictures import decoded
from traitscope.plotting import save
from traitscope.types import Stream

_ACROSS = 10
"""Pictures per clip."""

_LINES = (
    (("AU12_r", "AU25_r", "AU45_r"), "action units, 0-5", ("smile", "lips apart", "blink")),
    (("pose_Rx", "pose_Ry", "pose_Rz"), "head, degrees", ("pitch", "yaw", "roll")),
)
_LINE = 150
"""Letters of the notes in one line of a sheet."""

_PICTURES = 1.5
"""Height of the row of pictures, in rows of lines."""
_ROW_INCHES, _HEAD_INCHES = 0.85, 0.5
"""Height of a row of lines, and of the title and the axis of a clip."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73")


def draw_sheet(store: Store, path: Path, *, clips: Sequence[str] = (), count: int = 4) -> list[str]:
    """Draw clips below each other and write a PNG; return their ids.

    Args:
        store: with any of faces or frames, landmarks, signals and short_term.
        path: of the PNG.
        clips: which; the first few that have pictures, or else anything, by default.
        count: how many, when none are given.

    Raises:
        DataError: there is nothing to show.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise ConfigError(f"A sheet is a PNG, and {path} is not named so. End it in .png.")
    keys = _keys(store)
    wanted = ("faces", "frames", "signals", "short_term")  # pictures first, sound alone last
    pictured = next((keys[name] for name in wanted if name in keys), None)
    if pictured is None:
        raise DataError(f"There are no {', '.join(wanted)} in {store.folder} to show.")
    chosen = list(clips) or clips_of(store, pictured)[:count]
    if not chosen:
        raise DataError(f"No clip in {store.folder} has {pictured}. See its status.csv.")
    shown = [_streams(store, keys, clip) for clip in chosen]
    # A clip is as high as what it has: without pictures there is no band to keep free for them.
    heights = [_HEAD_INCHES + _ROW_INCHES * sum(_bands(streams)) for streams, _, _ in shown]
    figure = Figure(figsize=(14, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(chosen), 1, squeeze=False, height_ratios=heights).ravel()
    for part, clip, drawn in zip(parts, chosen, shown, strict=True):
        _draw_clip(part, clip, *drawn)
    save(figure, path, dpi=110)
    return chosen


def _keys(store: Store) -> dict[str, str]:
    """Name -> the key with most clips."""
    fullest: dict[str, tuple[int, str]] = {}
    for key, name in names_of(store).items():
        number = sum(row.status == OK for row in store.statuses(key).values())
        fullest[name] = max(fullest.get(name, (-1, "")), (number, key))
    return {name: key for name, (_, key) in fullest.items()}


def _streams(
    store: Store, keys: dict[str, str], clip: str
) -> tuple[dict[str, Stream], dict[str, str], list[str]]:
    """What there is of a clip, why the rest is not there, and what was noticed."""
    wanted = ("faces", "frames", "landmarks", "signals", "short_term")
    rows = {name: store.statuses(keys[name]).get(clip) for name in wanted if name in keys}
    usable = [name for name, row in rows.items() if row is not None and row.status == OK]
    lacking = {n: row.status for n, row in rows.items() if row is not None and row.status != OK}
    notes = dict.fromkeys(note for row in rows.values() if row is not None for note in row.noted)
    return {name: store.read(keys[name], clip) for name in usable}, lacking, list(notes)


def _bands(streams: dict[str, Stream]) -> list[float]:
    """Heights of a clip's rows, in lines: pictures, groups of signals, sound."""
    pictures = streams.get("faces") or streams.get("frames")
    lines = len(_LINES) * ("signals" in streams) + ("short_term" in streams)
    return [_PICTURES] * bool(pictures and pictures.images) + [1.0] * lines


def _draw_clip(
    part: Any,
    clip: str,
    streams: dict[str, Stream],
    lacking: dict[str, str],
    notes: Sequence[str],
) -> None:
    pictures = streams.get("faces") or streams.get("frames")
    signals, sound = streams.get("signals"), streams.get("short_term")
    facts = [
        f"{name}: {_facts(stream)}" for name, stream in streams.items() if name != "short_term"
    ]
    facts += [f"{name}: {status}" for name, status in lacking.items()]
    title = "    ".join([clip, *(facts or ["nothing stored"])])
    said = wrap("   ".join(notes), _LINE, max_lines=3, placeholder=" ... (all: status.csv)")
    title = "\n".join([title, *said])
    part.suptitle(title, fontsize=9, x=0.01, ha="left", parse_math=False)
    drawn = [lines for lines in _LINES if signals is not None]
    bands = _bands(streams)
    if not bands:
        return  # the title says why nothing is there
    top = bands.count(_PICTURES)
    grid = part.add_gridspec(len(bands), _ACROSS, height_ratios=bands)
    if pictures is not None and top:
        marks = streams.get("landmarks") if pictures is streams.get("faces") else None
        _draw_pictures(part, grid, pictures, marks)
    ends = [float(s.time[-1]) for s in streams.values() if len(s.time)]
    end = max(ends, default=0.0) or 1.0  # a clip of one row has no length of its own
    for row, (columns, label, names) in enumerate(drawn, top):
        assert signals is not None
        _draw_lines(part.add_subplot(grid[row, :]), signals, columns, label, names, end)
    if sound is not None:
        _draw_sound(part.add_subplot(grid[top + len(drawn), :]), sound, end)


def _draw_pictures(part: Any, grid: Any, stream: Stream, marks: Stream | None) -> None:
    assert stream.images is not None
    rows = np.unique(np.linspace(0, len(stream.time) - 1, _ACROSS).astype(int))
    for place, row in enumerate(rows.tolist()):
        axis = part.add_subplot(grid[0, place])
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"{stream.time[row]:.2f} s", fontsize=7)
        image = stream.images[row]
        if not image:
            axis.set_facecolor("0.9")
            axis.text(0.5, 0.5, "no face", ha="center", va="center", transform=axis.transAxes)
            axis.set_aspect("equal", adjustable="box")
            continue
        picture = decoded(image, Path(f"a stored picture of {stream.time[row]:.2f} s"))
        if picture is None:
            axis.text(0.5, 0.5, "damaged", ha="center", va="center", transform=axis.transAxes)
            continue
        axis.imshow(picture)
        points = _points(marks, stream, row)
        if points is not None:
            height, width = picture.shape[:2]
            x, y = points[:, 0] * width, points[:, 1] * height
            axis.scatter(x, y, s=1.2, c="#00e5ff", lw=0)
            axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))  # a chin may be outside


def _points(marks: Stream | None, pictures: Stream, row: int) -> NDArray[np.float64] | None:
    """Landmarks of the face in a picture, where they are of the chip."""
    if marks is None or "chip" not in str(marks.info.get("units")):
        return None
    time = pictures.time[row]
    place = row - int(np.searchsorted(pictures.time, time))  # of several faces at a time
    same = np.flatnonzero(np.abs(marks.time - time) < 1e-3)[place : place + 1]
    return np.asarray(marks.values)[same[0]] if len(same) and marks.mask[same[0]] else None


def _draw_lines(
    axis: Any, stream: Stream, columns: Sequence[str], label: str, names: Sequence[str], end: float
) -> None:
    values = np.asarray(stream.values)
    scale = np.degrees(1) if "degrees" in label else 1.0
    for column, name, colour in zip(columns, names, _COLOURS, strict=True):
        if column in stream.columns:
            series = values[:, stream.columns.index(column)] * scale
            shown = f"{name} ({column})" if np.isfinite(series).any() else f"{name}: not measured"
            for mine in _people(stream):  # dots: a row between two missing ones has no line
                axis.plot(
                    stream.time[mine],
                    series[mine],
                    label=shown,
                    lw=1,
                    color=colour,
                    marker=".",
                    ms=2,
                )
                shown = "_"  # later lines are not named again
    following = np.append(stream.time[1:], end)
    for row in np.flatnonzero(~stream.mask):
        axis.axvspan(stream.time[row], following[row], color="0.85", lw=0)
    _finish(axis, label, end)


def _people(stream: Stream) -> list[NDArray[np.bool_]]:
    """Rows of each person, where there are several at a time; missing rows are everybody's."""
    if np.all(np.diff(stream.time) > 0) or "face_id" not in stream.columns:
        return [np.ones(len(stream.time), dtype=bool)]
    ids = np.asarray(stream.values)[:, stream.columns.index("face_id")]
    return [(ids == one) | np.isnan(ids) for one in np.unique(ids[stream.mask])]


def _draw_sound(axis: Any, stream: Stream, end: float) -> None:
    if "energy" not in stream.columns:  # only some of the 34 were extracted, or others imported
        name = stream.columns[0] if stream.columns else "first column"
        axis.plot(
            stream.time,
            np.asarray(stream.values)[:, 0],
            label=f"{name} (no energy)",
            lw=1,
            color="#999999",
        )
        _finish(axis, "sound", end)
        axis.set_xlabel("seconds", fontsize=8)
        return
    energy = np.asarray(stream.values)[:, stream.columns.index("energy")]
    decibels = 10 * np.log10(np.maximum(energy, 1e-10))
    axis.fill_between(stream.time, decibels, -60, color="#999999", label="loudness", lw=0)
    axis.set_ylim(-60, 0)
    _finish(axis, "sound, dB", end)
    axis.set_xlabel("seconds", fontsize=8)


def _finish(axis: Any, label: str, end: float) -> None:
    axis.set_xlim(0, end)
    axis.set_ylabel(label, fontsize=7)
    axis.tick_params(labelsize=7)
    if axis.get_legend_handles_labels()[0]:  # a stream from outside may have no such column
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 0.95), "borderpad": 0}
        axis.legend(**place, fontsize=6, ncols=3, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def _facts(stream: Stream) -> str:
    backend = stream.info.get("backend")
    covered = f"{len(stream.time)} rows, coverage {stream.coverage:.0%}"
    return f"{backend}, {covered}" if backend else covered
