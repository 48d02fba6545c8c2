"""Suites: what is shipped can be planned, what is wrong is refused, ranks by hand."""

from pathlib import Path

import pytest
import yaml

from traitscope import registry
from traitscope.errors import ConfigError
from traitscope.evaluation.comparison import Comparison, PairedDifference
from traitscope.experiments.suites import Suite, load_suite
from traitscope.report.standings import _groups, letters
from traitscope.runs.plan import load_run, plan


@pytest.mark.parametrize("name", registry.names("suites"))
def test_every_entry_of_a_shipped_suite_can_be_planned(name: str) -> None:
    suite = load_suite(name)
    for entry in suite.entries:
        settings = [*suite.settings, *entry.settings, "data.corpus=fi:x", "data.store=s"]
        if entry.first_stage:
            settings.append("data.first_stage=x")
        assert plan(load_run(entry.recipe, settings)).requests


def test_the_small_suite_has_twelve_systems() -> None:
    assert len(load_suite("zoo_small").entries) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entries": []}, "no entries"),
        ({"entries": [{"recipe": "dan"}, {"recipe": "dan"}]}, "two entries are called 'dan'"),
        ({"entries": [{"recipe": "average", "first_stage": "hrnet"}]}, "none above it"),
        ({"entries": [{"recipe": "crnet_etr", "start": "crnet"}]}, "none above it"),
        ({"entries": [{"recipe": "average", "first_stage": "a", "start": "b"}]}, "name one"),
        ({"entries": [{"recipe": "dan", "sets": []}]}, "unknown key 'sets'; did you mean"),
        ({"entries": [{"recipe": "my_lab.net"}]}, "--also my_lab.net"),
    ],
)
def test_a_wrong_suite_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"title": "t", **change}))
    with pytest.raises(ConfigError, match=message):
        load_suite(str(path))


def test_settings_that_entries_share_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    lines = [
        "title: t",
        "entries:",
        "  - {recipe: dan, settings: [&adam [train.lr=1, train.epochs=2], model.width=8]}",
        "  - {recipe: crnet, settings: [*adam, model.depth=18]}",
    ]
    path.write_text("\n".join(lines))
    of_dan, of_crnet = (entry.settings for entry in load_suite(str(path)).entries)
    assert of_dan == ("train.lr=1", "train.epochs=2", "model.width=8")
    assert of_crnet == ("train.lr=1", "train.epochs=2", "model.depth=18")


def test_the_planted_suite_has_every_model_that_its_corpus_feeds() -> None:
    # No attributes, and no encoder of sound, come with a generated corpus.
    lacking = {"metadata_fusion", "audio_embedding_mlp"}
    models = {load_run(entry.recipe).model["name"] for entry in load_suite("zoo_planted").entries}
    assert models == set(registry.names("models")) - lacking


def test_a_suite_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'zoo_small'"):
        load_suite("zoo_smal")


def test_what_is_typed_comes_on_top() -> None:
    suite = Suite.model_validate({"title": "t", "entries": [{"recipe": "dan"}]})
    changed = suite.changed(seeds=3, also=["my_lab.net"], settings=["train.lr=1"])
    assert [entry.title for entry in changed.entries] == ["dan", "my_lab.net"]
    assert (changed.seeds, changed.settings) == (3, ("train.lr=1",))


def compared(p: dict[tuple[str, str], float | None]) -> Comparison:
    """A comparison whose pairs have these corrected p-values."""
    differences = [
        PairedDifference(
            **{"first": first, "second": second, "metric": "ccc", "target": "macro", "value": 0.1},
            **{"low": None, "high": None, "p": value, "p_holm": value, "p_equivalent": None},
        )
        for (first, second), value in p.items()
    ]
    facts = {"split": "test", "clips": 9, "sources": 9, "clusters": 9, "seeds": {}, "margin": 0.02}
    rest = {"targets": (), "labels": {}, "aggregate": "clip", "fit": "train", "scores": {}}
    more = {"differences": tuple(differences), "families": "", "notes": (), "systems": ()}
    return Comparison.model_validate({**facts, **rest, **more})


def test_neighbours_of_which_no_pair_differs_clearly_share_a_letter() -> None:
    # a and b alike, b and c alike, a and c not; d apart from all.
    p = {("a", "b"): 0.5, ("a", "c"): 0.01, ("b", "c"): 0.2}
    p |= {("a", "d"): 0.001, ("b", "d"): 0.001, ("c", "d"): 0.001}
    groups = _groups(["a", "b", "c", "d"], compared(p))
    assert groups == [["a", "b"], ["b", "c"], ["d"]]
    assert [letters(groups, name) for name in "abcd"] == ["a", "ab", "b", "c"]


def test_too_few_people_tell_nobody_apart() -> None:
    assert _groups(["a", "b"], compared({("a", "b"): None})) == [["a", "b"]]
