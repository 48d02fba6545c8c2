"""Several corpora as one: a YAML file with their addresses -> Corpus.

    corpora:
      - first_impressions:/data/fi
      - table:mine/clips.csv          # as it lies beside this file

Targets of one name are one target, in the range and direction of the corpus that is named first:
labels of the others are stretched to that range, and mirrored where high means the opposite there.
A target that only some have is learnt from those. Each clip has the attribute ``domain``, the name
of its corpus, by which ``audit fairness`` compares and a ``metadata`` stream tells them apart.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from traitscope.config import Config, build, read_yaml
from traitscope.corpora import saved_corpus
from traitscope.errors import ConfigError, DataError, some
from traitscope.types import Clip, Corpus, Kind, Target

DOMAIN = "domain"
"""Attribute of each clip: the corpus it is of."""


class Declaration(Config):
    """What the file says."""

    corpora: Annotated[tuple[str, ...], Field(min_length=2)]
    """Addresses; paths are relative to the file."""
    name: str | None = None
    """Of the whole in reports; the file's name when left out."""
    kind: Kind | None = None
    """Whose judgement the labels are: needed where the corpora differ in it."""


def load(path: Path) -> Corpus:
    """Load all corpora of a file.

    Raises:
        ConfigError: the file is wrong, or names code from outside.
        DataError: labels of two corpora cannot be brought into one range or direction.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file {path} with the addresses of corpora.")
    declaration = build(Declaration, read_yaml(path), where=str(path))
    parts = [
        saved_corpus(_beside(address, path.parent), source=str(path))
        for address in declaration.corpora
    ]
    kinds = {part.kind for part in parts}
    if len(kinds) > 1 and declaration.kind is None:
        raise ConfigError(
            f"{path}: {', '.join(f'{part.name} is {part.kind}' for part in parts)}. What observers "
            f"see and what people say of themselves are two things; if they are to be learnt "
            f"as one, say which the whole is to be called: kind: apparent"
        )
    targets: dict[str, Target] = {}
    for part in parts:
        targets |= {t.name: t for t in part.targets if t.name not in targets}
    clips, renamed = _clips(parts, targets)
    notes = [f"{part.name}: {note}" for part in parts for note in part.notes]
    notes += [f"{part.name}: {len(part.clips)} clips" for part in parts]
    if renamed:
        notes.append(f"{len(renamed)} ids stood in two corpora, and are now {some(renamed, 3)}")
    return Corpus(
        name=declaration.name or f"joined:{path.name}",
        kind=declaration.kind or parts[0].kind,
        targets=tuple(targets.values()),
        clips=clips,
        notes=tuple(notes),
        aggregate=parts[0].aggregate if len({p.aggregate for p in parts}) == 1 else "clip",
    )


def _beside(address: str, folder: Path) -> str:
    """An address whose path is relative to a folder."""
    name, colon, rest = address.partition(":")
    if not colon or not rest or Path(rest).expanduser().is_absolute():
        return address
    return f"{name}:{folder / rest}"


def _clips(
    parts: list[Corpus], targets: Mapping[str, Target]
) -> tuple[tuple[Clip, ...], list[str]]:
    """The clips of all parts, and the ids that had to change."""
    clips: dict[str, Clip] = {}
    renamed = []
    for number, part in enumerate(parts, 1):
        for clip in part.clips:
            name = clip.id
            if name in clips:
                name = f"{clip.id}__{number}"
                renamed.append(name)
            labels = {
                target: _brought(value, part.target(target), targets[target], part.name)
                for target, value in clip.targets.items()
                if target in targets
            }
            known = {**clip.attributes, DOMAIN: part.name}
            clips[name] = replace(clip, id=name, targets=labels, attributes=known)
    return tuple(clips.values()), renamed


def _brought(value: float, own: Target, target: Target, corpus: str) -> float:
    """A label in the range and direction of the target."""
    if own == target:
        return value
    if None in {own.direction, target.direction}:
        raise DataError(
            f"Whether a high {own.name!r} means more or less of it is not said in {corpus} or the "
            f"corpus before it: declare its direction (1 or -1), or leave one of them out."
        )
    ends = (own.low, own.high, target.low, target.high)
    if own.low is None or own.high is None or target.low is None or target.high is None:
        if set(ends) != {None}:
            raise DataError(
                f"{own.name!r} has a range in one corpus and is a z-score in another ({corpus}): "
                f"there is no way from one to the other. Leave one of them out."
            )
        return value if own.direction == target.direction else -value
    share = (value - own.low) / (own.high - own.low)
    share = share if own.direction == target.direction else 1 - share
    return target.low + share * (target.high - target.low)
