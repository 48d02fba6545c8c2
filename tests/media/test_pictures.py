"""Stored pictures: what cannot be decoded is missing, and is named."""

import logging

import cv2
import numpy as np
import pytest

from traitscope.data.drawing import draw_example
from traitscope.errors import DataError
from traitscope.media.pictures import decode_rows
from traitscope.types import Clip, Draw, Rows, Stream

WHITE = cv2.imencode(".jpg", np.full((8, 8, 3), 255, np.uint8))[1].tobytes()
DRAW = {"faces": Draw(train=Rows("even", 3), evaluate=Rows("even", 3), size=8)}


def test_a_damaged_picture_is_a_row_that_is_missing_and_its_clip_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Stream(np.arange(3.0), images=(WHITE, WHITE[:20], WHITE))
    with caplog.at_level(logging.WARNING, "traitscope"):
        example = draw_example(Clip("c1"), {"faces": stream}, DRAW, rng=None, scalers={})
    assert example.masks["faces"].tolist() == [True, False, True]
    assert not example.streams["faces"][1].any()
    assert "1 of 3 pictures cannot be decoded. faces of clip 'c1' is damaged" in caplog.text


def test_a_clip_of_damaged_pictures_alone_is_an_error_that_names_it() -> None:
    stream = Stream(np.arange(2.0), images=(b"x", WHITE[:20]))
    with pytest.raises(DataError, match=r"faces of clip 'c1' is damaged.*prepare again"):
        draw_example(Clip("c1"), {"faces": stream}, DRAW, rng=None, scalers={})


def test_a_row_without_a_picture_is_no_damage(caplog: pytest.LogCaptureFixture) -> None:
    values, shown = decode_rows([b"", WHITE], 8)
    assert shown == [False, True]
    assert values.dtype == np.uint8
    assert values.shape == (2, 8, 8, 3)
    assert not values[0].any()
    assert values[1].min() == 255
    assert not caplog.text


def test_more_pictures_than_memory_are_refused_before_one_is_decoded() -> None:
    with pytest.raises(DataError, match=r"100000 pictures of 224 x 224 take 56 GB\. Set fewer"):
        decode_rows([WHITE] * 100_000, 224)
