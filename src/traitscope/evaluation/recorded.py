"""What a run recorded of its training and a corpus of today in: a fold that rests on the record.

The split of today's table says which clips are scored; what was fitted says the record alone. Out:
the fold, and sentences on what leaks, what chose the epoch, and what changed since.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data import protocols
from traitscope.data.alike import label_hash, media_mark
from traitscope.data.protocols import FITTED_THEMSELVES, Protocol, Splits, check_leakage
from traitscope.data.record import (
    LEARNT,
    SELECTED,
    Record,
    read_records,
    same_place,
)
from traitscope.errors import DataError, TraitscopeError, some
from traitscope.evaluation.folds import Fold, folds_of
from traitscope.evaluation.scales import align_directions
from traitscope.evaluation.systems import System
from traitscope.features.remote import open_store
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.first_stage import FEATURES, SCORES, SEEN
from traitscope.types import SPLITS, Clip, Corpus, Target

_EXAMPLES = 3


def system_folds(system: System, corpus: Corpus, *, media_hash: bool = True) -> list[Fold]:
    """Find the clips that are scored, with what was fitted for them: as recorded, or as split.

    Args:
        system: whose predictions are scored.
        corpus: the labels.
        media_hash: compare the bytes of media in the check for leaks.
    """
    protocols_of_folds = protocols.each_fold(system.protocol)
    # With a record of some folds only, the others' clips would be taken for unseen.
    if len(system.records) != len(protocols_of_folds):
        return folds_of(corpus, system.protocol, system.split, media_hash=media_hash)
    # labels in memory have no address: they are taken for those of the run
    address = system.address or system.records[0].own
    return [
        recorded_fold(
            corpus, protocol, system.split, record, address=address, media_hash=media_hash
        )
        for protocol, record in zip(protocols_of_folds, system.records, strict=True)
    ]


def recorded_clips(system: System, corpus: Corpus) -> tuple[Clip, ...]:
    """The clips that a run learnt from by its record; none where it has none, or one per fold."""
    if len(system.records) != 1:
        return ()
    record = system.records[0]
    return _learnt(record, corpus, system.address or record.own)


def unrecorded(system: System) -> list[str]:
    """Say that a run does not know what it was fitted on."""
    complete = len(system.records) == len(protocols.each_fold(system.protocol))
    if complete or not system.run:
        return []
    return [
        f"{system.name} does not say which clips it was fitted on (an older run, or a fusion of "
        f"one): they are worked out from the labels as they are today."
    ]


def scored_before(system: System) -> list[str]:
    """Say that the split was scored before: then choices may have been made by it."""
    times = system.run.get("scored", 1)
    if not isinstance(times, int) or times < 2:
        return []
    return [
        f"{system.split} was scored {times} times with {system.name}: choices that were made after "
        f"a look at it make its numbers too good."
    ]


def known_fits(checkpoint: Checkpoint) -> dict[str, int]:
    """Count fitted clips whose frames were scored by a first stage that had learnt from them.

    Only a run that learns from series of frames has such clips.
    """
    series = [key for stream, key in checkpoint.keys.items() if stream in {SCORES, FEATURES}]
    store = open_store(checkpoint.config.data.store)
    if not series or not store.folder.is_dir():
        return {}
    records = read_records(checkpoint.folder)
    fitted = {row.clip for record in records for row in record.used(LEARNT)}
    rows = [row for key in series for row in store.rows(key)]
    known = {row.clip for row in rows if row.clip in fitted and SEEN in row.noted}
    return {"known_fits": len(known)} if known else {}


def trusting(system: System) -> list[str]:
    """Say that a second stage learnt from scores that are better than those of new clips."""
    known = system.run.get("known_fits", 0)
    if not known:
        return []
    return [
        f"{system.name} learnt from scores of frames by a first stage that had learnt from {known} "
        f"of the same clips: it trusts that stage more than new people justify. Honest scores are "
        f"those of a first stage with folds (data.out_of_fold=true)."
    ]


def foreign_protocol(corpus: Corpus) -> Protocol:
    """How another corpus than the run's own is split: as it says, or all of it is a test."""
    unsplit = bool(corpus.clips) and all(clip.split is None for clip in corpus.clips)
    return Protocol(kind="external") if unsplit else Protocol()


def recorded_fold(
    corpus: Corpus,
    protocol: Protocol,
    split: str,
    record: Record,
    *,
    address: str,
    media_hash: bool = True,
) -> Fold:
    """Find the clips of a split, with those that the record says were fitted.

    Args:
        corpus: all clips, as the labels are today.
        protocol: how they are split.
        split: which clips are scored.
        record: of the run.
        address: of the corpus.
        media_hash: compare the bytes of media in the check for leaks.

    Raises:
        DataError: nothing is to be scored; a split of our own scores clips that were fitted; or no
            label is left of what was fitted.
    """
    splits = protocols.split(corpus, protocol)
    asked = splits.part(split)
    if not asked:
        raise DataError(f"{corpus.name} has no clips in {split!r}. Choose another split.")
    # Of another corpus nothing was recorded that could have changed since.
    own = same_place(record.own) == same_place(address)
    learnt = _learnt(record, corpus, address)
    changed = corpus_changes(record, corpus, splits, address) if own else []
    if own and split in splits.fit:
        leaks = [f"The split {split!r} was itself fitted: this is no test."]
    else:
        try:
            leaks = list(check_leakage(learnt, asked, protocol, media_hash=media_hash))
        except DataError as error:
            # A table that was edited since is the likeliest reason for clips on both sides.
            raise DataError(" ".join([str(error), *changed])) from error
        leaks += _same_marks(record, learnt, asked) if media_hash else []
    if own:
        fitted = _baseline_clips(record, corpus, address)
    else:  # the labels' own training clips tell more of them than those of another corpus
        fitted = splits.fitted or _labels_of_the_run(record, corpus)
    if not fitted:
        raise DataError(
            f"None of the {len(record.used(LEARNT))} clips that were fitted is in {corpus.name} "
            f"today, so there is no constant to compare with. {' '.join(changed)}"
        )
    # clips that were fitted themselves make every number worthless: that comes first
    worst = [sentence for sentence in leaks if FITTED_THEMSELVES in sentence]
    rest = [sentence for sentence in leaks if sentence not in worst]
    serious = (*worst, *_selection(record, asked, address), *changed)
    return Fold(asked, fitted, rest, learnt=learnt, grave=serious)


def corpus_changes(record: Record, corpus: Corpus, splits: Splits, address: str) -> list[str]:
    """Say what is not as it was when the run was trained; nothing where all is."""
    before = {row.clip: row for row in record.of(address) if not row.use.startswith("start")}
    # What the run it began from has learnt of this corpus was there, too: it is not new.
    known = {row.clip for row in record.of(address)}
    now = {clip.id: clip for clip in corpus.clips}
    both = [clip_id for clip_id in before if clip_id in now]
    part_of = {clip.id: name for name in SPLITS for clip in splits.part(name)}
    kinds = {
        "new": [clip_id for clip_id in now if clip_id not in known],
        "gone": [clip_id for clip_id in before if clip_id not in now],
        # Over the targets of then: one that was added since changes no label.
        "with other labels": [
            c for c in both if label_hash(now[c], before[c].targets.split()) != before[c].labels
        ],
        "with another source or subject": [
            c
            for c in both
            if (now[c].source, now[c].subject or "") != (before[c].source, before[c].subject)
        ],
    }
    kinds["moved to another split"] = [c for c in both if part_of.get(c, "") != before[c].split]
    changes = [f"{len(ids)} {what} ({some(ids, _EXAMPLES)})" for what, ids in kinds.items() if ids]
    if not changes:
        return []
    return [
        f"{corpus.name} changed since the run was trained: clips {'; '.join(changes)}. What was "
        f"fitted is taken from the run's own record."
    ]


def _learnt(record: Record, corpus: Corpus, address: str) -> tuple[Clip, ...]:
    """Clips that were learnt from, as they are today and, where that differs, as they were."""
    corpora = {same_place(address): {clip.id: clip for clip in corpus.clips}}
    clips: list[Clip] = []
    for row in record.used(LEARNT):
        place = same_place(row.corpus)
        if place not in corpora:
            corpora[place] = _clips_of(row.corpus)
        today = corpora[place].get(row.clip)
        # Who and where is all that a record knows of a clip, and all that leaks need.
        as_it_was = Clip(row.clip, source=row.source, subject=row.subject or None)
        if today is None:
            clips.append(as_it_was)
            continue
        clips.append(today)
        # A clip that was given to somebody else since counts for both: either may be right.
        if (today.source, today.subject or "") != (row.source, row.subject):
            clips.append(as_it_was)
    return tuple(clips)


def _clips_of(address: str) -> dict[str, Clip]:
    """Clips of another corpus by id; none where it is not there any more."""
    try:  # an address that a file names imports no module from outside
        return {clip.id: clip for clip in saved_corpus(address).clips}
    except TraitscopeError:  # the record has what matters most
        return {}


def _baseline_clips(record: Record, corpus: Corpus, address: str) -> tuple[Clip, ...]:
    """Clips of the fitted splits as they were dealt, with the labels of today.

    Those without features count as well: baselines need none, and are the same for every system.
    """
    fitted = {row.clip for row in record.of(address) if row.use in {"fitted", "left_out"}}
    return tuple(clip for clip in corpus.clips if clip.id in fitted)


def _labels_of_the_run(record: Record, corpus: Corpus) -> tuple[Clip, ...]:
    """Fitted clips of the run's own corpus, with labels that mean what those of ``corpus`` mean."""
    if record.own.partition(":")[0] not in registry.names("corpora"):
        raise DataError(
            f"{corpus.name} has no clips to fit baselines on, and {record.own} is no "
            f"corpus of traitscope. Give the labels a train split."
        )
    theirs = saved_corpus(record.own)
    targets = [
        (target, corpus.target(target.name))
        for target in theirs.targets
        if target.name in corpus.target_names
    ]
    clips = _baseline_clips(record, theirs, record.own)
    return tuple(replace(clip, targets=_in_meaning(clip, targets)) for clip in clips)


def _in_meaning(clip: Clip, targets: Sequence[tuple[Target, Target]]) -> dict[str, float]:
    known = [(a, b) for a, b in targets if a.name in clip.targets]
    values = np.array([clip.targets[a.name] for a, _ in known])
    # Means of labels that run the other way would be baselines which anything beats.
    aligned, _ = align_directions(values, [a for a, _ in known], [b for _, b in known])
    return {b.name: float(v) for (_, b), v in zip(known, aligned, strict=True)}


def _same_marks(record: Record, learnt: Sequence[Clip], asked: Sequence[Clip]) -> list[str]:
    """Scored clips whose media are those of a fitted clip that is not there any more."""
    # Files that are there were compared whole already; of the others only a mark is left.
    present = {clip.id for clip in learnt if clip.path is not None and Path(clip.path).is_file()}
    gone = {r.media: r.clip for r in record.used(LEARNT) if r.media and r.clip not in present}
    pairs = [f"{c.id} = {gone[m]}" for c in asked if gone and (m := media_mark(c.path)) in gone]
    if not pairs:
        return []
    return [
        f"{len(pairs)} of {len(asked)} scored clips {FITTED_THEMSELVES}, under another name "
        f"(such as {some(pairs, _EXAMPLES)})."
    ]


def _selection(record: Record, asked: Sequence[Clip], address: str) -> list[str]:
    chosen = {row.clip for row in record.of(address) if row.use in SELECTED}
    mine = [clip.id for clip in asked if clip.id in chosen]
    if not mine:
        return []
    return [
        f"{len(mine)} of {len(asked)} scored clips are selection data: epoch and settings may be "
        f"chosen by them, so this is no test (such as {some(mine, _EXAMPLES)})."
    ]
