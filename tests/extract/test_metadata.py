"""Attributes of people as numbers, and that no model sees them without leave."""

import numpy as np
import pytest

from traitscope.errors import ClipError, ConfigError
from traitscope.extract.metadata import COLUMNS, Config, Extractor
from traitscope.runs.plan import load_run, plan
from traitscope.types import Clip, Inputs, Stream


def encoded(config: Config | None = None, **known: str | float) -> Stream:
    return Extractor(config or Config()).finish(Inputs(clip=Clip("clip", attributes=known)))


def test_numbers_are_divided_and_words_are_columns_of_levels() -> None:
    stream = encoded(age=34.0, gender="Female", education=5, ethnicity="asian")
    assert stream.columns == COLUMNS
    assert COLUMNS == ("age", "age_group", "education", "gender=female", "gender=male")
    assert stream.values is not None
    np.testing.assert_allclose(stream.values, [[0.34, np.nan, 0.5, 1, 0]])


def test_levels_are_declared_by_the_user() -> None:
    config = Config(numbers={}, levels={"gender": ("1", "2"), "country": ("ES", "FR")})
    stream = encoded(config, gender=2.0, country="fr")
    assert stream.values is not None
    assert stream.values.tolist() == [[0, 1, 0, 1]]


def test_what_is_not_declared_is_refused() -> None:
    with pytest.raises(
        ClipError, match=r"gender 'x', which is not declared.*metadata\.levels\.gender"
    ):
        encoded(gender="x")
    with pytest.raises(ClipError, match=r"age 'old'.*metadata\.levels, with all"):
        encoded(age="old")
    with pytest.raises(ClipError, match="none of the attributes age"):
        encoded(country="ES")


def test_a_model_sees_attributes_only_with_leave() -> None:
    streams = "model.streams=[short_term,metadata]"
    allowed = plan(load_run("functionals", [streams, "data.allow_attributes=true"]))
    assert set(allowed.draws) == {"short_term", "metadata"}
    with pytest.raises(ConfigError, match=r"data\.allow_attributes=true\."):
        plan(load_run("functionals", [streams]))
    with pytest.raises(ConfigError, match=r"has no effect.*model\.streams="):
        plan(load_run("functionals", ["data.allow_attributes=true"]))
