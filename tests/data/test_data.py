"""Drawing, scaling and batching: exact, seeded, and never across a clip's missing rows."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.augmented import pixels
from traitscope.data.batches import collate, to_tensors
from traitscope.data.drawing import draw_example, draw_rows, generator
from traitscope.data.examples import Examples, fit_scalers, gather
from traitscope.data.scaling import Scaler
from traitscope.errors import ClipError, DataError
from traitscope.features.store import StatusRow, Store
from traitscope.media.pictures import decode_rows
from traitscope.types import Clip, Draw, Rows, Stream

RULES = ("even", "random", "segments")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.sampled_from(RULES),
    st.integers(0, 9),
    st.data(),
)
def test_counted_rules_draw_valid_rows_in_order(
    total: int, count: int, rule: str, seed: int, data: st.DataObject
) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)))
    mask[data.draw(st.integers(0, total - 1))] = True
    rows = draw_rows(Rows(rule, count), np.arange(total) / 5, mask, rng(seed))  # type: ignore[arg-type]
    assert len(rows) == count
    assert mask[rows].all()
    assert (np.diff(rows) >= 0).all()


@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from(("all", "center", "window")))
def test_runs_of_rows_are_contiguous(total: int, count: int, rule: str) -> None:
    rows = draw_rows(Rows(rule, count), np.arange(total) / 5, np.ones(total, bool), rng())  # type: ignore[arg-type]
    assert len(rows) == min(count, total)
    assert (np.diff(rows) == 1).all()


def test_even_rows_are_the_middles_of_equal_parts() -> None:
    time = np.arange(10) / 5
    rows = draw_rows(Rows("even", 2), time, np.ones(10, bool), None)
    assert rows.tolist() == [2, 7]
    one = draw_rows(Rows("even", 1), np.arange(9) / 5, np.ones(9, bool), None)
    assert one.tolist() == [4]


def test_segments_draw_one_row_of_each_part() -> None:
    for seed in range(20):
        rows = draw_rows(Rows("segments", 5), np.arange(10) / 5, np.ones(10, bool), rng(seed))
        assert (rows // 2).tolist() == [0, 1, 2, 3, 4]


def test_a_center_run_is_in_the_middle() -> None:
    rows = draw_rows(Rows("center", 4), np.arange(10) / 5, np.ones(10, bool), None)
    assert rows.tolist() == [3, 4, 5, 6]


def stream(rows: int, columns: int = 2, *, gone: tuple[int, ...] = (), offset: float = 0) -> Stream:
    values = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) + offset
    valid = np.ones(rows, bool)
    valid[list(gone)] = False
    values[~valid] = np.nan
    return Stream(
        time=np.arange(rows) / 5, values=values, valid=valid, columns=("a", "b")[:columns]
    )


def example(streams: dict[str, Stream], draws: dict[str, Draw], seed: int | None = None):
    source = None if seed is None else rng(seed)
    return draw_example(Clip(id="c"), streams, draws, rng=source, scalers={})


def test_missing_rows_are_masked_and_never_seen() -> None:
    drawn = example({"s": stream(4, gone=(1,))}, {"s": Draw()})
    assert drawn.masks["s"].tolist() == [True, False, True, True]
    assert np.isfinite(drawn.streams["s"]).all()


def test_streams_of_one_group_are_drawn_at_the_same_times() -> None:
    draws = {
        "faces": Draw(train=Rows("random", 3), evaluate=Rows("even", 3), group="g"),
        "sound": Draw(group="g"),
    }
    other = Stream(time=np.arange(100) / 50, values=np.arange(100.0)[:, None])
    drawn = example({"faces": stream(10, 1), "sound": other}, draws, seed=3)
    np.testing.assert_allclose(drawn.streams["faces"][:, 0] / 5, drawn.streams["sound"][:, 0] / 50)


def test_evaluation_draws_the_same_every_time_and_training_by_seed() -> None:
    draws = {"s": Draw(train=Rows("random", 3), evaluate=Rows("even", 3))}
    streams = {"s": stream(30)}

    def drawn(seed: int | None) -> NDArray:
        return example(streams, draws, seed).streams["s"]

    np.testing.assert_array_equal(drawn(None), drawn(None))
    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_a_clip_without_a_usable_row_is_not_scored() -> None:
    with pytest.raises(ClipError, match="no usable row of s"):
        example({"s": stream(3, gone=(0, 1, 2))}, {"s": Draw()})


def jpeg(colour: tuple[int, int, int], size: int = 16) -> bytes:
    image = np.full((size, size, 3), colour, np.uint8)
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert ok
    return data.tobytes()


def test_images_are_rgb_bytes_and_on_their_device_normalised_and_channel_first() -> None:
    images = Stream(time=np.arange(2) / 5, images=(jpeg((255, 0, 0)), jpeg((0, 0, 255))))
    drawn = example({"faces": images}, {"faces": Draw(size=8)})
    assert drawn.streams["faces"].shape == (2, 8, 8, 3)
    assert drawn.streams["faces"].dtype == np.uint8
    tensor = to_tensors(collate([drawn], [])).streams["faces"]
    assert tensor.shape == (1, 2, 3, 8, 8)
    np.testing.assert_allclose(pixels(tensor.numpy())[0, 0, :, 4, 4], [1, 0, 0], atol=0.02)
    assert tensor.is_contiguous()


def test_streams_keep_the_order_in_which_a_model_draws_them() -> None:
    images = Stream(time=np.arange(2) / 5, images=(jpeg((9, 9, 9)), b""))
    draws = {"a": Draw(), "faces": Draw(size=8), "b": Draw()}
    drawn = example({"a": stream(2), "faces": images, "b": stream(2)}, draws)
    assert list(drawn.streams) == list(collate([drawn], []).masks) == ["a", "faces", "b"]


def test_a_picture_of_another_shape_loses_its_margins_and_is_not_squeezed() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 10:30] = 255  # the middle square
    ok, data = cv2.imencode(".png", image)
    assert ok
    assert decode_rows([data.tobytes()], 10)[0].min() == 255
    assert decode_rows([data.tobytes()], (20, 10))[0].shape == (1, 20, 10, 3)
    assert decode_rows([data.tobytes()], None)[0].shape == (1, 20, 40, 3)


def test_a_missing_image_is_masked() -> None:
    valid = np.array([True, False])
    images = Stream(time=np.arange(2) / 5, images=(jpeg((255, 0, 0)), b""), valid=valid)
    drawn = example({"faces": images}, {"faces": Draw()})
    assert drawn.masks["faces"].tolist() == [True, False]
    assert not to_tensors(collate([drawn], [])).streams["faces"][0, 1].any()


def test_batches_are_padded_in_order_with_masks_and_label_masks() -> None:
    def made(clip_id: str, rows: int, **targets: float):
        clip = Clip(id=clip_id, targets=targets)
        return draw_example(clip, {"s": stream(rows)}, {"s": Draw()}, rng=None, scalers={})

    batch = collate(
        [made("a", 2, openness=0.25), made("b", 3, neuroticism=0.5)], ["openness", "neuroticism"]
    )
    assert batch.clips == ("a", "b")
    assert batch.streams["s"].shape == (2, 3, 2)
    assert batch.masks["s"].tolist() == [[True, True, False], [True, True, True]]
    assert batch.targets.tolist() == [[0.25, 0.0], [0.0, 0.5]]
    assert batch.target_mask.tolist() == [[True, False], [False, True]]
    tensors = to_tensors(batch)
    assert tuple(tensors.streams["s"].shape) == (2, 3, 2)
    assert tensors.clips == ("a", "b")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.add("s-0", {"extractor": "s"})
    for clip_id, rows, offset in (("a", 4, 0.0), ("b", 7, 10.0)):
        made = stream(rows, gone=(1,), offset=offset)
        store.write("s-0", clip_id, made)
        store.record("s-0", StatusRow(clip_id, rows=rows, coverage=made.coverage))
    store.record("s-0", StatusRow("c", status="no_face", reason="no face in 'c'"))
    return store


def examples(store: Store, draw: Draw, seed: int | None = None) -> Examples:
    clips = [Clip(id="a", targets={"openness": 0.1}), Clip(id="b")]
    plain = Examples(clips, store, {"s": "s-0"}, {"s": draw}, targets=["openness"])
    return plain if seed is None else plain.for_training(seed)


def test_scalers_are_the_mean_and_sd_over_the_valid_rows_of_all_clips(store: Store) -> None:
    made = examples(store, Draw(standardize=True))
    rows = np.concatenate([made.stream("s", c).values[made.stream("s", c).mask] for c in "ab"])
    scaler = fit_scalers(made)["s"]
    np.testing.assert_allclose(scaler.mean, rows.mean(axis=0))
    np.testing.assert_allclose(scaler.sd, rows.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaler(rows).mean(axis=0), 0, atol=1e-6)
    assert scaler(np.array([[np.nan, 1.0]]))[0, 0] == 0


def test_a_stream_of_other_columns_than_were_fitted_on_is_refused() -> None:
    with pytest.raises(DataError, match=r"has 2 columns, and the run was fitted on 3"):
        Scaler(np.zeros(3), np.ones(3))(np.zeros((4, 2)))


def test_a_constant_column_is_left_unscaled(store: Store) -> None:
    flat = Stream(time=np.arange(3), values=np.full((3, 2), 0.1, np.float32))
    for clip_id in "ab":
        store.write("s-0", clip_id, flat)
    scaler = fit_scalers(examples(store, Draw(standardize=True)))["s"]
    np.testing.assert_allclose(scaler.sd, 1)


def test_pooled_streams_come_as_one_named_vector(store: Store) -> None:
    made = examples(store, Draw(pool=("mean", "max")))
    batch = made.batch()
    assert batch.streams["s"].shape == (2, 4)
    assert batch.columns["s"] == ("s.a.mean", "s.b.mean", "s.a.max", "s.b.max")
    assert "s" not in batch.masks


def test_columns_are_chosen_by_pattern_everywhere(store: Store) -> None:
    made = examples(store, Draw(columns=("b",), standardize=True))
    assert made.columns()["s"] == ("b",)
    assert made[0].streams["s"].shape == (4, 1)
    np.testing.assert_array_equal(made[0].streams["s"][0, 0], 1.0)
    assert fit_scalers(made)["s"].mean.shape == (1,)
    with pytest.raises(DataError, match=r"No column matches 'AU\*'\. There are: a, b"):
        examples(store, Draw(columns=("AU*",))).batch()


def test_draws_depend_on_seed_epoch_and_clip_alone(store: Store) -> None:
    made = examples(store, Draw(train=Rows("random", 2), evaluate=Rows("even", 2)), seed=5)

    def drawn(epoch: int) -> NDArray:
        return made[epoch, 1].streams["s"]

    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert any(not np.array_equal(drawn(0), drawn(epoch)) for epoch in range(1, 9))


def test_numbers_of_a_key_depend_on_nothing_else() -> None:
    first = generator(3, 1, 4).random(5)
    generator(3, 1, 5).random(2)
    assert generator(3, 1, 4).random(5).tolist() == first.tolist()
    keys = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1), (1,), (10,), (1, 0)]
    assert len({generator(*key).random() for key in keys}) == len(keys)


@pytest.mark.parametrize("count", [1, 7])
def test_each_row_is_drawn_equally_often_whatever_the_epoch_and_the_clip(count: int) -> None:
    time, mask = np.arange(13) / 5, np.ones(13, bool)
    mask[[0, 6, 12]] = False
    drawn = [
        draw_rows(Rows("random", count), time, mask, generator(0, e, c))
        for e in range(40)
        for c in range(25)
    ]
    times = np.bincount(np.concatenate(drawn), minlength=13)
    assert not times[~mask].any()
    # Of 1000 draws: six standard deviations about the mean.
    assert abs(times[mask] - 100 * count).max() < 6 * (10 * count * (10 - count)) ** 0.5


def test_more_rows_than_there_are_come_in_order_some_of_them_twice() -> None:
    mask = np.array([True, False, True, True])
    rows = draw_rows(Rows("random", 9), np.arange(4) / 5, mask, generator(0, 0, 0)).tolist()
    assert len(rows) == 9
    assert rows == sorted(rows)
    assert set(rows) <= {0, 2, 3}


def test_failed_clips_are_reported_and_unprepared_ones_refused(store: Store) -> None:
    clips = [Clip(id="b"), Clip(id="c"), Clip(id="a")]
    ready, failures = gather(clips, store, {"s": "s-0"})
    assert [clip.id for clip in ready] == ["b", "a"]
    assert failures == [{"clip": "c", "status": "no_face", "reason": "no face in 'c'"}]
    with pytest.raises(DataError, match="1 of 1 clips have no features yet"):
        gather([Clip(id="new")], store, {"s": "s-0"})


def test_labels_of_examples_keep_their_order(store: Store) -> None:
    np.testing.assert_array_equal(examples(store, Draw()).labels(), [[0.1], [np.nan]])
