"""Augmentation in training: drawn per clip and epoch, inside train only, recorded with the run."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.prepared import make_corpus, make_store, requests
from traitscope.augment import settle
from traitscope.corpora import load_corpus
from traitscope.data.batches import collate
from traitscope.data.examples import Examples
from traitscope.errors import ConfigError
from traitscope.runs.plan import load_run, plan
from traitscope.types import Draw

NOISE = settle({"noise": {"streams": ["signals"]}}, ["signals"])
MIXUP = settle({"mixup": {"alpha": 1.0}}, ["signals"])


def examples(folder: Path, *, seed: int | None = 0, augment: tuple = NOISE) -> Examples:
    address = make_corpus(folder / "corpus")
    store = make_store(folder / "store", address, streams=["signals"])
    corpus = load_corpus(address)
    keys = {"signals": requests()["signals"].key}
    clips, draws = corpus.clips[:8], {"signals": Draw()}
    plain = Examples(clips, store, keys, draws, targets=corpus.target_names)
    return plain if seed is None else plain.for_training(seed, augment)


def test_a_draw_belongs_to_a_clip_and_an_epoch(tmp_path: Path) -> None:
    found = examples(tmp_path)
    first = found[0, 3].streams["signals"]
    np.testing.assert_array_equal(first, found[0, 3].streams["signals"])
    assert not np.allclose(first, found[1, 3].streams["signals"])
    plain = examples(tmp_path / "plain", augment=())[0, 3].streams["signals"]
    other = (
        found[0, 4].streams["signals"]
        - examples(tmp_path / "b", augment=())[0, 4].streams["signals"]
    )
    assert not np.allclose(first - plain, other)


def test_nothing_is_augmented_in_evaluation(tmp_path: Path) -> None:
    evaluated = examples(tmp_path, seed=None)
    evaluated.for_training(0, (*NOISE, *MIXUP))[0]  # gives others and leaves these as they are
    plain = examples(tmp_path / "plain", seed=None)
    for index in range(8):
        np.testing.assert_array_equal(
            evaluated[index].streams["signals"], plain[index].streams["signals"]
        )
    found = evaluated.__getitems__([0, 1, 2])
    assert [e.clip for e in found] == list(evaluated.clips[:3])


def test_a_batch_is_mixed_alike_whenever_it_comes(tmp_path: Path) -> None:
    found = examples(tmp_path, augment=MIXUP)
    places = [(0, 2), (0, 5), (0, 1), (0, 7)]
    one, two = found.__getitems__(places), found.__getitems__(places)
    plain = [found[place] for place in places]
    batch = collate(one, found.targets)
    assert batch.clips == tuple(found.clips[p].id for _, p in places)
    labels = found.labels()
    blended = 0
    for a, b, c, target in zip(one, two, plain, batch.targets, strict=True):
        np.testing.assert_array_equal(a.streams["signals"], b.streams["signals"])
        blended += not np.allclose(a.streams["signals"], c.streams["signals"])
        assert labels.min() <= target.min() <= target.max() <= labels.max()
    assert blended >= 2


def test_settings_are_checked_before_any_work_and_saved_with_the_run() -> None:
    config = load_run("au_hybrid", ["augment.noise.sd=0.2"])
    found = plan(config)
    assert [a.name for a in found.augment] == ["decimate_shift_slice", "noise"]
    with pytest.raises(ConfigError, match=r"augment\.flip has no effect"):
        plan(load_run("au_hybrid", ["augment.flip.probability=1"]))
    with pytest.raises(ConfigError, match=r"augment\.\* settings have no effect"):
        plan(load_run("functionals", ["augment.noise.sd=0.2"]))
