"""Scores of prepared features by an exported model, with NumPy and ONNX Runtime and nothing else.

``traitscope export RUN --to model`` writes all that is needed: this script may be copied to any
machine, and translated into any language. It takes streams of numbers from a store (``traitscope
prepare``); pictures need a decoder of JPEG first, and models of text need their words counted.

    python examples/score_exported.py model store clip_1.mp4 clip_2.mp4
"""

import fnmatch
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import onnxruntime

POOLS: dict[str, Any] = {
    "mean": lambda rows, time: rows.mean(axis=0),
    "sd": lambda rows, time: rows.std(axis=0),
    "min": lambda rows, time: rows.min(axis=0),
    "max": lambda rows, time: rows.max(axis=0),
    "median": lambda rows, time: np.median(rows, axis=0),
    "q10": lambda rows, time: np.quantile(rows, 0.1, axis=0),
    "q90": lambda rows, time: np.quantile(rows, 0.9, axis=0),
    "slope": lambda rows, time: (
        (time - time.mean()) @ rows / max(((time - time.mean()) ** 2).sum(), 1e-300)
    ),
    "change": lambda rows, time: (
        np.abs(np.diff(rows, axis=0)).mean(axis=0) if len(rows) > 1 else 0 * rows[0]
    ),
}
"""Statistics over the rows of a clip: (rows, columns) and seconds (rows,) -> (columns,)."""


def stored(folder: Path, clip: str) -> Path:
    """The file of a clip; capitals and odd letters in its id are written in another way."""
    begin = quote(clip, safe="")[:100]
    for path in sorted(folder.glob(f"{begin}*.npz")):
        if json.loads(str(np.load(path)["row"]))["clip"] == clip:
            return path
    raise SystemExit(f"{folder} has no features of {clip}: traitscope prepare makes them")


def read(path: Path) -> tuple[Any, Any, Any, list[str]]:
    """Seconds (rows,), values (rows, ...), which rows are there, and names of the columns."""
    arrays = np.load(path)
    values, columns = arrays["values"], arrays["columns"].tolist()
    if "grid" in arrays:  # first time, rows per second, and their number
        first, rate, rows = arrays["grid"]
        return first + np.arange(int(rows)) / rate, values, np.ones(int(rows), bool), columns
    return arrays["time"], values, arrays["valid"], columns


def nearest(time: Any, wanted: Any) -> Any:
    """Index of the time that is nearest to each wanted one; the earlier of two."""
    return np.abs(time[None] - np.asarray(wanted)[:, None]).argmin(axis=1)


def chosen_rows(rule: str, count: int | None, time: Any, valid: Any) -> Any:
    """Which rows of a clip the model looks at, as ``inputs.json`` says under ``draw.evaluate``."""
    total = len(time)
    if rule == "all" and (count is None or total <= count):
        return np.arange(total)
    assert count is not None
    if rule in {"all", "center"}:  # the middle of a clip that is longer
        first = max(0, total - count) // 2
        return np.arange(first, first + min(count, total))
    # Evenly: the row that is there and nearest to the middle of each of as many equal parts.
    step = float(np.median(np.diff(time))) if total > 1 else 1.0
    edges = np.linspace(time[0], time[-1] + step, count + 1)
    there = np.flatnonzero(valid)
    return there[nearest(time[there], (edges[:-1] + edges[1:] - step) / 2)]


def statistics(rows: Any, time: Any, pools: list[str]) -> Any:
    """Statistics of each column over the rows where it is a number; NaN where it never is."""
    result = np.full((len(pools), rows.shape[1]), np.nan)
    for column, values in enumerate(rows.T):
        known = np.isfinite(values)
        for place, pool in enumerate(pools if known.any() else ()):
            result[place, column] = POOLS[pool](values[known, None], time[known])[0]
    return result.reshape(-1)


def tensors(clip: str, store: Path, streams: dict[str, Any]) -> dict[str, Any]:
    """The arrays of one clip, by name of the graph's input, each with a first axis of one clip."""
    arrays: dict[str, Any] = {}
    times: dict[str, Any] = {}
    for name, says in streams.items():
        draw = says["draw"]
        time, values, valid, columns = read(stored(store / says["key"], clip))
        if draw["columns"]:
            wanted = [any(fnmatch.fnmatchcase(c, p) for p in draw["columns"]) for c in columns]
            values = values[..., wanted]
        if says["holds"] == "statistics":
            rows = values[valid].astype(np.float64).reshape(int(valid.sum()), -1)
            arrays[name] = statistics(rows, time[valid], draw["pool"])[None]
            continue
        assert says["holds"] == "numbers", f"{name} holds {says['holds']}: see above"
        if draw["group"] in times:  # streams of a group are looked at at the same moments
            there = np.flatnonzero(valid)
            rows = there[nearest(time[there], times[draw["group"]])]
        else:
            rule = draw["evaluate"]
            rows = chosen_rows(rule["rule"], rule["count"], time, valid)
        if draw["group"]:
            times.setdefault(draw["group"], time[rows])
        mask, numbers = valid[rows], values[rows].astype(np.float32)
        numbers[~mask] = 0
        lacking = max(0, (says["rows"] or 0) - len(rows))  # a clip that is too short is filled
        wide = [(0, lacking)] + [(0, 0)] * (numbers.ndim - 1)
        arrays[name] = np.pad(numbers, wide)[None]
        arrays[says["mask"]] = np.pad(mask, (0, lacking))[None]
    return arrays


model, store, *clips = sys.argv[1:]
inputs = json.loads((Path(model) / "inputs.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(str(Path(model) / "model.onnx"))
taken = {each.name for each in session.get_inputs()}
targets = [target["name"] for target in inputs["output"]["targets"]]
print("clip", *targets, sep=",")
for clip in clips:
    given = tensors(clip, Path(store), inputs["streams"])
    (scores,) = session.run(None, {name: given[name] for name in taken})
    print(clip, *(repr(float(score)) for score in scores[0]), sep=",")
