"""A stream that a clip may lack: the clip is seen all the same, with a hidden row in its place."""

from pathlib import Path

import numpy as np
import pytest

from traitscope.data.drawing import draw_example
from traitscope.data.examples import Examples, fit_scalers, gather
from traitscope.data.scaling import Scaler
from traitscope.errors import ClipError, DataError
from traitscope.features.store import StatusRow, Store
from traitscope.types import Clip, Draw, Stream

CLIPS = [Clip(id=name, targets={"openness": 0.5}) for name in "abcd"]
KEYS = {"face": "face-0", "sound": "sound-0"}
OPTIONAL = Draw(standardize=True, optional=True)
SCALERS = {"face": Scaler(np.zeros(2), np.ones(2)), "sound": Scaler(np.zeros(3), np.ones(3))}


def rows(columns: int, *, valid: bool = True) -> Stream:
    values = np.arange(5.0 * columns).reshape(5, columns)
    return Stream(np.arange(5.0), values if valid else values * np.nan, valid=np.full(5, valid))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """a has both streams, b no face, c no sound, d neither."""
    made = Store(tmp_path / "store")
    for stream, columns, lacking in (("face", 2, "bd"), ("sound", 3, "cd")):
        made.add(KEYS[stream], {"extractor": stream})
        for clip in "abcd":
            if clip in lacking:
                made.record(KEYS[stream], StatusRow(clip, status=f"no_{stream}", reason="none"))
                continue
            made.write(KEYS[stream], clip, rows(columns))
            made.record(KEYS[stream], StatusRow(clip, rows=5, coverage=1.0))
    return made


def test_one_of_the_optional_streams_is_enough(store: Store) -> None:
    draws = {"face": OPTIONAL, "sound": OPTIONAL}
    ready, failures = gather(CLIPS, store, KEYS, draws)
    assert [clip.id for clip in ready] == ["a", "b", "c"]
    assert failures == [{"clip": "d", "status": "no_face", "reason": "none"}]


def test_a_stream_that_is_not_optional_is_needed(store: Store) -> None:
    ready, failures = gather(CLIPS, store, KEYS, {"face": Draw(), "sound": OPTIONAL})
    assert [clip.id for clip in ready] == ["a", "c"]
    assert [row["status"] for row in failures] == ["no_face", "no_face"]


def test_a_clip_without_a_stream_has_one_hidden_row_as_wide_as_the_others(store: Store) -> None:
    draws = {"face": OPTIONAL, "sound": OPTIONAL}
    made = Examples(CLIPS[:3], store, KEYS, draws, targets=["openness"])
    batch = made.scaled(fit_scalers(made)).batch()
    assert batch.streams["face"].shape == (3, 5, 2)
    assert batch.masks["face"].sum(axis=1).tolist() == [5, 0, 5]
    assert batch.masks["sound"].sum(axis=1).tolist() == [5, 5, 0]
    assert not batch.streams["sound"][2].any()


def test_statistics_of_an_absent_stream_are_hidden_and_of_one_that_is_there_not() -> None:
    draws = {
        "face": Draw(pool=("mean",), standardize=True, optional=True),
        "sound": Draw(pool=("mean",), standardize=True, optional=True),
    }
    drawn = draw_example(CLIPS[0], {"sound": rows(3)}, draws, rng=None, scalers=SCALERS)
    assert drawn.streams["face"].tolist() == [0, 0]
    assert (drawn.masks["face"].tolist(), drawn.masks["sound"].tolist()) == ([False], [True])


@pytest.mark.parametrize("streams", [{}, {"face": rows(2, valid=False)}])
def test_a_clip_with_nothing_to_see_is_not_scored(streams: dict[str, Stream]) -> None:
    draws = {"face": OPTIONAL, "sound": OPTIONAL}
    with pytest.raises(ClipError, match="no usable row of any of face, sound"):
        draw_example(CLIPS[0], streams, draws, rng=None, scalers=SCALERS)


def test_a_stream_that_no_fitting_clip_has_is_named(store: Store) -> None:
    draws = {"face": OPTIONAL, "sound": OPTIONAL}
    made = Examples([CLIPS[2]], store, KEYS, draws, targets=["openness"])
    with pytest.raises(DataError, match="No fitting clip has sound"):
        fit_scalers(made)


def test_an_optional_stream_is_standardised() -> None:
    with pytest.raises(ValueError, match="its scaler knows its columns"):
        Draw(optional=True)
