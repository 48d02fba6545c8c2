import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydantic import Field

from tests.support.declared_files import write_tracks
from tests.support.media_files import portrait, tone, write_sound, write_video
from traitscope.config import Config
from traitscope.errors import ClipError, ConfigError, MissingError
from traitscope.features import _finishing
from traitscope.features import extraction as _clip
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request
from traitscope.registry import typed
from traitscope.types import Clip, Stream

TYPED = typed(streams=["my_lab.rows"])


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = write_video(
        tmp_path_factory.mktemp("clips") / "talking.mp4",
        frames=50,
        picture=lambda n: portrait(320),
        sound=tone(2),
    )
    return Clip("talking", path)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An extractor of somebody else's: counts the rows of short_term, and fails when told to."""
    module = ModuleType("my_lab.rows")

    class Settings(Config):
        error: str = ""
        """Name of the exception to raise."""
        short_term: dict[str, int] = Field(default_factory=dict)
        """Settings of the upstream features."""

    class Extractor:
        def __init__(self, config: Settings) -> None:
            self.config = config

        def finish(self, inputs) -> Stream:
            if self.config.error:
                raise {
                    "bug": ZeroDivisionError,
                    "missing": MissingError,
                    "stop": KeyboardInterrupt,
                }[self.config.error]("told to")
            rows = len(inputs.streams["short_term"].time)
            return Stream(time=np.zeros(1), values=np.array([[float(rows)]]))

    module.VERSION, module.NEEDS = 1, ("stream:short_term",)
    module.Config, module.Extractor = Settings, Extractor
    module.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec("my_lab.rows", None)
    parent = ModuleType("my_lab")
    parent.__path__ = []
    monkeypatch.setitem(sys.modules, "my_lab", parent)
    monkeypatch.setitem(sys.modules, "my_lab.rows", module)
    return module


def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count decodes, sounds read and frames tracked."""
    calls = {"decodes": 0, "sounds": 0, "tracked": 0}

    def counting(name, function):
        def wrapper(*args, **settings):
            calls[name] += 1
            return function(*args, **settings)

        return wrapper

    from traitscope.tracking.dlib import Tracker

    monkeypatch.setattr(_clip, "read_frames", counting("decodes", _clip.read_frames))
    monkeypatch.setattr(_finishing, "read_sound", counting("sounds", _finishing.read_sound))
    monkeypatch.setattr(Tracker, "track", counting("tracked", Tracker.track))
    return calls


def test_one_decode_and_one_tracker_pass_serve_all(talking: Clip, monkeypatch) -> None:
    calls = counted(monkeypatch)
    requests = [
        make_request("faces", {}),
        make_request("faces", {"size": 112}),
        make_request("signals", {}),
        make_request("short_term", {}),
        make_request("mid_term", {}),
    ]
    outcome = extract_clip(talking, requests)
    assert list(outcome) == [request.key for request in requests]
    assert all(isinstance(stream, Stream) for stream in outcome.values())
    assert calls == {"decodes": 1, "sounds": 1, "tracked": 10}


def test_sound_alone_decodes_no_picture(talking: Clip, monkeypatch) -> None:
    calls = counted(monkeypatch)
    outcome = extract_clip(talking, [make_request("short_term", {}), make_request("logmel", {})])
    assert all(isinstance(stream, Stream) for stream in outcome.values())
    assert calls == {"decodes": 0, "sounds": 1, "tracked": 0}


@pytest.mark.parametrize(
    ("others", "details"),
    [
        ([], ["eyes"]),
        ([("signals", {})], ["mesh"]),
        ([("landmarks", {"rate": 2})], ["eyes", "mesh"]),
    ],
)
def test_chips_alone_ask_for_eyes_alone(talking: Clip, monkeypatch, others, details) -> None:
    from traitscope.tracking.dlib import Tracker

    asked = []
    restart = Tracker.restart
    monkeypatch.setattr(
        Tracker,
        "restart",
        lambda self, detail="-": asked.append(detail) or restart(self),
    )
    extract_clip(talking, [make_request("faces", {}), *(make_request(*one) for one in others)])
    assert [detail for detail in asked if detail != "-"] == details


def test_another_rate_is_another_pass_of_the_same_decode(talking: Clip, monkeypatch) -> None:
    calls = counted(monkeypatch)
    requests = [make_request("faces", {}), make_request("signals", {"rate": 2})]
    faces, signals = extract_clip(talking, requests).values()
    assert (len(faces.time), len(signals.time)) == (10, 4)
    assert calls == {"decodes": 1, "sounds": 0, "tracked": 14}


def test_features_of_one_request_do_not_depend_on_the_others(talking: Clip) -> None:
    request = make_request("signals", {})
    alone = extract_clip(talking, [request])[request.key]
    others = [make_request("faces", {"rate": "native"}), request, make_request("short_term", {})]
    beside = extract_clip(talking, others)[request.key]
    np.testing.assert_array_equal(alone.values, beside.values)
    np.testing.assert_array_equal(alone.time, beside.time)


def test_no_audio_fails_only_what_listens(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5, picture=lambda n: portrait(320))
    faces, sound = extract_clip(
        Clip("a", path), [make_request("faces", {}), make_request("short_term", {})]
    ).values()
    assert isinstance(faces, Stream)
    assert sound.status == "no_audio"


def test_sound_alone_fails_only_what_looks(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    faces, sound = extract_clip(
        Clip("a", path), [make_request("faces", {}), make_request("short_term", {})]
    ).values()
    assert faces.status == "no_video"
    assert isinstance(sound, Stream)


def test_start_and_end_are_those_of_the_clip(talking: Clip) -> None:
    part = Clip("part", talking.path, start=0.5, end=1.5)
    faces, sound = extract_clip(
        part, [make_request("faces", {}), make_request("short_term", {})]
    ).values()
    assert len(faces.time) == 5
    np.testing.assert_allclose(faces.time, np.arange(5) / 5, atol=0.05)
    assert sound.time[-1] < 1.0
    assert faces.info["duration_seconds"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("path", [None, Path("nowhere.mp4")])
def test_a_clip_without_media_is_missing(path: Path | None) -> None:
    requests = [make_request("faces", {}), make_request("short_term", {})]
    assert {e.status for e in extract_clip(Clip("a", path), requests).values()} == {"missing"}


def test_an_early_end_is_a_fact_of_the_stream(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        frames=100,
        picture=lambda n: portrait(320),
        options={"movflags": "faststart"},
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    (stream,) = extract_clip(Clip("a", path), [make_request("faces", {})]).values()
    assert isinstance(stream, Stream)
    assert "truncated: video ends at" in stream.info["notes"][-1]
    assert stream.coverage == pytest.approx(0.6, abs=0.2)


def test_what_was_noticed_goes_with_every_stream(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [tone(1), tone(1, hertz=700)], default=2)
    requests = [make_request(name, {}) for name in ("frames", "short_term", "mid_term")]
    frames, *heard = extract_clip(Clip("a", path), requests).values()
    assert isinstance(frames, Stream)
    assert "notes" not in frames.info
    for stream in heard:
        assert isinstance(stream, Stream)
        assert stream.info["notes"] == ["track: audio 2 of 2, the default"]
    (chosen,) = extract_clip(Clip("a", path, audio_track=1), requests[1:2]).values()
    assert isinstance(chosen, Stream)
    assert chosen.info["notes"] == ["track: audio 1 of 2"]


def test_digital_silence_is_silent_and_a_pause_is_not(tmp_path: Path) -> None:
    nothing = np.zeros((1, 16000), np.float32)
    part = np.concatenate([nothing, tone(0.5)], axis=1)
    request = make_request("short_term", {})
    found = {}
    for name, sound in {"mute": nothing, "faint": 5e-5 * tone(1), "part": part}.items():
        path = write_video(tmp_path / f"{name}.mkv", frames=25, sound=sound)
        (found[name],) = extract_clip(Clip(name, path), [request]).values()
    for name in ("mute", "faint"):
        assert isinstance(found[name], ClipError)
        assert found[name].status == "silent"
        assert f"clip '{name}' is silent" in str(found[name])
    assert isinstance(found["part"], Stream)
    within = Clip("within", tmp_path / "part.mkv", start=0.1, end=0.6)
    (outcome,) = extract_clip(within, [request]).values()
    assert isinstance(outcome, ClipError)


def test_an_unexpected_exception_is_a_recorded_failure(talking: Clip, monkeypatch) -> None:
    from traitscope.extract.faces import Extractor

    def broken(self, frame, faces) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Extractor, "see", broken)
    faces, signals = extract_clip(
        talking, [make_request("faces", {}), make_request("signals", {})]
    ).values()
    assert faces.status == "error"
    assert "faces failed on clip 'talking': ZeroDivisionError: division by zero" in str(faces)
    assert isinstance(signals, Stream)


def test_a_missing_backend_and_a_stop_are_not_recorded_but_raised(talking: Clip, lab) -> None:
    with pytest.raises(MissingError, match="traitscope weights fetch"):
        extract_clip(talking, [make_request("faces", {"backend": "mediapipe"})])
    for error, kind in (("missing", MissingError), ("stop", KeyboardInterrupt)):
        with pytest.raises(kind):
            extract_clip(talking, [make_request("my_lab.rows", {"error": error}, typed=TYPED)])


def test_a_stream_of_another_extractor_comes_first(talking: Clip, lab) -> None:
    request = make_request("my_lab.rows", {"short_term": {"segments": 10}}, typed=TYPED)
    (stream,) = extract_clip(talking, [request]).values()
    assert stream.values.tolist() == [[10.0]]
    assert request.key.startswith("rows-")
    assert request.fingerprint["upstream"] == {
        "short_term": make_request("short_term", {"segments": 10}).key
    }
    other = make_request("my_lab.rows", {"short_term": {"segments": 11}}, typed=TYPED)
    assert other.key != request.key


def test_a_failure_upstream_fails_what_needs_it(tmp_path: Path, lab) -> None:
    path = write_video(tmp_path / "a.mp4", frames=3)
    request = make_request("my_lab.rows", {}, typed=TYPED)
    (error,) = extract_clip(Clip("a", path), [request]).values()
    assert isinstance(error, ClipError)
    assert error.status == "no_audio"


def test_a_dotted_name_needs_the_user(lab) -> None:
    with pytest.raises(ConfigError, match="not imported"):
        make_request("my_lab.rows", {})


def test_settings_are_checked_and_settled() -> None:
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        make_request("faces", {"sise": 3})
    request = make_request("faces", {"rate": 5})
    assert request.fingerprint == {
        "extractor": "faces",
        "version": 4,
        "config": {
            "rule": "rate",
            "rate": 5.0,
            "count": None,
            "seed": 0,
            "backend": "dlib",
            "select": "largest",
            "size": 224,
            "padding": 0.25,
            "window": 0,
            "quality": 90,
        },
        "tracker": {"backend": "dlib", "version": 6},
    }
    assert request.key == make_request("faces", {"backend": "dlib", "rate": 5.0}).key
    assert request.key != make_request("faces", {"backend": "haar"}).key


def test_two_people_and_select_decides(tmp_path: Path) -> None:
    large, small = portrait(320), np.full((320, 320, 3), 90, np.uint8)
    small[60:260, 60:260] = portrait(200)
    path = write_video(
        tmp_path / "two.mp4",
        frames=20,
        picture=lambda n: np.concatenate([small, large], axis=1),
    )
    requests = [make_request("faces", {"select": policy}) for policy in ("largest", "longest")]
    requests.append(make_request("signals", {"select": "largest"}))
    largest, longest, signals = extract_clip(Clip("a", path), requests).values()
    assert largest.info["tracks"] == longest.info["tracks"] == signals.info["tracks"] == 2
    assert largest.info["track"] == signals.info["track"]
    assert largest.coverage == signals.coverage == 1.0


@pytest.mark.shared
def test_a_face_that_leaves_is_missing_and_not_zero(shared: Path) -> None:
    clip = Clip("a", shared / "data/clips/pyfeat_face_noface.mov")
    faces, signals = extract_clip(
        clip, [make_request("faces", {}), make_request("signals", {})]
    ).values()
    assert 0.3 < faces.coverage < 0.6
    np.testing.assert_array_equal(faces.mask, signals.mask)
    assert np.isnan(signals.values[~signals.mask]).all()
    assert {image for image, there in zip(faces.images, faces.mask, strict=True) if not there} == {
        b""
    }


@pytest.mark.shared
@pytest.mark.parametrize("backend", ["dlib", "mediapipe"])
def test_a_film_without_people_has_no_face(shared: Path, shared_weights, backend: str) -> None:
    clip = Clip("a", shared / "data/clips/pyfeat_no_face.mp4")
    (outcome,) = extract_clip(
        clip, [make_request("faces", {"backend": backend, "rate": 2})]
    ).values()
    assert outcome.status == "no_face"
