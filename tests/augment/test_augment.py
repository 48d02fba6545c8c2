"""Transforms of training examples: what each does by hand, and what all of them keep to."""

from typing import Any

import numpy as np
import pytest

from traitscope import registry
from traitscope.augment import blend, change, settle
from traitscope.augment.decimate_shift_slice import Config as CopiesConfig
from traitscope.augment.decimate_shift_slice import copies
from traitscope.augment.flip import partners
from traitscope.errors import ConfigError
from traitscope.extract.landmarks import TO_68
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD
from traitscope.tracking._canonical import FACE

NAMES = registry.names("augment")
ALWAYS: dict[str, dict[str, float]] = {
    "flip": {"probability": 1.0},
    "erase": {"probability": 1.0},
    "resized_crop": {"area": 0.6},
    "rotate": {"degrees": 40},
}
ONE_CLIP = [name for name in NAMES if name != "mixup"]


def material(rows: int = 6) -> tuple[dict[str, Any], dict[str, Any]]:
    """Streams of every kind; each image row holds the same picture; row 2 is missing."""
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 1, (3, 20, 24)).astype(np.float32)
    images = np.repeat(((picture - 0.45) / 0.22)[None], rows, axis=0).astype(np.float32)
    streams = {
        "faces": images,
        "frames": images.copy(),
        "landmarks": rng.uniform(0, 1, (rows, 68, 2)).astype(np.float32),
        "signals": rng.normal(size=(40 * rows, 5)).astype(np.float32),
        "waveform": rng.uniform(-0.5, 0.5, 3000).astype(np.float32),
    }
    masks = {name: np.ones(len(values), bool) for name, values in streams.items()}
    for name, values in streams.items():
        masks[name][2] = False
        values[2] = 0
    return streams, masks


def drawn(name: str, streams: dict[str, Any]) -> set[str]:
    """The streams that a transform goes with."""
    return set(streams) - set(getattr(registry.load("augment", name), "CLASHES", ()))


def changed(name: str, *, seed: int = 0, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    streams, masks = material()
    chosen = settle({name: {**ALWAYS.get(name, {}), **settings}}, drawn(name, streams))
    return change(streams, masks, chosen, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ONE_CLIP)
def test_a_transform_changes_its_streams_and_no_others(name: str) -> None:
    streams, masks = material()
    chosen = settle({name: ALWAYS.get(name, {})}, drawn(name, streams))
    own = set(chosen[0].config.streams)
    moved: set[str] = set()
    for seed in range(6):
        after, _ = change(streams, masks, chosen, np.random.default_rng(seed))
        moved |= {k for k in streams if not np.array_equal(after[k], streams[k])}
        for key in streams:
            assert after[key].shape[1:] == streams[key].shape[1:]
            assert after[key].dtype == streams[key].dtype
    assert moved == own & set(streams)


@pytest.mark.parametrize("name", ONE_CLIP)
def test_what_comes_in_is_left_alone_and_a_seed_repeats_it(name: str) -> None:
    streams, masks = material()
    before = {key: values.copy() for key, values in streams.items()}
    chosen = settle({name: ALWAYS.get(name, {})}, drawn(name, streams))
    one = change(streams, masks, chosen, np.random.default_rng(5))
    two = change(streams, masks, chosen, np.random.default_rng(5))
    for key in streams:
        np.testing.assert_array_equal(streams[key], before[key])
        np.testing.assert_array_equal(one[0][key], two[0][key])
        np.testing.assert_array_equal(one[1][key], two[1][key])


@pytest.mark.parametrize("name", ONE_CLIP)
def test_a_missing_row_stays_missing_and_zero(name: str) -> None:
    for seed in range(4):
        streams, masks = changed(name, seed=seed)
        for key, mask in masks.items():
            assert len(mask) == len(streams[key])
            assert mask.any()
            assert not streams[key][~mask].any(), key
    assert not masks["faces"][2]


@pytest.mark.parametrize("name", ["flip", "crop", "colour", "erase"])
def test_all_images_of_a_clip_change_alike_in_every_stream(name: str) -> None:
    for seed in range(5):
        streams, masks = changed(name, seed=seed)
        rows = streams["faces"][masks["faces"]]
        for row in rows[1:]:
            np.testing.assert_array_equal(row, rows[0])
        np.testing.assert_array_equal(streams["faces"], streams["frames"])


def test_flip_mirrors_left_and_right_half_of_the_time() -> None:
    streams, _ = material()
    after, _ = changed("flip")
    np.testing.assert_array_equal(after["faces"][0], streams["faces"][0, :, :, ::-1])
    flips = [
        not np.array_equal(changed("flip", seed=s, probability=0.5)[0]["faces"], streams["faces"])
        for s in range(100)
    ]
    assert 35 < sum(flips) < 65


@pytest.mark.parametrize("points", [68, 478])
def test_partners_swap_sides_in_pairs(points: int) -> None:
    pairs = partners(points)
    np.testing.assert_array_equal(pairs[pairs], np.arange(points))
    middle = {68: 10, 478: 28}[points]  # chin, 5 of the nose, 4 of the lips
    assert int((pairs == np.arange(points)).sum()) == middle


def test_partners_are_those_of_a_symmetric_face() -> None:
    np.testing.assert_allclose(FACE[partners(68)], FACE * (-1, 1, 1))
    mesh = partners(478)
    left_of = {33: 263, 133: 362, 159: 386, 61: 291, 127: 356, 468: 473, 469: 476}
    assert {one: int(mesh[one]) for one in left_of} == left_of
    np.testing.assert_array_equal(mesh[TO_68], TO_68[partners(68)])


def test_flip_mirrors_points_and_what_they_mean() -> None:
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 36] = 0.25, 0.5  # outer corner of the eye left in the picture
    points[0, 45] = 0.875, 0.5625
    points[0, 8] = 0.5, 1.0  # chin
    chosen = settle({"flip": {"probability": 1}}, ["landmarks"])
    given = {"landmarks": points}, {"landmarks": np.ones(1, bool)}
    after, _ = change(*given, chosen, np.random.default_rng(0))
    moved = after["landmarks"][0]
    assert moved[36].tolist() == [0.125, 0.5625]
    assert moved[45].tolist() == [0.75, 0.5]
    assert moved[8].tolist() == [0.5, 1.0]
    again, _ = change(after, given[1], chosen, np.random.default_rng(0))
    np.testing.assert_array_equal(again["landmarks"], points)


@pytest.mark.parametrize("name", ["flip", "crop", "resized_crop", "rotate"])
def test_a_point_stays_on_what_it_marks(name: str) -> None:
    x, y = 0.3, 0.6  # of a bright spot
    down, across = np.mgrid[:200, :200] / 200 + 1 / 400
    spot = np.exp(-((across - x) ** 2 + (down - y) ** 2) / 0.002).astype(np.float32)
    streams = {"faces": np.broadcast_to(spot, (2, 3, 200, 200)).copy()}
    streams["landmarks"] = np.full((2, 68, 2), (x, y), np.float32)
    masks = {stream: np.ones(2, bool) for stream in streams}
    chosen = settle({name: ALWAYS.get(name, {})}, streams)
    farthest = 0.0
    for seed in range(5):
        after, _ = change(streams, masks, chosen, np.random.default_rng(seed))
        row, column = np.divmod(int(after["faces"][1, 0].argmax()), 200)
        found = (column + 0.5) / 200, (row + 0.5) / 200
        np.testing.assert_allclose(after["landmarks"][1, 0], found, atol=0.02)
        farthest = max(farthest, float(np.abs(after["landmarks"][1, 0] - (x, y)).max()))
    assert farthest > 0.05


def test_flip_is_refused_beside_signals_that_it_cannot_mirror() -> None:
    with pytest.raises(ConfigError, match=r"augment\.flip cannot go with signals: gaze"):
        settle({"flip": {}}, ["faces", "signals"])


def test_crop_shows_a_part_enlarged() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 50, dtype=np.float32), (2, 3, 50, 50)).copy()
    masks = {"faces": np.ones(2, bool)}
    chosen = settle({"crop": {"smallest": 0.5}}, ["faces"])
    for seed in range(10):
        after, _ = change({"faces": ramp}, masks, chosen, np.random.default_rng(seed))
        span = after["faces"][0, 0, 25]
        assert 0.4 < span.max() - span.min() <= 1
        assert (np.diff(span) >= 0).all()
        np.testing.assert_allclose(after["faces"][0, 0, 10], span, atol=1e-6)


def test_resized_crop_may_be_of_another_shape() -> None:
    down, across = np.mgrid[:200, :200] / 200
    slopes = np.stack([across, down, across + down]).astype(np.float32)
    chosen = settle({"resized_crop": {"area": 0.3, "flattest": 0.5}}, {"faces": None})
    ratios = []
    for seed in range(8):
        given = {"faces": slopes[None]}, {"faces": np.ones(1, bool)}
        after = change(*given, chosen, np.random.default_rng(seed))[0]["faces"][0]
        sides = np.ptp(after[0]), np.ptp(after[1])  # shares of the picture that are left of it
        assert sides[0] * sides[1] > 0.25
        ratios.append(float(sides[0] / sides[1]))
    assert min(ratios) < 0.85
    assert 1.15 < max(ratios) < 2.1


def test_rotation_is_no_farther_than_asked() -> None:
    streams = {"landmarks": np.tile(np.array([1.0, 0.5], np.float32), (1, 68, 1))}
    chosen = settle({"rotate": {"degrees": 10.0}}, streams)
    angles = []
    for seed in range(40):
        masks = {"landmarks": np.ones(1, bool)}
        after, _ = change(streams, masks, chosen, np.random.default_rng(seed))
        x, y = after["landmarks"][0, 0] - 0.5
        assert np.hypot(x, y) == pytest.approx(0.5, abs=1e-6)
        angles.append(float(np.degrees(np.arctan2(y, x))))
    assert -10 <= min(angles) < -5
    assert 5 < max(angles) <= 10


def test_colour_of_a_grey_image_changes_by_its_brightness_alone() -> None:
    mean, sd = IMAGENET_MEAN[:, None, None], IMAGENET_SD[:, None, None]
    grey = np.full((1, 3, 8, 8), 0.5, np.float32)
    chosen = settle({"colour": {"brightness": 0.4}}, ["faces"])
    given = {"faces": ((grey - mean) / sd).astype(np.float32)}
    after, _ = change(given, {"faces": np.ones(1, bool)}, chosen, np.random.default_rng(1))
    pixels = after["faces"] * sd + mean
    assert np.ptp(pixels) < 1e-5
    assert 0.3 <= pixels.mean() <= 0.7
    assert abs(pixels.mean() - 0.5) > 0.001


def test_saturation_and_contrast_keep_the_mean_grey() -> None:
    mean, sd = IMAGENET_MEAN[:, None, None], IMAGENET_SD[:, None, None]
    pixels = np.random.default_rng(0).uniform(0.3, 0.7, (1, 3, 8, 8)).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114])
    for setting in ("contrast", "saturation"):
        chosen = settle(
            {"colour": {"brightness": 0, "contrast": 0, "saturation": 0, setting: 0.5}}, ["faces"]
        )
        given = {"faces": ((pixels - mean) / sd).astype(np.float32)}
        after, _ = change(given, {"faces": np.ones(1, bool)}, chosen, np.random.default_rng(3))
        shown = after["faces"] * sd + mean
        grey, before = (np.einsum("rchw,c->rhw", p, luma) for p in (shown, pixels))
        assert grey.mean() == pytest.approx(before.mean(), abs=1e-5)
        assert not np.allclose(shown, pixels, atol=1e-3)
        if setting == "saturation":
            np.testing.assert_allclose(grey, before, atol=1e-5)
        else:
            factor = grey.std() / before.std()
            assert 0.5 <= factor <= 1.5
            np.testing.assert_allclose(
                shown - before.mean(), factor * (pixels - before.mean()), atol=1e-4
            )


def test_erase_hides_a_rectangle_of_the_asked_size() -> None:
    ones = {"faces": np.ones((3, 3, 100, 100), np.float32)}
    masks = {"faces": np.ones(3, bool)}
    chosen = settle({"erase": {"probability": 1.0, "area": [0.1, 0.2]}}, ["faces"])
    for seed in range(20):
        after, _ = change(ones, masks, chosen, np.random.default_rng(seed))
        hidden = after["faces"][0, 0] == 0
        assert 0.08 < hidden.mean() < 0.23
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        assert len(rows) * len(columns) == hidden.sum()


def test_copies_are_those_of_head_motion() -> None:
    found = copies(250, CopiesConfig())
    expected = [
        np.arange(250),
        np.arange(0, 250, 2),
        np.arange(1, 250, 2),
        np.concatenate([np.zeros(5, int), np.arange(245)]),
        np.arange(100),
        np.arange(100, 200),
    ]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_copies_of_short_clips_and_single_ones() -> None:
    assert [c.tolist() for c in copies(3, CopiesConfig(shift=1))] == [
        [0, 1, 2],
        [0, 2],
        [1],
        [0, 0, 1],
    ]
    only = CopiesConfig(decimate=False, shift=0, slice=2)
    assert [c.tolist() for c in copies(5, only)] == [[0, 1, 2, 3, 4], [0, 1], [2, 3]]
    assert [c.tolist() for c in copies(1, CopiesConfig())] == [[0], [0]]


def test_every_copy_is_drawn_about_equally_often_and_rows_move_together() -> None:
    values = np.arange(250, dtype=np.float32)[:, None]
    chosen = settle({"decimate_shift_slice": {}}, ["signals"])
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(600):
        after, _ = change(
            {"signals": values},
            {"signals": np.ones(250, bool)},
            chosen,
            np.random.default_rng(seed),
        )
        key = tuple(after["signals"][:, 0].astype(int))
        counts[key] = counts.get(key, 0) + 1
    assert set(counts) == {tuple(c) for c in copies(250, CopiesConfig())}
    assert min(counts.values()) > 60


def test_noise_has_the_asked_spread() -> None:
    streams, masks = material(rows=200)
    after, _ = change(
        streams, masks, settle({"noise": {"sd": 0.3}}, streams), np.random.default_rng(0)
    )
    added = (after["signals"] - streams["signals"])[masks["signals"]]
    assert added.std() == pytest.approx(0.3, rel=0.02)
    assert abs(added.mean()) < 0.01


def test_time_mask_hides_spans_and_never_a_whole_clip() -> None:
    for seed in range(20):
        _, masks = changed("time_mask", seed=seed, spans=3, longest=0.2)
        hidden = ~masks["signals"]
        assert hidden.mean() <= 0.62
        starts = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int)])) == 1)
        assert len(starts) <= 4
    one = {"signals": np.ones((1, 2), np.float32)}
    chosen = settle({"time_mask": {"spans": 9, "longest": 0.99}}, one)
    for seed in range(20):
        _, masks = change(one, {"signals": np.ones(1, bool)}, chosen, np.random.default_rng(seed))
        assert masks["signals"].all()


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
    after, _ = change(silent, {"waveform": np.ones(50, bool)}, chosen, np.random.default_rng(0))
    assert not after["waveform"].any()


def test_sound_shift_moves_and_fills_with_silence() -> None:
    ramp = {"waveform": np.linspace(0.1, 0.9, 100, dtype=np.float32)}
    chosen = settle({"sound_shift": {"farthest": 0.3}}, ramp)
    shifts = set()
    for seed in range(20):
        after, _ = change(
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
        mixed = blend(samples, chosen, np.random.default_rng(seed))
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
        samples, blend(samples, chosen, np.random.default_rng(0)), strict=True
    ):
        assert mixed is sample


def test_an_idle_or_unknown_transform_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"augment\.flip has no effect.*the model takes signals"):
        settle({"flip": {}}, ["signals"])
    with pytest.raises(ConfigError, match="Did you mean 'flip'"):
        settle({"flipp": {}}, ["faces"])
    with pytest.raises(ConfigError, match="did you mean 'probability'"):
        settle({"flip": {"probabilty": 1}}, ["faces"])
