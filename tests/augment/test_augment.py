"""Transforms of training examples: what each does by hand, and what all of them keep to."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.augmented import as_seen, pixels
from traitscope import registry
from traitscope.augment import change, settle
from traitscope.augment.decimate_shift_slice import Config as CopiesConfig
from traitscope.augment.decimate_shift_slice import copies
from traitscope.augment.flip import partners
from traitscope.errors import ConfigError
from traitscope.extract.landmarks import TO_68
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
    images = np.repeat(rng.integers(0, 256, (1, 20, 24, 3), np.uint8), rows, axis=0)
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
    return as_seen(streams, masks, chosen, seed)


@pytest.mark.parametrize("name", ONE_CLIP)
def test_a_transform_changes_its_streams_and_no_others(name: str) -> None:
    streams, masks = material()
    chosen = settle({name: ALWAYS.get(name, {})}, drawn(name, streams))
    own = set(chosen[0].config.streams)
    plain, _ = as_seen(streams, masks, ())
    moved: set[str] = set()
    for seed in range(6):
        after, _ = as_seen(streams, masks, chosen, seed)
        moved |= {k for k in streams if not np.array_equal(after[k], plain[k])}
        for key in streams:
            assert after[key].shape[1:] == plain[key].shape[1:]
            assert after[key].dtype == np.float32
    assert moved == own & set(streams)


@pytest.mark.parametrize("name", ONE_CLIP)
def test_what_comes_in_is_left_alone_and_a_seed_repeats_it(name: str) -> None:
    streams, masks = material()
    before = {key: values.copy() for key, values in streams.items()}
    chosen = settle({name: ALWAYS.get(name, {})}, drawn(name, streams))
    one = as_seen(streams, masks, chosen, 5)
    two = as_seen(streams, masks, chosen, 5)
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
    plain, _ = as_seen(*material(), ())
    after, _ = changed("flip")
    np.testing.assert_array_equal(after["faces"][0], plain["faces"][0, :, :, ::-1])
    flips = [
        not np.array_equal(changed("flip", seed=s, probability=0.5)[0]["faces"], plain["faces"])
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
    after, _, _ = change(*given, chosen, np.random.default_rng(0))
    moved = after["landmarks"][0]
    assert moved[36].tolist() == [0.125, 0.5625]
    assert moved[45].tolist() == [0.75, 0.5]
    assert moved[8].tolist() == [0.5, 1.0]
    again, _, _ = change(after, given[1], chosen, np.random.default_rng(0))
    np.testing.assert_array_equal(again["landmarks"], points)


@pytest.mark.parametrize("name", ["flip", "crop", "resized_crop", "rotate"])
def test_a_point_stays_on_what_it_marks(name: str) -> None:
    x, y = 0.3, 0.6  # of a bright spot
    down, across = np.mgrid[:200, :200] / 200 + 1 / 400
    spot = 255 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / 0.002)
    streams: dict[str, Any] = {"faces": np.broadcast_to(spot[..., None], (2, 200, 200, 3))}
    streams["faces"] = streams["faces"].astype(np.uint8)
    streams["landmarks"] = np.full((2, 68, 2), (x, y), np.float32)
    masks = {stream: np.ones(2, bool) for stream in streams}
    chosen = settle({name: ALWAYS.get(name, {})}, streams)
    farthest = 0.0
    for seed in range(5):
        after, _ = as_seen(streams, masks, chosen, seed)
        row, column = np.divmod(int(after["faces"][1, 0].argmax()), 200)
        spotted = (column + 0.5) / 200, (row + 0.5) / 200
        np.testing.assert_allclose(after["landmarks"][1, 0], spotted, atol=0.02)
        farthest = max(farthest, float(np.abs(after["landmarks"][1, 0] - (x, y)).max()))
    assert farthest > 0.05


def test_flip_is_refused_beside_signals_that_it_cannot_mirror() -> None:
    with pytest.raises(ConfigError, match=r"augment\.flip cannot go with signals: gaze"):
        settle({"flip": {}}, ["faces", "signals"])


def test_crop_shows_a_part_enlarged() -> None:
    ramp = np.linspace(0, 255, 50).astype(np.uint8)[None, None, :, None]
    faces = np.broadcast_to(ramp, (2, 50, 50, 3)).copy()
    masks = {"faces": np.ones(2, bool)}
    chosen = settle({"crop": {"smallest": 0.5}}, ["faces"])
    for seed in range(10):
        span = pixels(as_seen({"faces": faces}, masks, chosen, seed)[0]["faces"])[0, 0]
        assert 0.4 < np.ptp(span[25]) <= 1
        assert (np.diff(span[25]) >= -1e-6).all()
        np.testing.assert_allclose(span[10], span[25], atol=1e-6)


def test_crop_enlarges_as_opencv_does() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), np.uint8)
    chosen = settle({"crop": {"smallest": 0.5}}, ["faces"])
    after, _ = as_seen({"faces": faces}, {"faces": np.ones(1, bool)}, chosen, 4)
    side, top, left = chosen[0].draw(chosen[0].config, np.random.default_rng(4))
    tall, wide = round(side * 60), round(side * 80)
    y, x = round(top * (60 - tall)), round(left * (80 - wide))
    part = faces[0, y : y + tall, x : x + wide].astype(np.float32) / 255
    expected = cv2.resize(part, (80, 60)).transpose(2, 0, 1)
    np.testing.assert_allclose(pixels(after["faces"])[0], expected, atol=1e-5)


def recoloured(picture: NDArray[Any], seed: int, **settings: float) -> NDArray[Any]:
    """What colour makes of one picture (height, width, 3) uint8, in 0..1."""
    nothing = {"brightness": 0, "contrast": 0, "saturation": 0}
    chosen = settle({"colour": {**nothing, **settings}}, ["faces"])
    given = {"faces": picture[None]}, {"faces": np.ones(1, bool)}
    return pixels(as_seen(*given, chosen, seed)[0]["faces"][0]).transpose(1, 2, 0)


def test_resized_crop_may_be_of_another_shape() -> None:
    down, across = np.mgrid[:200, :200] / 200
    slopes = (127 * np.stack([across, down, across + down], axis=-1)).astype(np.uint8)
    chosen = settle({"resized_crop": {"area": 0.3, "flattest": 0.5}}, {"faces": None})
    ratios = []
    for seed in range(8):
        given = {"faces": slopes[None]}, {"faces": np.ones(1, bool)}
        after = pixels(as_seen(*given, chosen, seed)[0]["faces"][0]) * 255 / 127
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
        after, _, _ = change(streams, masks, chosen, np.random.default_rng(seed))
        x, y = after["landmarks"][0, 0] - 0.5
        assert np.hypot(x, y) == pytest.approx(0.5, abs=1e-6)
        angles.append(float(np.degrees(np.arctan2(y, x))))
    assert -10 <= min(angles) < -5
    assert 5 < max(angles) <= 10


def test_colour_of_a_grey_image_changes_by_its_brightness_alone() -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    after = recoloured(grey, 1, brightness=0.4, contrast=0.2, saturation=0.2)
    assert np.ptp(after) < 1e-5
    assert 0.3 <= after.mean() <= 0.71
    assert abs(after.mean() - 128 / 255) > 0.001


def test_colour_is_brightness_then_saturation_then_contrast() -> None:
    picture = np.random.default_rng(0).integers(90, 160, (8, 8, 3), np.uint8)
    settings = {"brightness": 0.3, "contrast": 0.4, "saturation": 0.5}
    spreads = np.array(list(settings.values()))
    brightness, contrast, saturation = 1 + np.random.default_rng(3).uniform(-spreads, spreads)
    bright = picture / 255 * brightness
    grey = bright @ [0.299, 0.587, 0.114]
    coloured = grey[..., None] + saturation * (bright - grey[..., None])
    expected = grey.mean() + contrast * (coloured - grey.mean())
    np.testing.assert_allclose(recoloured(picture, 3, **settings), expected, atol=1e-5)


def test_saturation_and_contrast_keep_the_mean_grey() -> None:
    picture = np.random.default_rng(0).integers(80, 180, (8, 8, 3), np.uint8)
    luma = [0.299, 0.587, 0.114]
    for setting in ("contrast", "saturation"):
        after = recoloured(picture, 3, **{setting: 0.5})
        assert (after @ luma).mean() == pytest.approx((picture / 255 @ luma).mean(), abs=1e-5)
        assert not np.allclose(after, picture / 255, atol=1e-3)
        if setting == "saturation":
            np.testing.assert_allclose(after @ luma, picture / 255 @ luma, atol=1e-5)


def test_erase_hides_a_rectangle_of_the_asked_size() -> None:
    white = {"faces": np.full((3, 100, 100, 3), 255, np.uint8)}
    masks = {"faces": np.ones(3, bool)}
    chosen = settle({"erase": {"probability": 1.0, "area": [0.1, 0.2]}}, ["faces"])
    for seed in range(20):
        after, _ = as_seen(white, masks, chosen, seed)
        hidden = np.abs(after["faces"][0, 0]) < 1e-5  # the mean colour is zero
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
        after, _, _ = change(
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
    after, _, _ = change(
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
        _, masks, _ = change(
            one, {"signals": np.ones(1, bool)}, chosen, np.random.default_rng(seed)
        )
        assert masks["signals"].all()
