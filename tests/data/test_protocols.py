"""Protocols: what stays together, what is reproducible, and what leaks."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.config import build
from traitscope.data.protocols import (
    Protocol,
    check_leakage,
    groups,
    leakage,
    source_disjoint,
    split,
)
from traitscope.errors import ConfigError, DataError
from traitscope.types import Clip, Corpus, Target

TEXT = "so today I would like to tell you about my garden and the roses in it"


def corpus(clips: Sequence[Clip]) -> Corpus:
    return Corpus("table:x.csv", "apparent", (Target("openness", 0, 1),), tuple(clips))


def clips(number: int, *, per_source: int = 2, per_subject: int = 5) -> list[Clip]:
    return [
        Clip(f"c{i:03}", source=f"s{i // per_source}", subject=f"p{i // per_subject}")
        for i in range(number)
    ]


def test_official_splits_come_from_the_labels() -> None:
    names = ("train", "test", "validation", "train")
    made = corpus([Clip(f"c{i}", split=name) for i, name in enumerate(names)])
    splits = split(made, Protocol(fit="train+validation"))
    assert [clip.id for clip in splits.train] == ["c0", "c3"]
    assert [clip.id for clip in splits.fitted] == ["c0", "c3", "c2"]
    assert splits.part("test")[0].id == "c1"


def test_a_corpus_without_official_split_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"1 of 2 clips have no official split \(such as b\)"):
        split(corpus([Clip("a", split="train"), Clip("b")]), Protocol())


@given(
    ties=st.lists(
        st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30)), min_size=40, max_size=90
    ),
    seed=st.integers(0, 5),
    kind=st.sampled_from(["random", "kfold"]),
)
def test_splits_we_make_share_no_source_and_no_subject(
    ties: list[tuple[int, int | None]], seed: int, kind: str
) -> None:
    made = corpus(
        [
            Clip(f"c{i}", source=f"s{s}", subject=None if p is None else f"p{p}")
            for i, (s, p) in enumerate(ties)
        ]
    )
    protocol = Protocol.model_validate({"kind": kind, "seed": seed, "folds": 3})
    if len(groups(made.clips)) < 3:
        with pytest.raises(DataError, match="too few for 3 parts"):
            split(made, protocol)
        return
    splits = split(made, protocol)
    parts = (splits.train, splits.validation, splits.test)
    assert sum(map(len, parts)) == len(ties)
    assert all(parts)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert not leakage(parts[one], parts[two]).sentences


def test_random_shares_are_kept_and_the_seed_decides() -> None:
    made = corpus(clips(200))
    one, again, other = (split(made, Protocol(kind="random", seed=s)) for s in (1, 1, 2))
    assert one == again
    assert one != other
    assert [len(one.train), len(one.validation), len(one.test)] == [120, 40, 40]


def test_the_order_of_the_labels_does_not_change_the_split() -> None:
    made = clips(60)
    one = split(corpus(made), Protocol(kind="random"))
    two = split(corpus(made[::-1]), Protocol(kind="random"))
    assert {clip.id for clip in one.test} == {clip.id for clip in two.test}


def test_each_clip_is_tested_in_one_fold_and_validated_in_another() -> None:
    made = corpus(clips(100))
    folds = [split(made, Protocol(kind="kfold", fold=fold)) for fold in range(5)]
    assert sorted(c.id for s in folds for c in s.test) == [c.id for c in made.clips]
    assert sorted(c.id for s in folds for c in s.validation) == [c.id for c in made.clips]


def test_small_corpora_fill_every_part() -> None:
    splits = split(corpus(clips(3, per_source=1, per_subject=1)), Protocol(kind="random"))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1, 1, 1)


def test_too_few_groups_are_an_error_that_names_the_way_out() -> None:
    tied = corpus([Clip(f"c{i}", source=f"s{i}", subject="p") for i in range(9)])
    with pytest.raises(DataError, match=r"1 groups .* too few for 3 parts"):
        split(tied, Protocol(kind="random"))
    assert len(split(tied, Protocol(kind="random", group="source")).train) == 5


def test_groups_join_through_others() -> None:
    chain = [
        Clip("a", source="s1", subject="p1"),
        Clip("b", source="s2", subject="p1"),
        Clip("c", source="s2", subject="p2"),
        Clip("d", source="s3"),
    ]
    assert [[c.id for c in g] for g in groups(chain)] == [["a", "b", "c"], ["d"]]
    assert [[c.id for c in g] for g in groups(chain, "source")] == [["a"], ["b", "c"], ["d"]]
    assert len(groups(chain, "none")) == 4


def test_few_clips_are_whole_groups_and_nested() -> None:
    made = corpus(clips(100))
    small, large = (
        {c.id for c in split(made, Protocol(kind="random", few=n)).train} for n in (12, 30)
    )
    assert small < large
    assert 12 <= len(small) < 22
    whole = {c.id for g in groups(made.clips) if g[0].id in small for c in g}
    assert whole == small
    with pytest.raises(DataError, match="there are only 60 training clips"):
        split(made, Protocol(kind="random", few=100))


def test_leaks_are_counted_with_examples() -> None:
    fitted = [Clip("a", source="s", subject="p", transcript=TEXT), Clip("b", source="t")]
    test = [
        Clip("c", source="s", subject="p"),
        Clip("d", source="s"),
        Clip("e", source="u", transcript=TEXT.upper().replace("roses", "tulips, roses")),
        Clip("f", source="v", transcript="so today"),
    ]
    found = leakage(fitted, test)
    assert (found.sources, found.source_clips) == (("s",), 2)
    assert (found.subjects, found.subject_clips) == (("p",), 1)
    assert found.sentences[0] == (
        "1 sources occur on both sides: 2 of 4 scored clips share a source with fitted clips "
        "(such as s)."
    )
    assert [clip.id for clip in source_disjoint(test, fitted)] == ["e", "f"]


def test_near_identical_transcripts_are_found() -> None:
    test = [Clip("x", transcript=TEXT + " right"), Clip("y", transcript=TEXT[::-1])]
    assert leakage([Clip("a", transcript=TEXT)], test).transcripts == (("x", "a"),)


def test_identical_media_are_found_by_their_bytes(tmp_path: Path) -> None:
    for name, data in (("a", b"same"), ("b", b"same"), ("c", b"more"), ("d", b"longer")):
        (tmp_path / name).write_bytes(data)
    fitted = [Clip("a", path=tmp_path / "a"), Clip("gone", path=tmp_path / "gone")]
    test = [Clip(name, path=tmp_path / name) for name in "bcd"]
    assert leakage(fitted, test, media_hash=False).media == ()
    assert leakage(fitted, test).media == (("b", "a"),)
    assert leakage(fitted, [Clip("z", path=tmp_path / "a")]).media == (("z", "a"),)


def test_media_that_only_begin_alike_are_not_identical(tmp_path: Path) -> None:
    for name, end in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(bytes(1 << 17) + end)
    test = [Clip(name, path=tmp_path / name) for name in "bc"]
    assert leakage([Clip("a", path=tmp_path / "a")], test).media == (("c", "a"),)


def test_clips_in_one_table_do_not_share_media(tmp_path: Path) -> None:
    table = tmp_path / "openface.csv"
    table.touch()
    assert leakage([Clip("a", path=table)], [Clip("b", path=table)]).media == ()


def test_stock_phrases_do_not_make_transcripts_alike_and_copies_are_found() -> None:
    fitted = [Clip(f"a{i}", transcript=f"{TEXT} {i} {i + 1} {i + 2}") for i in range(200)]
    copies = [Clip("x", transcript=fitted[7].transcript)]
    assert leakage(fitted, copies).transcripts == (("x", "a7"),)
    assert leakage(fitted, [Clip("y", transcript=f"{TEXT[:40]} and other words")]).transcripts == ()


def test_official_leaks_warn_and_our_own_are_refused() -> None:
    one, two = [Clip("a", source="s")], [Clip("b", source="s")]
    assert "1 sources occur on both sides" in check_leakage(one, two, Protocol())[0]
    with pytest.raises(DataError, match=r"random split \(group=none\) leaks: 1 sources"):
        check_leakage(one, two, Protocol(kind="random", group="none"))
    assert check_leakage(one, two, Protocol(kind="random", leaks="warn"))
    assert check_leakage(one, [Clip("c")], Protocol(kind="random")) == ()


def test_contradictory_protocols_are_refused() -> None:
    with pytest.raises(ConfigError, match="must add up to 1"):
        build(Protocol, {"shares": [0.5, 0.2, 0.2]}, where="test")
    with pytest.raises(ConfigError, match="there is no fold 5 of 5"):
        build(Protocol, {"kind": "kfold", "fold": 5}, where="test")
    with pytest.raises(DataError, match="no split 'tset'"):
        split(corpus([Clip("a", split="test")]), Protocol()).part("tset")
