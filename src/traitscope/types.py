"""The named types that cross the borders between rooms: frozen, and checked when made."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.answers import Caution as Caution
from traitscope.answers import Interval as Interval
from traitscope.answers import Person as Person
from traitscope.answers import Prediction as Prediction
from traitscope.answers import Timeline as Timeline
from traitscope.errors import DataError
from traitscope.frames import Frame as Frame
from traitscope.frames import Picture as Picture

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
"""The Big Five in the order used everywhere; addressed by name."""
SPLITS = ("train", "validation", "test")
Kind = Literal["apparent", "self_reported"]

FloatArray = NDArray[np.floating[Any]]
Hook = Callable[[int, int, str], None]
"""What is told of progress: done, total, and the name or news of what is done."""
_PIECE = 2**17  # times checked at once: those of a long sound lie in a file
_FORBIDDEN_IN_ID = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True)
class Target:
    """One regressed quantity, with its range and the meaning of a high value.

    Attributes:
        name: one of TRAITS, or another name such as ``interview``.
        low: lower end of the range; None (with high) for unbounded z-scores.
        high: upper end of the range.
        direction: 1 if high means more of what the name says, -1 if it means less (the
            ``neuroticism`` key of First Impressions is emotional stability), None if undeclared.
    """

    name: str
    low: float | None = None
    high: float | None = None
    direction: Literal[1, -1] | None = None

    def __post_init__(self) -> None:
        if self.direction not in {1, -1, None}:
            raise DataError(f"Target {self.name!r} has the direction {self.direction!r}: 1 or -1.")
        if (self.low is None) != (self.high is None):
            raise DataError(f"Target {self.name!r} has only one end of its range: give both.")
        if self.low is not None and self.high is not None and not -inf < self.low < self.high < inf:
            raise DataError(f"Target {self.name!r} has the range {self.low} to {self.high}.")

    @property
    def span(self) -> float:
        """Length of the range; 1 without one, so that shares of it are the numbers themselves."""
        return 1.0 if self.low is None or self.high is None else self.high - self.low

    @property
    def label(self) -> str:
        """The name as tables and plots write it, with the direction where it surprises."""
        if self.direction != -1:
            return self.name
        return f"{self.name} (high = {'stable' if self.name == 'neuroticism' else 'less'})"

    def contains(self, value: float) -> bool:
        """Tell whether a value lies in the range, with room for float rounding."""
        if self.low is None or self.high is None:
            return isfinite(value)
        # Means of labels that lie at an end come out a little beyond it.
        slack = 1e-6 * (self.high - self.low)
        return self.low - slack <= value <= self.high + slack


@dataclass(frozen=True)
class Clip:
    """One interval of one media file, with what is known about it.

    Attributes:
        id: unique in its corpus; becomes a file name, so no separators or control characters.
        path: video, audio or folder of images; None when only labels are there.
        start, end: seconds into the file, without the end; None for its beginning and its end.
        fps: frames per second of a folder of images.
        source: the recording the clip was cut from; the clip itself when unknown.
        subject: the person, when known.
        split: ``train``, ``validation`` or ``test``, when the corpus has an official split.
        targets: name -> value; a missing label is absent, never NaN.
        transcript: what is said, when known.
        attributes: age group, gender ...: for baselines and audits only.
        video_track, audio_track: which of several in the file, from 1; None for its default.
    """

    id: str
    path: Path | None = None
    start: float | None = None
    end: float | None = None
    fps: float | None = None
    source: str = ""
    subject: str | None = None
    split: str | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    transcript: str | None = None
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    video_track: int | None = None
    audio_track: int | None = None

    def __post_init__(self) -> None:
        check_clip_id(self.id)
        if not self.source:
            # A frozen class takes no assignment, not even of a default that depends on a field.
            object.__setattr__(self, "source", self.id)
        if self.split is not None and self.split not in SPLITS:
            wrong = f"Clip {self.id!r} has the split {self.split!r}"
            raise DataError(f"{wrong}; it must be one of {SPLITS}.")
        if self.start is not None and self.end is not None and not 0 <= self.start < self.end:
            raise DataError(f"Clip {self.id!r} runs from {self.start} s to {self.end} s.")


def check_clip_id(clip_id: str) -> None:
    """Refuse an id that could not be a file name or could leave its folder."""
    if not clip_id or clip_id in {".", ".."} or _FORBIDDEN_IN_ID.search(clip_id):
        why = "it becomes a file name, so it must not be empty"
        raise DataError(f"{clip_id!r} cannot be a clip id: {why}, nor hold '/', '\\' or controls.")


@dataclass(frozen=True)
class Corpus:
    """Annotated clips, with the meaning of their labels.

    Attributes:
        name: how it is addressed, such as ``table:clips.csv``.
        kind: whose judgement the labels are.
        targets: what is regressed, in the order of TRAITS (then others).
        notes: facts a user must read (licence, excluded uses, what was ignored while loading).
        aggregate: what is scored: a clip, or a person (``subject``) whose clips are averaged.
        optional: targets that clips may carry too, regressed only when asked for by name.
        ratings: clip -> rater -> target -> value, where labels are means of known raters.
    """

    name: str
    kind: Kind
    targets: tuple[Target, ...]
    clips: tuple[Clip, ...]
    notes: tuple[str, ...] = ()
    aggregate: Literal["clip", "subject"] = "clip"
    optional: tuple[Target, ...] = ()
    ratings: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = Counter(clip.id for clip in self.clips)
        if twice := sorted(clip for clip, times in count.items() if times > 1):
            what = f"{len(twice)} clip ids occur more than once: {', '.join(twice[:10])}"
            raise DataError(f"{self.name}: {what}. Give each clip its own id.")

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets, in order."""
        return tuple(target.name for target in self.targets)

    def target(self, name: str) -> Target:
        """Find a target by name, an optional one as well.

        Raises:
            DataError: the corpus has no such target.
        """
        known = {target.name: target for target in (*self.targets, *self.optional)}
        if name not in known:
            raise DataError(f"{self.name} has no target {name!r}. It has: {', '.join(known)}.")
        return known[name]

    def with_clips(self, clips: Sequence[Clip]) -> "Corpus":
        """Keep the meaning of the labels, with other clips."""
        return replace(self, clips=tuple(clips))

    def labels(self, names: Sequence[str] = ()) -> NDArray[np.float64]:
        """Labels as an array (clips, targets), NaN where one is missing."""
        return label_array(self.clips, names or self.target_names)


def label_array(clips: Sequence[Clip], names: Sequence[str]) -> NDArray[np.float64]:
    """Labels as an array (clips, targets), NaN where one is missing."""
    rows = [[clip.targets.get(name, np.nan) for name in names] for clip in clips]
    # Without clips or names there would be no second axis.
    return np.asarray(rows, dtype=np.float64).reshape(len(clips), len(names))


@dataclass(frozen=True)
class Waveform:
    """Mono sound: samples (n,) float32 in [-1, 1] at ``sample_rate_hz``."""

    samples: NDArray[np.float32]
    sample_rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1:
            raise ValueError(f"A waveform is one-dimensional, not {self.samples.shape}.")

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True)
class Face:
    """One face found in one frame; coordinates in pixels of that frame.

    Attributes:
        box: left, top, right, bottom.
        confidence: detector score; its scale is the backend's.
        landmarks: (478, 3) from MediaPipe (z in the scale of x) or (68, 2) in the iBUG order.
        track: the id of the person's track within the clip; survives short gaps.
        blendshapes: MediaPipe's 52 coefficients by name, empty for other backends.
        rotation: head rotation (pitch Rx, yaw Ry, roll Rz) in radians with OpenFace's axes and
            signs, None where the backend gives none.
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: FloatArray
    track: int = 0
    blendshapes: Mapping[str, float] = field(default_factory=dict)
    rotation: tuple[float, float, float] | None = None

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)


@dataclass(frozen=True)
class Stream:
    """One feature of one clip: rows with their times.

    Attributes:
        time: (rows,) seconds from the start of the clip, rising.
        values: (rows, ...) numbers or strings; None for a stream of images.
        images: one encoded JPEG per row, ``b""`` where the row is missing; None for numbers.
        valid: (rows,) False where the row is missing (no face ...): then values are NaN.
        columns: names of the last axis of ``values``, when it has names.
        info: facts for reports, JSON values: ``notes`` (what was noticed while the media was
            read), ``read_share`` (of the declared length, if it was cut off), units ...
    """

    time: NDArray[np.float64]
    values: NDArray[Any] | None = None
    images: Sequence[bytes] | None = None
    valid: NDArray[np.bool_] | None = None
    columns: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", np.asarray(self.time, dtype=np.float64))
        rows = self.images if self.images is not None else self.values
        if (self.images is None) == (self.values is None) or rows is None:
            raise ValueError("A stream has either values or images.")
        if self.valid is None:
            object.__setattr__(self, "valid", np.ones(len(self.time), dtype=bool))
        a, b, c = len(self.time), len(rows), len(self.mask)
        if not a == b == c:
            raise ValueError(f"Stream rows differ: {a} times, {b} rows, {c} in the mask.")
        # Pieces share one time, or a step back between two of them would be missed.
        pieces = (self.time[at : at + _PIECE + 1] for at in range(0, len(self.time), _PIECE))
        if not all(np.isfinite(some).all() and (np.diff(some) >= 0).all() for some in pieces):
            raise ValueError("Stream times must be finite and rising.")
        if self.columns and self.values is not None and self.values.shape[-1] != len(self.columns):
            raise ValueError(f"{len(self.columns)} column names for values {self.values.shape}.")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(rows,) True where the row is there."""
        assert self.valid is not None
        return self.valid

    @property
    def coverage(self) -> float:
        """Share of rows that are there; of media that was cut off, of the declared length."""
        mean = self.mask.mean() if len(self.mask) else 0.0
        return float(mean) * float(self.info.get("read_share", 1.0))


@dataclass(frozen=True)
class Inputs:
    """What an extractor may use when it finishes a clip, according to its NEEDS.

    Attributes:
        waveform: the sound at the extractor's ``sample_rate_hz``, for NEEDS "audio".
        streams: streams of other extractors, for NEEDS "stream:NAME".
    """

    clip: Clip
    waveform: Waveform | None = None
    streams: Mapping[str, "Stream"] = field(default_factory=dict)


Rule = Literal["all", "even", "random", "segments", "window", "center"]
"""All; n evenly spaced; n random in order; one in each of n parts; a run of n; the middle n."""


@dataclass(frozen=True)
class Rows:
    """How many rows of a stream, by which rule; ``count`` is also the cap of ``all``."""

    rule: Rule = "all"
    count: int | None = None

    def __post_init__(self) -> None:
        if self.rule != "all" and self.count is None:
            raise ValueError(f"The rule {self.rule!r} needs a count.")
        if self.count is not None and self.count < 1:
            raise ValueError(f"A draw takes at least one row, not {self.count}.")


@dataclass(frozen=True)
class Draw:
    """What a model takes from one stream.

    Attributes:
        train: rows drawn in training.
        evaluate: rows drawn in evaluation; must not be random.
        group: streams of one group are drawn at the same times, with the same flip and crop.
        extract: what the model needs of the extractor's config (``{"size": 112}``).
        pool: instead of rows, these statistics of all valid rows (see ``pooling.POOLS``).
        columns: patterns of the columns to take (``AU*_r``), in the stream's order; empty for all.
        size: pixels of a side, or height and width, that images get; None keeps them as stored.
        standardize: columns get mean 0 and sd 1 of the fitting clips; what is missing becomes 0.
        optional: a clip without this stream is seen all the same, with one hidden row in its place.
    """

    train: Rows = field(default_factory=Rows)
    evaluate: Rows = field(default_factory=Rows)
    group: str | None = None
    extract: Mapping[str, Any] = field(default_factory=dict)
    pool: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    size: int | tuple[int, int] | None = None
    standardize: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        if self.optional and not self.standardize:
            raise ValueError("An optional stream is standardised: its scaler knows its columns.")
        if self.evaluate.rule in {"random", "segments", "window"}:
            raise ValueError(f"Evaluation must not draw at random ({self.evaluate.rule!r}).")


@dataclass(frozen=True)
class Batch:
    """Clips side by side, as a model gets them (torch tensors) or an estimator (NumPy arrays).

    Attributes:
        streams: name -> (clips, rows, ...), padded, or (clips, features) of pooled streams;
            pictures are uint8 (..., height, width, 3), as tensors float with colours first.
        masks: name -> (clips, rows) True where the row is there.
        targets, target_mask: (clips, targets), zero and False where there is no label.
        mixed: (clips,) True where augmentation blended a clip with another one.
        columns: name -> names of the stream's last axis, for estimators and explanations.
        draws: transform -> (clips, n), what is to be done to the pictures when they are tensors.
    """

    clips: tuple[str, ...]
    streams: Mapping[str, Any]
    masks: Mapping[str, Any]
    targets: Any
    target_mask: Any
    mixed: Any = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    draws: Mapping[str, Any] = field(default_factory=dict)
