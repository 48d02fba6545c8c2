"""What the scored clips share with the fitted ones: a protocol's clips in, counts and examples out.

The same check as that of training and evaluation (`traitscope.data.protocols.leakage`), in full.
"""

from pathlib import Path
from typing import Any

from traitscope.audit.findings import Leak, Leakage
from traitscope.audit.same_faces import same_faces
from traitscope.audit.scored import Scored
from traitscope.data import protocols
from traitscope.errors import ConfigError
from traitscope.features.remote import open_store

_EXAMPLES = 20

Kind = tuple[str, int, tuple[Any, ...]]
"""A kind of leak, how many scored clips it touches, what is shared."""


def audit_leakage(
    scored: Scored, *, media_hash: bool = False, faces: Path | str | None = None
) -> Leakage:
    """Count what leaks from fitted to scored clips.

    Args:
        scored: predictions, with the clips that were fitted.
        media_hash: also compare the bytes of media files of equal size.
        faces: store with ``face_embedding`` of the clips, to look for one face on both sides.

    Returns:
        Kinds of leaks, how many scored clips each touches, what is shared (at most 20 named); and
        the same in words.

    Raises:
        ConfigError: every fold was fitted on clips of its own.
        DataError: the store has no such faces.
    """
    # Over all folds each clip is scored once and fitted in the others: everything would leak.
    if scored.protocol.fold == "all":
        raise ConfigError(f"Audit one fold at a time, such as {scored.name}/fold-0.")
    leaks = protocols.leakage(scored.fitted, scored.clips, media_hash=media_hash)
    kinds, sentences = _kinds(leaks), list(leaks.sentences)
    notes = [
        f"Fitted: {scored.protocol.fit} of the {scored.protocol.kind} split, "
        f"{len(scored.fitted)} clips. What a system was really fitted on, only its author knows."
    ]
    if faces is not None:
        seen = same_faces(scored.clips, scored.fitted, open_store(faces), corpus=scored.corpus.name)
        kinds.append(("clips with a fitted clip's face", len(seen.pairs), seen.pairs))
        sentences += [text for text in [seen.sentence(len(scored.clips))] if text]
        notes.append(seen.note)
    elif not any(clip.subject is not None for clip in scored.clips):
        notes.append(
            "Subjects are not known, so a person on both sides would not be seen; --faces STORE "
            "compares faces."
        )
    if not media_hash:
        notes.append("Media files were compared by name only; --media-hash compares their bytes.")
    return Leakage(
        **scored.head(),
        fitted_clips=len(scored.fitted),
        findings=tuple(_leak(*kind) for kind in kinds),
        sentences=tuple(sentences),
        notes=tuple(notes),
    )


def _kinds(leaks: protocols.Leakage) -> list[Kind]:
    """What the corpus itself knows."""
    return [
        ("clips that were fitted", len(leaks.clips), leaks.clips),
        ("clips from a fitted source", leaks.source_clips, leaks.sources),
        ("clips of a fitted subject", leaks.subject_clips, leaks.subjects),
        ("clips with a fitted clip's media", len(leaks.media), leaks.media),
        ("clips with nearly a fitted clip's words", len(leaks.transcripts), leaks.transcripts),
    ]


def _leak(kind: str, count: int, shared: tuple[Any, ...]) -> Leak:
    # In pairs: the scored clip, and the fitted one that it equals.
    names = [" = ".join(item) if isinstance(item, tuple) else item for item in shared[:_EXAMPLES]]
    return Leak(kind=kind, clips=count, shared=tuple(names), shared_count=len(shared))
