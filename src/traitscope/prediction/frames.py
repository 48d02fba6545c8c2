"""A run of an image or clip model and prepared clips in, scores and features per frame out.

What a second stage learns from: each frame (or the run of frames around it, for a model that takes
several) is scored by itself, and the series become streams of the store, ``frame_scores`` with a
column per target and ``frame_features``, what the network's last layer gets. Their ``content`` is
the fingerprint of the run's weights, so that the series of two runs never mix.

A network that has learnt from a clip scores it better than it would score a new one. A run with
folds is therefore used out of fold: each clip is scored by the networks that have not seen it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope import registry
from traitscope.data.batches import collate, to_tensors
from traitscope.data.drawing import Example, draw_example
from traitscope.data.examples import gather
from traitscope.data.record import LEARNT, SELECTED, read_records
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.extract.imported import PICTURES, POINTS
from traitscope.features.origins import serving
from traitscope.features.request import Request, make_request
from traitscope.features.store import OK, Origin, StatusRow, Store
from traitscope.nn.images import ImagesConfig
from traitscope.runs.checkpoint import Checkpoint, load, predicted
from traitscope.runs.first_stage import FEATURES, SCORES, content_of, member_folders
from traitscope.runs.plan import plan
from traitscope.types import Clip, Corpus, Draw, Hook, Stream

SEEN = (
    "the first stage has learnt from this clip, so that its scores are better than on new ones; a "
    "run with folds (protocol.fold=all) scores out of fold"
)
"""What stands in the notes of a clip whose frames were scored by a network that knows it."""

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
    def targets(self) -> tuple[str, ...]:
        """Names of the series of scores."""
        return tuple(target.name for target in self.members[0].facts.targets)

    def of(self, clip: str) -> tuple[tuple[Checkpoint, ...], bool]:
        """The networks that score a clip, and whether they have seen it."""
        fresh = [m for m, seen in zip(self.members, self.seen, strict=True) if clip not in seen]
        return (tuple(fresh), False) if fresh else (self.members, True)


@dataclass(frozen=True)
class Scored:
    """What was written.

    Attributes:
        requests: how the streams are known in the store.
        clips: how many clips have series now.
        failed: clips without, with reasons.
        seen: clips that were scored by networks that know them.
        notes: what else was noticed.
    """

    requests: tuple[Request, ...]
    clips: int
    failed: tuple[Mapping[str, str], ...]
    seen: int
    notes: tuple[str, ...] = ()


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
    options = plan(members[0].config, typed=registry.typed(model=model)).options
    return FirstStage(folder, members, tuple(seen), isinstance(options, ImagesConfig))


def score_frames(
    run: FirstStage | Path | str,
    corpus: Corpus,
    store: Store | Path | str,
    *,
    batch_size: int = 32,
    model: str | None = None,
    hook: Hook | None = None,
) -> Scored:
    """Write scores and features of every frame of a corpus' clips into the store.

    Clips that have series of this run already are left as they are, so that a stopped call goes on.

    Args:
        run: of an image or clip model; with folds, clips are scored by networks that have not
            seen them.
        corpus: whose prepared clips are scored.
        store: the folder of features.
        batch_size: frames, or runs of frames, at once.
        model: the dotted path of an outside model the run was trained with.
        hook: called as hook(done, total, clip).

    Raises:
        DataError: a clip was never prepared.
        ConfigError: the model cannot score single frames.

    Example:
        ``score_frames("runs/hrnet", load_corpus("fi:/data/fi"), "store")``
    """
    stage = run if isinstance(run, FirstStage) else open_first_stage(run, model=model)
    plain = store if isinstance(store, Store) else Store(Path(store))
    served = serving(plain, corpus.clips, corpus=corpus.name)
    keys = stage.members[0].keys
    ready, failures = gather(corpus.clips, served, keys, stage.members[0].draws)
    if not ready:
        raise DataError(f"No clip of {corpus.name} has the pictures that {stage.folder} takes.")
    bases = served.statuses(next(iter(keys.values())))
    scorer = _Scorer(stage, served, batch_size)
    requests = scorer.requests(ready[0])
    for request in requests:
        plain.add(request.key, request.fingerprint)
    done_before = [
        {row.clip for row in plain.rows(request.key) if row.status == OK} for request in requests
    ]
    failed, seen = list(failures), 0
    for done, clip in enumerate(ready, 1):
        seen += stage.of(clip.id)[1]
        if not all(clip.id in before for before in done_before):
            try:
                _write(plain, requests, scorer.streams(clip), bases[clip.id])
            except ClipError as error:
                failed.append({"clip": clip.id, "status": error.status, "reason": str(error)})
        if hook:
            hook(done, len(ready), clip.id)
    _settle(plain, requests, failed)
    told = ("the folds' features differ in meaning, so that only scores were written",)
    notes = told if len(stage.members) > 1 else ()
    return Scored(tuple(requests), len(corpus.clips) - len(failed), tuple(failed), seen, notes)


def _settle(store: Store, requests: Sequence[Request], failed: Sequence[Mapping[str, str]]) -> None:
    """Write down which clips have no series, and why."""
    for request in requests:
        for failure in failed:
            row = StatusRow(failure["clip"], status=failure["status"], reason=failure["reason"])
            store.record(request.key, row)
        store.settle(request.key)


def _write(
    store: Store, requests: Sequence[Request], streams: Mapping[str, Stream], base: StatusRow
) -> None:
    """Write the series of a clip, as made of what the pictures were made of."""
    fields = {name: getattr(base, name) for name in Origin.__dataclass_fields__}
    for request in requests:
        stream = streams[request.config.name]  # type: ignore[attr-defined]
        row = store.write(request.key, base.clip, stream, origin=Origin(**fields))
        store.record(request.key, row)


@dataclass
class _Scorer:
    """Scores the frames of one clip after the other."""

    stage: FirstStage
    store: Store
    batch_size: int

    def requests(self, probe: Clip) -> list[Request]:
        """How the streams are known; the size of the features is found out on a clip."""
        columns = {SCORES: self.stage.targets}
        features = self._scored(self.stage.members[0], probe, first_only=True)[1]
        if features is not None and len(self.stage.members) == 1:
            columns[FEATURES] = tuple(f"{n:04d}" for n in range(features.shape[1]))
        content = self.stage.content
        return [
            make_request("imported", {"name": name, "content": content, "columns": names})
            for name, names in columns.items()
        ]

    def streams(self, clip: Clip) -> dict[str, Stream]:
        """Series of scores, and of features where there is one network."""
        members, seen = self.stage.of(clip.id)
        info = {"notes": [SEEN]} if seen else {}
        made = [self._scored(member, clip) for member in members]
        scores = np.mean([one[0] for one in made], axis=0)
        time, valid, features = made[0][2], made[0][3], made[0][1]
        streams = {SCORES: _series(time, scores, valid, self.stage.targets, info)}
        if features is not None:
            names = tuple(f"{n:04d}" for n in range(features.shape[1]))
            streams[FEATURES] = _series(time, features, valid, names, info)
        return streams

    def _scored(
        self, member: Checkpoint, clip: Clip, *, first_only: bool = False
    ) -> tuple[Array, Array | None, NDArray[np.float64], NDArray[np.bool_]]:
        """Scores, features, times and which rows there are."""
        streams = {name: self.store.read(key, clip.id) for name, key in member.keys.items()}
        leader = streams[next(iter(member.draws))]
        centres = np.arange(1 if first_only else len(leader.time))
        scores = np.full((len(centres), len(self.stage.targets)), np.nan, np.float32)
        features: Array | None = None
        examples: list[tuple[int, Example]] = []
        for place, centre in enumerate(centres):
            example = self._example(member, clip, streams, leader, int(centre))
            examples += [(place, example)] if example is not None else []
        for first in range(0, len(examples), self.batch_size):
            part = examples[first : first + self.batch_size]
            rows = [place for place, _ in part]
            made, known = _run(member, [example for _, example in part])
            scores[rows] = made
            if known is not None:
                if features is None:
                    features = np.full((len(centres), known.shape[1]), np.nan, np.float32)
                features[rows] = known
        valid = np.asarray(np.isfinite(scores).all(axis=1))
        if not valid.any():
            raise ClipError(f"No frame of clip {clip.id!r} could be scored.", status="empty")
        return scores, features, leader.time[centres], valid

    def _example(
        self,
        member: Checkpoint,
        clip: Clip,
        streams: Mapping[str, Stream],
        leader: Stream,
        centre: int,
    ) -> Example | None:
        """What the network takes around one frame; None where nothing is there."""
        count = 1 if self.stage.single else _count(member.draws)
        first = max(0, min(centre - count // 2, len(leader.time) - count))
        window = slice(first, first + count)
        if not leader.mask[window].any():
            return None
        times = leader.time[window]
        cut = {name: _between(s, times) for name, s in streams.items()}
        draws = member.draws
        if count == 1:
            draws = {n: replace(d, evaluate=replace(d.evaluate, count=1)) for n, d in draws.items()}
        return draw_example(clip, cut, draws, rng=None, scalers=member.scalers)


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
