"""A table of OpenFace and its video -> r and scale of each of our signals, by backend."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from traitscope.extract.signals import COLUMNS, SIGNALS
from traitscope.features.extraction import Extraction, extract_clip
from traitscope.features.request import make_request
from traitscope.types import Clip, Stream

BACKENDS = ("mediapipe", "dlib")
STILL = 0.02
"""What moves less (sd) in OpenFace's table has no correlation to speak of."""


def against_table(table: Path, video: Path) -> Iterator[str]:
    """Lines of mean and sd by OpenFace, then r, mean and scale (sd by sd) of each backend."""
    theirs = _signals(Clip("table", table), "openface")
    ours = {backend: _signals(Clip("video", video), backend) for backend in BACKENDS}
    for name in SIGNALS:
        column = COLUMNS.index(name)
        given = _column(theirs, column)
        line = f"{name:16}{np.nanmean(given):14.2f}{np.nanstd(given):7.2f}"
        for stream in ours.values():
            line += _against(theirs.time, given, stream, column)
        yield line


def _signals(clip: Clip, backend: str) -> Stream:
    request = make_request("signals", {"backend": backend, "rate": "native"})
    with Extraction() as extraction:
        stream = extract_clip(clip, [request], extraction=extraction)[request.key]
    if not isinstance(stream, Stream):
        raise stream
    return stream


def _column(stream: Stream, column: int) -> np.ndarray:
    assert stream.values is not None
    return np.where(stream.mask, stream.values[:, column], np.nan)


def _against(time: np.ndarray, given: np.ndarray, stream: Stream, column: int) -> str:
    """r, mean and scale of one signal at the moments of the table that the video has too."""
    near = np.abs(stream.time[None] - time[:, None]).argmin(axis=1)
    measured = _column(stream, column)[near]
    together = np.abs(stream.time[near] - time) < 0.02
    both = together & np.isfinite(given) & np.isfinite(measured)
    if both.sum() < 10:
        return f"{'-':>13}{'-':>8}{'-':>8}"
    x, y = given[both], measured[both]
    moves = x.std() > STILL and y.std() > 0
    r = f"{np.corrcoef(x, y)[0, 1]:.2f}" if moves else "still"
    scale = f"{y.std() / x.std():.2f}" if moves else "-"
    return f"{r:>13}{y.mean():8.2f}{scale:>8}"
