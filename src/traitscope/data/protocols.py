"""A corpus and a protocol in, the clips of each split out, and what leaks between them.

Official splits are taken as they are. The splits made here keep together what belongs together:
clips that share a source or a subject, directly or through others, land on one side. ``few``
keeps whole groups as well, in an order that depends on the seed alone, until at least so many
training clips are there: a smaller subset is contained in a larger one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from traitscope.config import Config
from traitscope.data.alike import same_media, same_words
from traitscope.data.manifests import deal, read_manifest
from traitscope.errors import DataError, some
from traitscope.types import SPLITS, Clip, Corpus

Fit = Literal["train", "train+validation"]
Group = Literal["source+subject", "source", "subject", "none"]
Share = Annotated[float, Field(ge=0, le=1)]

FITTED_THEMSELVES = "were fitted themselves"
"""The worst a leak can be, in the words of its sentence."""
_EXAMPLES = 3


class Protocol(Config):
    """How clips are split."""

    kind: Literal["official", "kfold", "random", "external"] = "official"
    """official: as the corpus says; kfold: one of ``folds`` parts is the test set and the next
    one validation; random: by ``shares``; external: every clip is a test of what was fitted
    elsewhere."""
    fit: Fit = "train"
    """What the final model, the constant and the look-up are fitted on."""
    group: Group = "source+subject"
    """What stays together in kfold and random splits."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Number of parts of kfold; two only where a manifest gives them and both others are fitted."""
    fold: NonNegativeInt | Literal["all"] = 0
    """Which part of kfold is the test set, from 0; all: each in turn, so that every clip is
    predicted by a run that has not seen it."""
    shares: tuple[Share, Share, Share] = (0.6, 0.2, 0.2)
    """Shares of train, validation and test in a random split."""
    few: PositiveInt | None = None
    """Keep only the first whole groups of training clips that make up so many clips."""
    manifest: str | None = None
    """File (or folder of lists) that gives the split of every clip, or its fold where kind=kfold;
    see ``traitscope corpus manifest``."""
    leaks: Literal["refuse", "warn"] = "refuse"
    """What to do when a kfold or random split leaks; official ones only warn."""
    seed: NonNegativeInt = 0
    """Of kfold and random splits and of ``few``."""

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        if abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"the shares {self.shares} must add up to 1")
        if self.manifest is not None and self.kind not in {"official", "kfold"}:
            raise ValueError(f"a manifest gives the split, so kind={self.kind} has no effect")
        # of two, one is the test and the other validation
        if self.folds == 2 and (self.manifest is None or self.fit == "train"):
            raise ValueError("folds=2 leaves no fold to train on; say 3 or more")
        if self.fold == "all":
            if self.kind != "kfold":
                raise ValueError("fold=all needs kind=kfold")
        elif self.fold >= self.folds:
            raise ValueError(f"there is no fold {self.fold} of {self.folds}; the first is 0")
        return self


@dataclass(frozen=True)
class Splits:
    """The clips of each split, in the order of the corpus.

    Attributes:
        train: clips to learn from.
        validation: clips to select with.
        test: clips to report on.
        fit: names of the splits that are fitted in the end.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    fit: tuple[str, ...] = ("train",)

    @property
    def fitted(self) -> tuple[Clip, ...]:
        """Clips of all splits that are fitted."""
        return tuple(clip for name in self.fit for clip in self.part(name))

    def part(self, name: str) -> tuple[Clip, ...]:
        """Clips of one split by name.

        Raises:
            DataError: there is no such split.
        """
        if name not in SPLITS:
            raise DataError(f"There is no split {name!r}. There are: {', '.join(SPLITS)}.")
        clips: tuple[Clip, ...] = getattr(self, name)
        return clips


@dataclass(frozen=True)
class Leakage:
    """What test clips share with fitted clips.

    Attributes:
        test_clips: number of test clips.
        clips: ids that are on both sides.
        sources: shared sources.
        source_clips: number of test clips from shared sources.
        subjects: shared subjects.
        subject_clips: number of test clips of shared subjects.
        media: pairs (test clip, fitted clip) with the same media file or the same bytes.
        transcripts: pairs (test clip, fitted clip) that say nearly the same.
    """

    test_clips: int
    clips: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    source_clips: int = 0
    subjects: tuple[str, ...] = ()
    subject_clips: int = 0
    media: tuple[tuple[str, str], ...] = ()
    transcripts: tuple[tuple[str, str], ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each kind of leak, with counts and examples; empty when clean."""
        of = f"of {self.test_clips} scored clips"
        leaks = (
            (self.clips, f"{len(self.clips)} {of} {FITTED_THEMSELVES}"),
            (
                self.sources,
                f"{len(self.sources)} sources occur on both sides: {self.source_clips} {of} "
                f"share a source with fitted clips",
            ),
            (
                self.subjects,
                f"{len(self.subjects)} subjects occur on both sides: {self.subject_clips} {of} "
                f"share a subject with fitted clips",
            ),
            (_names(self.media), f"{len(self.media)} {of} have the same media as a fitted clip"),
            (
                _names(self.transcripts),
                f"{len(self.transcripts)} {of} have nearly the transcript of a fitted clip",
            ),
        )
        return tuple(
            f"{text} (such as {some(names, _EXAMPLES)})." for names, text in leaks if names
        )


def split(corpus: Corpus, protocol: Protocol) -> Splits:
    """Split the clips of a corpus; the same clips, protocol and seed give the same splits.

    With ``fold=all`` every clip is in every split, since each fold has its own (``each_fold``).

    Raises:
        DataError: the corpus has no labels, no official split, or too few groups to make one.
    """
    if not corpus.targets:
        raise DataError(
            f"{corpus.name} has no labels, so there is nothing to learn or to score. Put the "
            f"labels into a table: table:clips.csv"
        )
    if protocol.fold == "all":
        return Splits(corpus.clips, corpus.clips, corpus.clips)
    if protocol.manifest is not None:
        names = _given(corpus, protocol)
    elif protocol.kind == "official":
        names = _official(corpus)
    elif protocol.kind == "external":
        names = {clip.id: "test" for clip in corpus.clips}
    elif protocol.kind == "random":
        parts = _deal(corpus, protocol.shares, protocol)
        names = {clip: SPLITS[part] for clip, part in parts.items()}
    else:
        parts = fold_numbers(corpus, protocol)
        names = _of_fold(parts, protocol)
    # In the order of the corpus, whatever the order in which clips were dealt.
    train, validation, test = (
        tuple(clip for clip in corpus.clips if names[clip.id] == name) for name in SPLITS
    )
    if protocol.few is not None:
        train = _few(train, protocol.few, protocol)
    return Splits(train, validation, test, tuple(protocol.fit.split("+")))


def each_fold(protocol: Protocol) -> list[Protocol]:
    """The protocols of single folds that ``fold=all`` stands for; any other is alone."""
    if protocol.fold != "all":
        return [protocol]
    return [protocol.model_copy(update={"fold": number}) for number in range(protocol.folds)]


def leakage(fitted: Sequence[Clip], test: Sequence[Clip], *, media_hash: bool = True) -> Leakage:
    """Find what test clips share with fitted clips.

    Args:
        fitted: clips whose labels were learnt from.
        test: clips that are scored.
        media_hash: also compare the bytes of media files of equal size.
    """
    sources = {clip.source for clip in fitted} & {clip.source for clip in test}
    subjects = ({clip.subject for clip in fitted} & {clip.subject for clip in test}) - {None}
    return Leakage(
        test_clips=len(test),
        clips=tuple(sorted({clip.id for clip in fitted} & {clip.id for clip in test})),
        sources=tuple(sorted(sources)),
        source_clips=sum(clip.source in sources for clip in test),
        subjects=tuple(sorted(name for name in subjects if name is not None)),
        subject_clips=sum(clip.subject in subjects for clip in test),
        media=same_media(fitted, test, media_hash=media_hash),
        transcripts=same_words(fitted, test),
    )


def check_leakage(
    fitted: Sequence[Clip], test: Sequence[Clip], protocol: Protocol, *, media_hash: bool = True
) -> tuple[str, ...]:
    """Return the sentences to warn with, or refuse a split of our own that leaks.

    Raises:
        DataError: a kfold or random split leaks and ``protocol.leaks`` is ``refuse``.
    """
    sentences = leakage(fitted, test, media_hash=media_hash).sentences
    ours = protocol.kind in {"kfold", "random"} and protocol.manifest is None
    if sentences and ours and protocol.leaks == "refuse":
        raise DataError(
            f"The {protocol.kind} split (group={protocol.group}) leaks: {' '.join(sentences)} "
            f"Keep such clips together (protocol.group=source+subject, and one source or subject "
            f"for them in the labels), or accept it with protocol.leaks=warn."
        )
    return sentences


def source_disjoint(test: Sequence[Clip], fitted: Sequence[Clip]) -> tuple[Clip, ...]:
    """Keep the test clips that hang together with no fitted clip by source or person."""
    ids = {clip.id for clip in fitted}
    together = groups([*fitted, *test])
    seen = {clip.id for group in together if any(c.id in ids for c in group) for clip in group}
    return tuple(clip for clip in test if clip.id not in seen)


def cluster_numbers(clips: Sequence[Clip]) -> NDArray[np.intp]:
    """Number of the group by source and subject that each clip belongs to, (clips,) from 0."""
    places = {clip.id: number for number, group in enumerate(groups(clips)) for clip in group}
    return np.array([places[clip.id] for clip in clips], dtype=np.intp)


def groups(clips: Sequence[Clip], group: Group = "source+subject") -> list[list[Clip]]:
    """Put clips together that share a source or a subject, directly or through other clips.

    Returns:
        Groups ordered by their first clip id, clips in them by id.
    """
    # Union-find: clips, sources and subjects are nodes, each of which leads to one of its group.
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]  # halves the way for the next one who asks
            key = leader[key]
        return key

    for clip in clips:
        keys = [f"source:{clip.source}"] if "source" in group else []
        if "subject" in group and clip.subject is not None:
            keys.append(f"subject:{clip.subject}")
        for key in keys:
            # Whoever leads the source or subject now follows the clip: two groups become one.
            leader[find(key)] = find(f"clip:{clip.id}")
    members: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.id):
        members[find(f"clip:{clip.id}")].append(clip)
    return list(members.values())


def _official(corpus: Corpus) -> dict[str, str]:
    names = {clip.id: clip.split for clip in corpus.clips if clip.split is not None}
    without = [clip.id for clip in corpus.clips if clip.split is None]
    if without:
        raise DataError(
            f"{corpus.name}: {len(without)} of {len(corpus.clips)} clips have no official split "
            f"(such as {some(without, _EXAMPLES)}). Add it to the labels, or split here: "
            f"protocol.kind=random or protocol.kind=kfold."
        )
    return names


def fold_numbers(corpus: Corpus, protocol: Protocol) -> dict[str, int]:
    """Number of the fold that tests each clip, of kind=kfold."""
    return _deal(corpus, (1 / protocol.folds,) * protocol.folds, protocol)


def manifest_facts(protocol: Protocol) -> dict[str, str]:
    """What reports and cards say of given splits: the file, and the hash of its content."""
    if protocol.manifest is None:
        return {}
    return {"manifest": f"{protocol.manifest} ({read_manifest(Path(protocol.manifest)).mark})"}


def _given(corpus: Corpus, protocol: Protocol) -> dict[str, str]:
    """Clip -> split, as a manifest gives it."""
    manifest = read_manifest(Path(str(protocol.manifest)), folds=protocol.kind == "kfold")
    dealt = deal(corpus, manifest)
    if protocol.kind == "official":
        if manifest.folds:
            raise DataError(
                f"{manifest.path} gives folds. Say protocol.kind=kfold "
                f"protocol.folds={max(manifest.folds.values()) + 1}."
            )
        return {clip: str(place) for clip, place in dealt.items()}
    folds = sorted(set(manifest.folds.values()))
    if folds != list(range(protocol.folds)):
        raise DataError(
            f"{manifest.path} has the folds {some([str(f) for f in folds]) or 'none'}, not 0 to "
            f"{protocol.folds - 1}. Say protocol.folds={len(folds) or '...'}, or leave out kind."
        )
    return _of_fold({clip: int(place) for clip, place in dealt.items()}, protocol)


def _of_fold(parts: Mapping[str, int], protocol: Protocol) -> dict[str, str]:
    """Clip -> split, for the fold of a protocol."""
    # Validation is the next fold; after the last comes the first again.
    chosen = {protocol.fold: "test", (int(protocol.fold) + 1) % protocol.folds: "validation"}
    return {clip: chosen.get(part, "train") for clip, part in parts.items()}


def _deal(corpus: Corpus, shares: Sequence[float], protocol: Protocol) -> dict[str, int]:
    """Deal whole groups, in random order, to the part that lacks most."""
    hands = _shuffled(groups(corpus.clips, protocol.group), protocol.seed)
    wanted = [share * len(corpus.clips) for share in shares]
    needed = sum(share > 0 for share in shares)
    if len(hands) < needed:
        raise DataError(
            f"{corpus.name} has {len(hands)} groups of clips that belong together "
            f"({protocol.group}), too few for {needed} parts. Split by fewer ties, such as "
            f"protocol.group=subject, or into fewer parts."
        )
    filled = [0] * len(shares)
    places = {}
    for left, hand in zip(range(len(hands), 0, -1), hands, strict=True):
        # The last groups go to parts that have none yet: no part may stay empty.
        empty = [i for i, share in enumerate(shares) if share > 0 and not filled[i]]
        choice = empty if left <= len(empty) else [i for i, s in enumerate(shares) if s > 0]
        part = max(choice, key=lambda i: wanted[i] - filled[i])
        filled[part] += len(hand)
        places.update({clip.id: part for clip in hand})
    return places


def _few(train: tuple[Clip, ...], few: int, protocol: Protocol) -> tuple[Clip, ...]:
    kept: set[str] = set()
    for group in _shuffled(groups(train, protocol.group), protocol.seed):
        if len(kept) >= few:
            break
        kept.update(clip.id for clip in group)
    if len(kept) < few:
        raise DataError(
            f"protocol.few={few}, but there are only {len(train)} training clips. "
            f"Ask for fewer, or leave it out."
        )
    return tuple(clip for clip in train if clip.id in kept)


def _shuffled(hands: list[list[Clip]], seed: int) -> list[list[Clip]]:
    return [hands[i] for i in np.random.default_rng(seed).permutation(len(hands))]


def _names(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{one} = {two}" for one, two in pairs)
