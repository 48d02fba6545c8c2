"""What every extractor keeps to, whatever it computes."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import portrait, tone, write_video
from tests.support.recorded_outputs import EXTRACTORS
from traitscope import registry
from traitscope.errors import ClipError
from traitscope.features.extraction import Extraction, extract_clip
from traitscope.features.request import make_request
from traitscope.types import Clip, Stream

NAMES = registry.names("extract")
KINDS = {"frames", "tracks", "audio", "text", "attributes", "table"}
KNOWN = {"age": 34.0, "gender": "female"}

SETTINGS = {
    "embedding": {"model": "resnet10t", "pretrained": False, "size": 64},
    "filterbank": {"rows": 125},
}
"""What stands in for defaults that need weights, or that are as long as published clips."""

EXTRA = dict.fromkeys(("compare", "egemaps", "emobase"), "opensmile")
"""Packages that are not installed everywhere."""


def request_for(name: str):
    if name in EXTRA:
        pytest.importorskip(EXTRA[name], reason=f"{name} needs {EXTRA[name]}")
    return make_request(name, SETTINGS.get(name, {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def talking(folder: Path) -> Clip:
    """A portrait that drifts, with a tone: 1.2 s."""
    path = write_video(
        folder / "talking.mp4",
        frames=30,
        picture=lambda n: np.roll(portrait(320), n, axis=1),
        sound=tone(1.2),
        options={},
    )
    return Clip(
        "talking", path, transcript="So, what do I do? I talk, and I talk.", attributes=KNOWN
    )


@pytest.fixture(scope="module")
def faceless(folder: Path) -> Clip:
    path = write_video(folder / "faceless.mp4", frames=20, sound=tone(0.8))
    return Clip("faceless", path, transcript="Nobody here.", attributes=KNOWN)


@pytest.fixture(scope="module")
def silent(folder: Path) -> Clip:
    path = write_video(
        folder / "silent.mp4",
        frames=30,
        picture=lambda n: portrait(320),
        sound=np.zeros((1, 19200), np.float32),
    )
    return Clip("silent", path, transcript="", attributes=KNOWN)


@pytest.fixture(scope="module")
def extraction():
    with Extraction() as extraction:
        yield extraction


@pytest.mark.parametrize("name", NAMES)
def test_a_file_states_version_needs_config_and_extractor(name: str) -> None:
    module = registry.load("extract", name)
    assert isinstance(module.VERSION, int)
    assert module.VERSION >= 1
    assert all(need in KINDS or need.startswith("stream:") for need in module.NEEDS)
    config = module.Config()
    if {"frames", "tracks"} & set(module.NEEDS):
        assert config.rate == 5
        assert hasattr(module.Extractor, "see")
    if "tracks" in module.NEEDS:
        assert (config.backend, config.select) == ("auto", "largest")
    if "audio" in module.NEEDS:
        assert config.sample_rate_hz == (4000 if name == "spectrum" else 16000)
    for field, facts in module.Config.model_fields.items():
        assert facts.description, f"{name}.{field} has no docstring"


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_clip_gives_finite_rows_at_rising_times(name, talking, extraction) -> None:
    request = request_for(name)
    stream = extract_clip(talking, [request], extraction=extraction)[request.key]
    assert isinstance(stream, Stream), stream
    assert stream.mask.any()
    assert (np.diff(stream.time) > 0).all()
    assert stream.time[0] >= 0
    assert stream.time[-1] <= 1.3
    if stream.images is not None:
        assert all(
            bool(image) == there for image, there in zip(stream.images, stream.mask, strict=True)
        )
    elif stream.values.dtype.kind == "f":
        measured = np.isfinite(stream.values[stream.mask]).any(axis=0)
        assert np.isfinite(stream.values[stream.mask][:, measured]).all()
        assert np.isnan(stream.values[~stream.mask]).all()
    if {"frames", "tracks", "audio"} & set(request.needs):
        assert stream.info["duration_seconds"] == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_same_clip_gives_the_same_rows_again(name, talking, faceless, extraction) -> None:
    request = request_for(name)
    one = extract_clip(talking, [request], extraction=extraction)[request.key]
    extract_clip(faceless, [request], extraction=extraction)
    other = extract_clip(talking, [request], extraction=extraction)[request.key]
    alone = extract_clip(talking, [request])[request.key]
    for again in (other, alone):
        assert again.images == one.images
        if one.values is not None:
            np.testing.assert_array_equal(again.values, one.values)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_clip_without_a_face_is_rows_or_a_named_reason(name, faceless, extraction) -> None:
    request = request_for(name)
    outcome = extract_clip(faceless, [request], extraction=extraction)[request.key]
    if {"tracks", "stream:faces"} & set(request.needs):
        assert isinstance(outcome, ClipError)
        assert outcome.status == "no_face"
    else:
        assert isinstance(outcome, Stream)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_silent_clip_is_rows_or_a_named_reason(name, silent, extraction) -> None:
    request = request_for(name)
    outcome = extract_clip(silent, [request], extraction=extraction)[request.key]
    if isinstance(outcome, ClipError):
        assert outcome.status == ("silent" if "audio" in request.needs else "no_text")
    else:
        assert "audio" not in request.needs


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_changes_with_config_and_version(name: str) -> None:
    request = make_request(name, {})
    module = registry.load("extract", name)
    assert request.key == make_request(name, {}).key
    assert request.key.startswith(f"{name}-")
    assert len(request.key) == len(name) + 13
    assert request.fingerprint["version"] == module.VERSION
    field, other = next(
        (field, value)
        for field, value in (
            ("rate", 3),
            ("sample_rate_hz", 8000),
            ("language", "de"),
            ("size", 64),
            ("name", "another"),
            ("encoder", "another"),
            ("tracker", "another"),
            ("faces", {"rate": 3}),
            ("levels", {"gender": ["f", "m"]}),
        )
        if field in module.Config.model_fields
    )
    assert make_request(name, {field: other}).key != request.key


def test_another_version_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_request("short_term", {}).key
    monkeypatch.setattr("traitscope.extract.short_term.VERSION", 999)
    assert make_request("short_term", {}).key != before


def test_another_tracker_version_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_request("faces", {}).key
    monkeypatch.setattr("traitscope.tracking.dlib.VERSION", 999)
    assert make_request("faces", {}).key != before
