"""Transforms of sound, and clips that are mixed with others."""

import numpy as np
import pytest

from tests.augment.test_augment import changed, material
from tests.support.augmented import pixels
from traitscope.augment import blend, change, settle
from traitscope.data.batches import collate, to_tensors
from traitscope.data.drawing import Example
from traitscope.errors import ConfigError
from traitscope.types import Clip


def test_gain_is_one_factor_within_its_decibels() -> None:
    streams, masks = material()
    after, _ = changed("sound_gain", seed=3, decibels=6)
    there = masks["waveform"]
    ratio = after["waveform"][there] / streams["waveform"][there]
    assert np.ptp(ratio) < 1e-4
    assert 10 ** (-6 / 20) <= ratio.mean() <= 10 ** (6 / 20)


def test_sound_noise_has_the_asked_ratio_and_leaves_silence() -> None:
    streams, masks = material()
    after, _ = changed("sound_noise", decibels=[20, 20])
    there = masks["waveform"]
    noise = (after["waveform"] - streams["waveform"])[there]
    ratio = np.mean(streams["waveform"][there] ** 2) / np.mean(noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.3)
    silent = {"waveform": np.zeros(50, np.float32)}
    chosen = settle({"sound_noise": {}}, silent)
    after, _, _ = change(silent, {"waveform": np.ones(50, bool)}, chosen, np.random.default_rng(0))
    assert not after["waveform"].any()


def test_sound_shift_moves_and_fills_with_silence() -> None:
    ramp = {"waveform": np.linspace(0.1, 0.9, 100, dtype=np.float32)}
    chosen = settle({"sound_shift": {"farthest": 0.3}}, ramp)
    shifts = set()
    for seed in range(20):
        after, _, _ = change(
            ramp, {"waveform": np.ones(100, bool)}, chosen, np.random.default_rng(seed)
        )
        kept = np.flatnonzero(after["waveform"])
        by = kept[0] if kept[0] else kept[-1] - 99
        first, last = max(0, -by), 100 - max(0, by)
        np.testing.assert_array_equal(after["waveform"][kept], ramp["waveform"][first:last])
        shifts.add(int(by))
    assert min(shifts) < 0 < max(shifts)
    assert max(map(abs, shifts)) <= 30


def test_mixup_blends_rows_and_labels_where_both_are_there() -> None:
    one = {"signals": np.full((4, 1), 2.0, np.float32)}, {"signals": np.array([1, 1, 0, 1], bool)}
    two = {"signals": np.full((3, 1), 4.0, np.float32)}, {"signals": np.array([1, 1, 1], bool)}
    one[0]["signals"][2] = 0
    samples = [(*one, {"a": 0.0, "b": 1.0}), (*two, {"a": 1.0})]
    chosen = settle({"mixup": {"alpha": 1.0}}, ["signals"])
    for seed in range(10):
        mixed, _ = blend(samples, chosen, np.random.default_rng(seed))
        streams, masks, labels = mixed[0]
        if len(streams["signals"]) == 4:  # mixed with itself
            assert labels == {"a": 0.0, "b": 1.0}
            continue
        share = labels["a"]
        assert 0 <= share <= 0.5
        assert set(labels) == {"a"}
        np.testing.assert_array_equal(masks["signals"], [True, True, False])
        expected = [2 + 2 * share, 2 + 2 * share, 0]
        np.testing.assert_allclose(streams["signals"][:, 0], expected, rtol=1e-6)
        return
    pytest.fail("never mixed with another")


def test_mixup_leaves_the_unchosen_alone() -> None:
    streams, masks = material()
    samples = [(streams, masks, {"a": 0.0}), (streams, masks, {"a": 1.0})]
    chosen = settle({"mixup": {"probability": 0.0}}, streams)
    for sample, mixed in zip(
        samples, blend(samples, chosen, np.random.default_rng(0))[0], strict=True
    ):
        assert mixed is sample


def test_mixup_blends_pictures_after_each_was_changed_by_itself() -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (2, 3, 6, 8, 3), np.uint8)
    shown = np.array([[True, True, False], [True, True, True]])
    settings = {"mixup": {"alpha": 1.0}, "flip": {"probability": 0.5}}
    chosen = settle(settings, ["faces"])
    clips = [Clip(name, targets={"a": float(place)}) for place, name in enumerate("xy")]
    given = [({"faces": f}, {"faces": m}) for f, m in zip(faces, shown, strict=True)]
    samples = [(*one, clip.targets) for one, clip in zip(given, clips, strict=True)]
    for seed in range(50):
        draws = [change(*one, chosen, rng)[2] for one in given]
        mixed, more = blend(samples, chosen, np.random.default_rng(seed))
        own = [d | m for d, m in zip(draws, more, strict=True)]
        if own[0]["mixup"][0] == 1 and own[0]["flip"][0] != own[1]["flip"][0]:
            break
    examples = [
        Example(clip, streams, masks, draws=d)
        for clip, (streams, masks, _), d in zip(clips, mixed, own, strict=True)
    ]
    after = to_tensors(collate(examples, ["a"]), augment=chosen)
    share = own[0]["mixup"][1]
    one, two = (f[:, :, ::-1] if d["flip"][0] else f for f, d in zip(faces / 255, own, strict=True))
    expected = (share * one + (1 - share) * two).transpose(0, 3, 1, 2)
    seen = pixels(after.streams["faces"].numpy())[0]
    np.testing.assert_allclose(seen[:2], expected[:2], atol=1e-5)
    assert not after.streams["faces"][0, 2].any()  # one of the two has no such row


def test_pictures_are_refused_by_what_changes_numbers() -> None:
    chosen = settle({"noise": {"streams": ["faces"]}}, ["faces"])
    with pytest.raises(ConfigError, match="faces holds pictures, and this transform changes num"):
        change(*material(), chosen, np.random.default_rng(0))


def test_an_idle_or_unknown_transform_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"augment\.flip has no effect.*the model takes signals"):
        settle({"flip": {}}, ["signals"])
    with pytest.raises(ConfigError, match="Did you mean 'flip'"):
        settle({"flipp": {}}, ["faces"])
    with pytest.raises(ConfigError, match="did you mean 'probability'"):
        settle({"flip": {"probabilty": 1}}, ["faces"])
