"""One face on both sides of a split, where sources and subjects say nothing of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from traitscope.audit.leakage import audit_leakage
from traitscope.audit.same_faces import STRANGERS, same_faces
from traitscope.audit.scored import scored_table
from traitscope.errors import DataError
from traitscope.extract.face_embedding import COLUMNS
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.types import Clip, Corpus, Stream, Target

RNG = np.random.default_rng(0)
PEOPLE = RNG.normal(size=(40, 128))
PEOPLE *= 0.6 / np.linalg.norm(PEOPLE, axis=1, keepdims=True)  # some .85 from one to the other


def faces_of(folder: Path, people: Mapping[str, int | None], *, apart: float = 1.0) -> Store:
    """A store with two rows of each clip's person, a little apart; of nobody, a row without."""
    request, store = make_request("face_embedding", {}), Store(folder)
    store.add(request.key, request.fingerprint)
    for clip, person in people.items():
        values = np.full((2, 128), np.nan) if person is None else apart * PEOPLE[[person, person]]
        values = (values + RNG.normal(0, 0.01, (2, 128))).astype(np.float32)
        valid = np.array([person is not None] * 2)
        stream = Stream(np.arange(2.0), values, valid=valid, columns=COLUMNS)
        store.record(request.key, store.write(request.key, clip, stream))
    store.settle(request.key)
    return store


def both(
    folder: Path, fitted: Sequence[int | None], scored: Sequence[int | None], apart: float = 1.0
) -> Corpus:
    """Two clips of each recording; two recordings of one person have sources of their own."""
    clips, people = [], {}
    for split, side in (("train", fitted), ("test", scored)):
        for number, person in enumerate(side):
            for part in range(2):
                clip = Clip(
                    f"{split}{number}-{part}",
                    source=f"{split}{number}",
                    split=split,
                    targets={"openness": 0.5},
                )
                clips.append(clip)
                people[clip.id] = person
    faces_of(folder, people, apart=apart)
    return Corpus("faces", "apparent", (Target("openness", 0, 1, 1),), tuple(clips))


def sides(corpus: Corpus) -> tuple[list[Clip], list[Clip]]:
    """Its scored clips and its fitted ones."""
    test, train = ([c for c in corpus.clips if c.split == split] for split in ("test", "train"))
    return test, train


def test_a_person_in_two_recordings_is_found_and_strangers_are_not(tmp_path: Path) -> None:
    corpus = both(tmp_path, range(30), [3, 31, 32, 33])
    seen = same_faces(*sides(corpus), Store(tmp_path), corpus="faces")
    assert [(one, other.split("-")[0]) for one, other in seen.pairs] == [
        ("test0-0", "train3"),
        ("test0-1", "train3"),
    ]
    assert (seen.untied, seen.recognised, seen.lacking) == (2, 1.0, 0)
    assert 0.2 < seen.threshold <= STRANGERS


def test_people_who_look_alike_draw_the_threshold_in(tmp_path: Path) -> None:
    # Their faces are a third as far apart as dlib's bound, as those of one family, or rendered.
    corpus = both(tmp_path, range(25), [26, 27, 28], apart=0.25)
    seen = same_faces(*sides(corpus), Store(tmp_path), corpus="faces")
    assert seen.threshold < 0.3
    assert seen.pairs == ()


def test_the_audit_names_pairs_and_how_the_bound_was_found(tmp_path: Path) -> None:
    corpus = both(tmp_path, [*range(20), None], [5, 31])
    table = tmp_path / "theirs.csv"
    rows = [f"{clip.id},0.5" for clip in corpus.clips if clip.split == "test"]
    table.write_text("\n".join(["clip,predicted_openness", *rows]))
    scored = scored_table(table, corpus)
    audit = audit_leakage(scored, faces=tmp_path)
    (faces,) = [leak for leak in audit.findings if "face" in leak.kind]
    assert (faces.clips, faces.shared_count) == (2, 2)
    assert faces.shared[0].startswith("test0-0 = train5-")
    assert any("2 of them of no source or subject" in text for text in audit.sentences)
    assert any("2 clips have no stored face" in note for note in audit.notes)
    assert not any("face" in leak.kind for leak in audit_leakage(scored).findings)


def test_a_store_without_faces_is_told_how_to_make_them(tmp_path: Path) -> None:
    corpus = both(tmp_path / "some", [0, 1], [2])
    scored, fitted = corpus.clips[4:], corpus.clips[:4]
    with pytest.raises(DataError, match=r"has no face_embedding. Make it: .*--extract face_emb"):
        same_faces(scored, fitted, Store(tmp_path / "none"), corpus="faces")
    faces_of(tmp_path / "half", {clip.id: 0 for clip in scored})
    with pytest.raises(DataError, match="faces of 2 scored and 0 fitted clips"):
        same_faces(scored, fitted, Store(tmp_path / "half"), corpus="faces")
