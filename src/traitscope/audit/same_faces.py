"""Whose face stands on both sides of a split: scored and fitted clips in, pairs of clips out.

Corpora know sources, seldom people, and a person who speaks in two recordings leaks as one source
would. The 128 numbers of ``face_embedding`` tell people apart; of a clip their mean is taken, and
of each scored clip the nearest fitted one is looked at.

How near is one person is measured on the corpus itself. For each fitted clip the nearest one of
another known person or source is a stranger, as far as anybody knows:

    distance   0 ......... same person ......... threshold ..... nearest strangers ..... .6 ...
                                                    ^ 1 % of the strangers lie below
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from traitscope.data.protocols import cluster_numbers
from traitscope.errors import DataError
from traitscope.features.exports import names_of
from traitscope.features.origins import serving
from traitscope.features.store import OK, Store
from traitscope.types import Clip

STREAM = "face_embedding"
STRANGERS = 0.6
"""dlib's own bound: two pictures that are farther apart show two people."""
CHANCE = 0.01
"""Share of the fitted clips whose nearest stranger may pass for the same person."""
_EXAMPLES = 3
_ROWS = 512  # of the table of distances at once: ten thousand clips squared would be 800 MB

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SameFaces:
    """What was seen.

    Attributes:
        pairs: (scored clip, fitted clip) with one face; first those that nothing else ties.
        untied: how many of them share neither source nor subject, as far as the corpus knows.
        threshold: distance below which two clips show one person.
        recognised: share of the fitted clips of several-clip people whose nearest clip of the same
            person lies within the threshold; None where nobody has two clips.
        lacking: how many clips have no stored face.
    """

    pairs: tuple[tuple[str, str], ...]
    untied: int
    threshold: float
    recognised: float | None
    lacking: int

    @property
    def note(self) -> str:
        """How the bound was found, and how good it is."""
        near = (
            "no clip has another of its source or person to compare"
            if self.recognised is None
            else f"a clip of the same source or person to {self.recognised:.0%} of those that have "
            "one"
        )
        lacking = f" {self.lacking} clips have no stored face." if self.lacking else ""
        return (
            f"Faces nearer than {self.threshold:.2f} count as one person: so near comes a stranger "
            f"to 1 in {1 / CHANCE:.0f} fitted clips at most, and {near}.{lacking}"
        )

    def sentence(self, scored: int) -> str:
        """What it means for so many scored clips; empty where no face is on both sides."""
        if not self.pairs:
            return ""
        shown = ", ".join(f"{clip} = {other}" for clip, other in self.pairs[:_EXAMPLES])
        return (
            f"{len(self.pairs)} of {scored} scored clips show the face of a fitted clip "
            f"(nearer than {self.threshold:.2f}), {self.untied} of them of no source or subject "
            f"that is known on both sides (such as {shown})."
        )


def same_faces(
    scored: Sequence[Clip], fitted: Sequence[Clip], store: Store, *, corpus: str
) -> SameFaces:
    """Pair scored clips with the fitted clip that shows the same face.

    Args:
        scored: clips that were predicted.
        fitted: clips whose labels were learnt from.
        store: with ``face_embedding`` of both.
        corpus: name of the corpus whose clips they are.

    Raises:
        DataError: the store has no faces of a side.
    """
    clips = [*scored, *fitted]
    faces = _faces(store, clips, corpus)
    groups = dict(zip((clip.id for clip in clips), cluster_numbers(clips), strict=True))
    asked, owned = ([c.id for c in side if c.id in faces] for side in (scored, fitted))
    if not asked or not owned:
        raise DataError(
            f"{store.folder} has faces of {len(asked)} scored and {len(owned)} fitted clips, so "
            f"none can be compared. Make them: traitscope prepare CORPUS --store {store.folder} "
            f"--extract {STREAM}"
        )
    threshold, recognised = _calibrated(_table(faces, owned), _numbers(groups, owned))
    nearest, distance = [], []
    for start in range(0, len(asked), _ROWS):
        part = asked[start : start + _ROWS]
        table = cdist(_table(faces, part), _table(faces, owned))
        # A scored clip that was fitted itself is another leak, and no pair of this one.
        table[np.array(part)[:, None] == np.array(owned)] = np.inf
        nearest += table.argmin(axis=1).tolist()
        distance += table.min(axis=1).tolist()
    pairs = [
        (clip, owned[place])
        for clip, place, far in zip(asked, nearest, distance, strict=True)
        if far < threshold
    ]
    tied = [groups[clip] == groups[other] for clip, other in pairs]
    pairs = [pair for _, pair in sorted(zip(tied, pairs, strict=True))]
    return SameFaces(
        tuple(pairs), tied.count(False), threshold, recognised, len(clips) - len(faces)
    )


def _calibrated(table: Array, groups: NDArray[np.intp]) -> tuple[float, float | None]:
    """Distance that few nearest strangers lie within, and the share of friends that do.

    Args:
        table: (clips, numbers).
        groups: (clips,) known person or source of each.
    """
    strangers, friends = [], []
    for start in range(0, len(table), _ROWS):
        part = slice(start, start + _ROWS)
        far = cdist(table[part], table)
        alike = groups[part, None] == groups
        strangers.append(np.where(alike, np.inf, far).min(axis=1))
        itself = np.arange(len(table))[part, None] == np.arange(len(table))
        friends.append(np.where(alike & ~itself, far, np.inf).min(axis=1))
    apart, together = np.concatenate(strangers), np.concatenate(friends)
    apart, together = apart[np.isfinite(apart)], together[np.isfinite(together)]
    # Of a few clips no quantile is an interpolation: the smallest stranger still stays outside.
    near = np.quantile(apart, CHANCE, method="lower") if len(apart) else STRANGERS
    threshold = float(min(STRANGERS, near))
    return threshold, float((together < threshold).mean()) if len(together) else None


def _faces(store: Store, clips: Sequence[Clip], corpus: str) -> dict[str, Array]:
    """Clip -> mean of what is stored of its face (numbers,)."""
    served = serving(store, clips, corpus=corpus)
    keys = [key for key, name in names_of(store).items() if name == STREAM]
    if not keys:
        raise DataError(
            f"{store.folder} has no {STREAM}. Make it: traitscope prepare CORPUS --store "
            f"{store.folder} --extract {STREAM}"
        )
    # Of several settings those of most clips: distances of two settings are no distances.
    done = {k: {c for c, row in served.statuses(k).items() if row.status == OK} for k in keys}
    key = max(done, key=lambda one: (len(done[one]), one))
    faces = {}
    for clip in sorted({clip.id for clip in clips} & done[key]):
        stream = served.read(key, clip)
        if stream.values is not None and stream.mask.any():
            faces[clip] = np.asarray(stream.values, dtype=np.float64)[stream.mask].mean(axis=0)
    return faces


def _table(faces: dict[str, Array], names: Sequence[str]) -> Array:
    return np.stack([faces[name] for name in names])


def _numbers(groups: dict[str, np.intp], names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([groups[name] for name in names], dtype=np.intp)
