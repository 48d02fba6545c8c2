"""A run of an image or clip model and prepared clips in, scores and features per frame out.

What a second stage learns from: the series of each clip (`series`) become streams of the store,
``frame_scores`` with a column per target and ``frame_features``, what the network's last layer
gets. Their ``content`` is the fingerprint of the run's weights, so that the series of two runs
never mix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitscope.data.examples import gather
from traitscope.errors import ClipError, DataError
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.features.request import Request, make_request
from traitscope.features.store import OK, Origin, StatusRow, Store
from traitscope.prediction.series import (
    FirstStage,
    count_features,
    feature_names,
    open_first_stage,
    series,
)
from traitscope.runs.first_stage import FEATURES, SCORES
from traitscope.runs.plan import IMPORTED
from traitscope.types import Clip, Corpus, Hook, Stream


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
    plain = store if isinstance(store, Store) else open_store(store)
    served = serving(plain, corpus.clips, corpus=corpus.name)
    keys = stage.members[0].keys
    ready, failures = gather(corpus.clips, served, keys, stage.members[0].draws)
    if not ready:
        raise DataError(f"No clip of {corpus.name} has the pictures that {stage.folder} takes.")
    bases = served.statuses(next(iter(keys.values())))
    requests = _requests(stage, ready[0], _pictures(served, keys, ready[0]))
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
                made = series(stage, clip, _pictures(served, keys, clip), batch_size=batch_size)
                _write(plain, requests, made, bases[clip.id])
            except ClipError as error:
                failed.append({"clip": clip.id, "status": error.status, "reason": str(error)})
        if hook:
            hook(done, len(ready), clip.id)
    _settle(plain, requests, failed)
    told = ("the folds' features differ in meaning, so that only scores were written",)
    notes = told if len(stage.members) > 1 else ()
    return Scored(tuple(requests), len(corpus.clips) - len(failed), tuple(failed), seen, notes)


def _pictures(store: Store, keys: Mapping[str, str], clip: Clip) -> dict[str, Stream]:
    return {name: store.read(key, clip.id) for name, key in keys.items()}


def _requests(stage: FirstStage, probe: Clip, pictures: Mapping[str, Stream]) -> list[Request]:
    """How the streams are known; the size of the features is found out on a clip."""
    columns = {SCORES: stage.targets}
    if count := count_features(stage, probe, pictures):
        columns[FEATURES] = feature_names(count)
    content = stage.content
    return [
        make_request(IMPORTED, {"name": name, "content": content, "columns": names})
        for name, names in columns.items()
    ]


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
