"""One clip's pictures and a first-stage run in, its scores and features of every frame out.

Each frame (or the run of frames around it, for a model that takes several) is scored by itself. A
network that has learnt from a clip scores it better than it would score a new one; a run with folds
is therefore used out of fold: each clip is scored by the networks that have not seen it, and a new
recording by all of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope import registry
from traitscope.data.batches import collate, to_tensors
from traitscope.data.drawing import Example, draw_example
from traitscope.data.record import LEARNT, SELECTED, read_records
from traitscope.errors import ClipError, ConfigError
from traitscope.extract.imported import PICTURES, POINTS
from traitscope.features.request import Request
from traitscope.runs.checkpoint import Checkpoint, load, predicted
from traitscope.runs.first_stage import (
    FEATURES,
    SCORES,
    SEEN,
    content_of,
    find_first_stage,
    member_folders,
)
from traitscope.runs.plan import IMPORTED, plan
from traitscope.types import Clip, Draw, Stream

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FirstStage:
    """One network, or one per fold, whose scores of frames are wanted.

    Attributes:
        folder: of the run.
        members: the networks.
        seen: of each, ids of the clips it learnt from or was chosen by.
        single: each picture is scored by itself; else a run of pictures around each.
    """

    folder: Path
    members: tuple[Checkpoint, ...]
    seen: tuple[frozenset[str], ...]
    single: bool

    @property
    def content(self) -> str:
        """Fingerprint of the weights of all members."""
        return content_of(self.folder)

    @property
    def requests(self) -> Mapping[str, Request]:
        """How the pictures that are scored are extracted, by stream."""
        return self.members[0].facts.requests

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the series of scores."""
        return tuple(target.name for target in self.members[0].facts.targets)

    def of(self, clip: str) -> tuple[tuple[Checkpoint, ...], bool]:
        """The networks that score a clip, and whether they have seen it."""
        fresh = [m for m, seen in zip(self.members, self.seen, strict=True) if clip not in seen]
        return (tuple(fresh), False) if fresh else (self.members, True)


def open_first_stage(folder: Path | str, *, model: str | None = None) -> FirstStage:
    """Load a run, or all its folds, for scoring frames.

    Args:
        folder: of the run.
        model: the dotted path of an outside model, typed by the user.

    Raises:
        ConfigError: the model takes more than pictures, so that a frame has no score of its own.
    """
    folder = Path(folder)
    places = member_folders(folder)
    members = tuple(load(place, model=model) for place in places)
    other = sorted(set(members[0].draws) - {*PICTURES, POINTS})
    name = members[0].config.model["name"]
    if other or not hasattr(members[0].fitted, "forward"):
        what = f"takes {', '.join(other)}" if other else "is no network"
        raise ConfigError(
            f"{folder} cannot score single frames: {name} {what}. Take a run of an image or clip "
            f"model, such as image_backbone."
        )
    known = LEARNT | SELECTED
    seen = [
        frozenset(row.clip for record in read_records(place) for row in record.used(known))
        for place in places
    ]
    from traitscope.nn.images import ImagesConfig  # loads PyTorch, which an exported run is without

    options = plan(members[0].config, typed=registry.typed(model=model)).options
    return FirstStage(folder, members, tuple(seen), isinstance(options, ImagesConfig))


def first_stage_of(checkpoint: Checkpoint) -> FirstStage | None:
    """The first stage whose series a run was fitted on; None for a run that reads none.

    Raises:
        DataError: it is not where the run says, or has other weights now.
    """
    named, requests = checkpoint.config.data.first_stage, checkpoint.facts.requests
    read = [name for name in made_here(requests) if requests[name].name == IMPORTED]
    if not named or not read:
        return None
    content = str(getattr(requests[read[0]].config, "content", ""))
    return _opened(find_first_stage(named, content, beside=checkpoint.folder), content)


@lru_cache(maxsize=1)
def _opened(folder: Path, content: str) -> FirstStage:
    """The stage, kept from call to call as long as its weights are the same."""
    return open_first_stage(folder)


def made_here(requests: Iterable[str]) -> list[str]:
    """Names of the streams among these that a first stage makes."""
    return [name for name in requests if name in {SCORES, FEATURES}]


def extracted(requests: Mapping[str, Request], stage: FirstStage | None) -> dict[str, Request]:
    """What is to be extracted from media: in place of series, what they are made of."""
    if stage is None:
        return dict(requests)
    series = made_here(requests)
    own = {name: request for name, request in requests.items() if name not in series}
    return own | {f"first_stage.{name}": request for name, request in stage.requests.items()}


def series(
    stage: FirstStage, clip: Clip, streams: Mapping[str, Stream], *, batch_size: int = 32
) -> dict[str, Stream]:
    """Score every frame of a clip.

    Args:
        stage: the networks.
        clip: whose id says which of them have seen it.
        streams: its pictures, as the networks take them.
        batch_size: frames, or runs of frames, at once.

    Returns:
        ``frame_scores`` (frames, targets) and, of a single network whose last layer can be told,
        ``frame_features`` (frames, features).

    Raises:
        ClipError: no frame could be scored.
    """
    members, seen = stage.of(clip.id)
    info = {"notes": [SEEN]} if seen else {}
    made = [_FrameScorer(stage, one, clip, streams, batch_size).scored() for one in members]
    scores = np.mean([one[0] for one in made], axis=0)
    time, valid, features = made[0][2], made[0][3], made[0][1]
    result = {SCORES: _series(time, scores, valid, stage.targets, info)}
    if features is not None and len(stage.members) == 1:
        names = feature_names(features.shape[1])
        result[FEATURES] = _series(time, features, valid, names, info)
    return result


def feature_names(count: int) -> tuple[str, ...]:
    """Names of the columns of ``frame_features``."""
    return tuple(f"{number:04d}" for number in range(count))


def count_features(stage: FirstStage, clip: Clip, streams: Mapping[str, Stream]) -> int:
    """Size of the features, found out on the first frame of a clip; 0 where there are none."""
    if len(stage.members) > 1:  # each has learnt features of its own, which mean different things
        return 0
    features = _FrameScorer(stage, stage.members[0], clip, streams, 1).scored(frames=1)[1]
    return 0 if features is None else features.shape[1]


@dataclass
class _FrameScorer:
    """One network on the frames of one clip."""

    stage: FirstStage
    member: Checkpoint
    clip: Clip
    streams: Mapping[str, Stream]
    batch_size: int

    def scored(
        self, *, frames: int | None = None
    ) -> tuple[Array, Array | None, NDArray[np.float64], NDArray[np.bool_]]:
        """Scores, features, times and which rows there are, of all frames or the first ones."""
        leader = self.streams[next(iter(self.member.draws))]
        centres = np.arange(len(leader.time))[:frames]
        scores = np.full((len(centres), len(self.stage.targets)), np.nan, np.float32)
        features: Array | None = None
        examples: list[tuple[int, Example]] = []
        for centre in centres:
            example = self._example(leader, int(centre))
            examples += [(int(centre), example)] if example is not None else []
        for first in range(0, len(examples), self.batch_size):
            part = examples[first : first + self.batch_size]
            rows = [place for place, _ in part]
            made, known = _run(self.member, [example for _, example in part])
            scores[rows] = made
            if known is not None:
                if features is None:
                    features = np.full((len(centres), known.shape[1]), np.nan, np.float32)
                features[rows] = known
        valid = np.asarray(np.isfinite(scores).all(axis=1))
        if not valid.any():
            raise ClipError(f"No frame of clip {self.clip.id!r} could be scored.", status="empty")
        return scores, features, leader.time[centres], valid

    def _example(self, leader: Stream, centre: int) -> Example | None:
        """What the network takes around one frame; None where nothing is there."""
        member = self.member
        count = 1 if self.stage.single else _count(member.draws)
        first = max(0, min(centre - count // 2, len(leader.time) - count))
        window = slice(first, first + count)
        if not leader.mask[window].any():
            return None
        times = leader.time[window]
        cut = {name: _between(s, times) for name, s in self.streams.items()}
        draws = member.draws
        if count == 1:
            draws = {n: replace(d, evaluate=replace(d.evaluate, count=1)) for n, d in draws.items()}
        return draw_example(self.clip, cut, draws, rng=None, scalers=member.scalers)


def _between(stream: Stream, times: NDArray[np.float64]) -> Stream:
    """The rows of a stream from the first of some times to the last."""
    inside = np.flatnonzero((stream.time >= times[0] - 1e-6) & (stream.time <= times[-1] + 1e-6))
    if not len(inside):
        inside = np.array([int(np.abs(stream.time - times[0]).argmin())])
    rows = slice(inside[0], inside[-1] + 1)
    return replace(
        stream,
        time=stream.time[rows],
        values=None if stream.values is None else stream.values[rows],
        images=None if stream.images is None else stream.images[rows],
        valid=stream.mask[rows],
    )


def _count(draws: Mapping[str, Draw]) -> int:
    return max(draw.evaluate.count or 1 for draw in draws.values())


def _run(member: Checkpoint, examples: Sequence[Example]) -> tuple[Array, Array | None]:
    """Scores (n, targets), and what the last layer got (n, features) if it can be told."""
    import torch

    from traitscope.runs.best_epochs import BestOfEach

    network = member.fitted
    targets = [target.name for target in member.facts.targets]
    device = next(network.parameters()).device
    batch = to_tensors(collate(examples, targets, columns=member.facts.columns), device)
    network.eval()
    with torch.inference_mode(), _last_input(network, len(targets)) as caught:
        output = whole = network(batch)
        if isinstance(network, BestOfEach):  # the features of five networks mean five things
            whole = network.overall(batch)
    known = getattr(whole, "features", caught[-1] if caught else None)
    if known is not None:
        known = known.reshape(len(examples), -1, known.shape[-1]).mean(dim=1).float().cpu().numpy()
    return predicted(output).float().cpu().numpy(), known


@contextmanager
def _last_input(network: Any, targets: int) -> Iterator[list[Any]]:
    """Catch what the last layer with a row per target gets."""
    from torch import nn

    caught: list[Any] = []
    layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
    last = next((layer for layer in reversed(layers) if layer.out_features == targets), None)
    if last is None:
        yield caught
        return
    handle = last.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    try:
        yield caught
    finally:
        handle.remove()


def _series(
    time: NDArray[np.float64],
    values: Array,
    valid: NDArray[np.bool_],
    columns: tuple[str, ...],
    info: Mapping[str, Any],
) -> Stream:
    return Stream(time=time, values=values, valid=valid, columns=columns, info=dict(info))
