"""One clip -> how far the engine's faces are from those of MediaPipe's graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traitscope import weights
from traitscope.media import read_frames
from traitscope.tracking import eye_centres, mediapipe
from traitscope.tracking._boxes import overlap
from traitscope.tracking._graph import Graph
from traitscope.types import Face

MOVING = 0.02
"""A blendshape of less sd says nothing of agreement."""


@dataclass(frozen=True)
class Agreement:
    """What a clip shows; see the head of the table for units."""

    clip: str
    pictures: int
    theirs: int
    ours: int
    pairs: int
    points: float = 0.0
    points_95: float = 0.0
    pose: float = 0.0
    pose_95: float = 0.0
    shapes: float = float("nan")
    eyes: float = 0.0
    width: float = 0.0


def compared(clip: Path, *, rate: float, seconds: float) -> Agreement:
    """Track a clip in the three ways, each as `prepare` does."""
    frames = [frame for frame, _ in read_frames(clip, rates=[rate], end=seconds)]
    engine, graph = mediapipe.Tracker(), mediapipe.Tracker()
    graph._landmarker = Graph(weights.find(mediapipe.WEIGHTS).read_bytes(), max_faces=3)
    ours, theirs = ([one.track(frame) for frame in frames] for one in (engine, graph))
    engine.restart("eyes")
    eyes = [engine.track(frame) for frame in frames]
    graph.close()
    engine.close()
    counts = len(frames), sum(map(len, theirs)), sum(map(len, ours))
    pairs = _pairs(theirs, ours)
    if not pairs:
        return Agreement(clip.name, *counts, 0)
    gaps = [_gap(*pair) for pair in pairs]
    turns = [
        np.degrees(np.abs(np.subtract(a.rotation or 0, b.rotation or 0)).max()) for a, b in pairs
    ]
    offsets = np.array([_offsets(b, a) for a, b in _pairs(ours, eyes)])
    return Agreement(
        clip.name,
        *counts,
        len(pairs),
        *_median_and_95(gaps),
        *_median_and_95(turns),
        _shapes(pairs),
        float(offsets.std(axis=0).max()) if len(offsets) else 0.0,
        float(np.median([theirs.box[2] - theirs.box[0] for theirs, _ in pairs])),
    )


def _pairs(
    one: Sequence[Sequence[Face]], other: Sequence[Sequence[Face]]
) -> list[tuple[Face, Face]]:
    """Faces of the same pictures that overlap most."""
    pairs = []
    for here, there in zip(one, other, strict=True):
        for face in here:
            best = max(there, key=lambda f: overlap(f.box, face.box), default=None)
            if best is not None and overlap(best.box, face.box) > 0.3:
                pairs.append((face, best))
    return pairs


def _gap(theirs: Face, ours: Face) -> float:
    corners = theirs.landmarks[[33, 263], :2]
    apart = np.abs(ours.landmarks - theirs.landmarks)[:, :2].mean()
    return float(apart / np.linalg.norm(corners[1] - corners[0]))


def _offsets(face: Face, other: Face) -> list[float]:
    """How far both eyes lie from the other's, along and across the line between these."""
    mine, theirs = eye_centres(face.landmarks), eye_centres(other.landmarks)
    assert mine is not None
    assert theirs is not None
    along = theirs[1] - theirs[0]
    units = np.array([along, (-along[1], along[0])]) / (along @ along)
    return [*(units @ (mine[0] - theirs[0])), *(units @ (mine[1] - theirs[1]))]


def _shapes(pairs: list[tuple[Face, Face]]) -> float:
    theirs, ours = (
        np.array([list(pair[side].blendshapes.values()) for pair in pairs]).T for side in (0, 1)
    )
    moving = theirs.std(axis=1) > MOVING
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(theirs[moving], ours[moving], strict=True)]
    return float(np.median(r)) if r else float("nan")


def _median_and_95(values: Sequence[float]) -> tuple[float, float]:
    return float(np.median(values)), float(np.percentile(values, 95))
