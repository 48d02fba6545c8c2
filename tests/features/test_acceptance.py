"""What extraction has to show on composed and real clips, with the real models."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import portrait, write_video
from traitscope.corpora.synthetic._face import render
from traitscope.corpora.synthetic._motion import Motion
from traitscope.corpora.synthetic._portrait import person
from traitscope.errors import ClipError
from traitscope.extract.signals import COLUMNS
from traitscope.features.extraction import extract_clip
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.media import read_frames
from traitscope.tracking import dlib, haar
from traitscope.types import Clip, Corpus, Stream, Target

FPS = 25


def moving(path: Path, frames: int, **planted: np.ndarray) -> Clip:
    """A clip of a head that moves as planted, in degrees, and shares of lid and smile."""
    rng = np.random.default_rng(0)
    still = dict.fromkeys(Motion.__dataclass_fields__, np.zeros(frames))
    pictures = list(render(person(320, rng), Motion(**{**still, **planted}), rng=rng))
    write_video(path, frames=frames, fps=FPS, picture=lambda n: pictures[n])
    return Clip(path.stem, path)


def native(clip: Clip, backend: str = "mediapipe") -> Stream:
    request = make_request("signals", {"rate": "native", "backend": backend})
    (stream,) = extract_clip(clip, [request]).values()
    assert isinstance(stream, Stream), stream
    return stream


def column(stream: Stream, name: str) -> np.ndarray:
    return stream.values[:, COLUMNS.index(name)]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("axis", "name", "sign"),
    [("pitch", "pose_Rx", 1), ("yaw", "pose_Ry", -1), ("roll", "pose_Rz", 1)],
)
def test_head_turns_have_the_right_sign_and_size(
    tmp_path: Path, shared_weights: Path, axis: str, name: str, sign: int
) -> None:
    time = np.arange(50) / FPS
    planted = 15 * np.sin(2 * np.pi * time / 2)
    stream = native(moving(tmp_path / "turn.mp4", 50, **{axis: planted}))
    assert stream.mask.all()
    seen = sign * np.degrees(column(stream, name))
    neutral = np.mean(seen - planted)  # the portrait itself does not look straight ahead
    assert np.corrcoef(planted, seen)[0, 1] >= 0.95
    assert np.abs(seen - neutral - planted).mean() <= 5


@pytest.mark.slow
@pytest.mark.shared
def test_blinks_and_smiles_are_found_frame_by_frame(tmp_path: Path, shared_weights: Path) -> None:
    frames = 75
    lid, smile = np.zeros(frames), np.zeros(frames)
    for start in (8, 30, 55):
        lid[start : start + 5] = [0.5, 1, 1, 1, 0.5]
    smile[15:28], smile[40:52] = 1.0, 1.0
    stream = native(moving(tmp_path / "face.mp4", frames, lid=lid, smile=smile))
    assert np.corrcoef(lid, column(stream, "AU45_r"))[0, 1] >= 0.8
    assert np.corrcoef(smile, column(stream, "AU12_r"))[0, 1] >= 0.8


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("backend", ["mediapipe", "dlib"])
def test_a_face_that_leaves_is_missing_from_then_on(
    shared: Path, shared_weights: Path, backend: str
) -> None:
    clip = Clip("c", shared / "data" / "clips" / "pyfeat_face_noface.mov")
    requests = [
        make_request(name, {"backend": backend}) for name in ("faces", "signals", "landmarks")
    ]
    faces, signals, landmarks = extract_clip(clip, requests).values()
    assert 0.3 <= faces.info["coverage"] <= 0.6
    last = int(np.flatnonzero(faces.mask)[-1])
    assert faces.mask[: last + 1].mean() > 0.9  # there until it is gone, not here and there
    assert not faces.mask[last + 1 :].any()
    assert all(image == b"" for image in faces.images[last + 1 :])
    for stream in (signals, landmarks):
        np.testing.assert_array_equal(stream.mask, faces.mask)
        assert np.isnan(stream.values[~stream.mask]).all()
    times = [f.time for f, _ in read_frames(clip.path, rates=[5])]
    np.testing.assert_array_equal(faces.time, times)


def two_people(path: Path) -> Clip:
    """A large face on the left; a small one on the right that is away for a while."""

    def picture(number: int) -> np.ndarray:
        image = np.full((400, 760, 3), 90, np.uint8)
        image[:, :400] = portrait(400)
        if not 20 <= number < 35:
            shift = number // 4
            image[40:360, 420 + shift : 740 + shift] = portrait(320)
        return image

    return Clip(path.stem, write_video(path, frames=60, picture=picture))


@pytest.mark.parametrize("backend", ["dlib", pytest.param("mediapipe", marks=pytest.mark.shared)])
def test_two_people_have_two_lasting_ids_and_select_is_obeyed(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "mediapipe":
        request.getfixturevalue("shared_weights")
    clip = two_people(tmp_path / "two.mp4")
    policies = ("largest", "longest", "all")
    requests = [make_request("signals", {"backend": backend, "select": s}) for s in policies]
    largest, longest, everyone = extract_clip(clip, requests).values()
    ids = column(everyone, "face_id")
    assert set(ids[everyone.mask]) == {0, 1}
    assert largest.info["tracks"] == 2
    assert largest.mask.all()
    first = column(largest, "face_id")[0]
    assert set(column(largest, "face_id")) == set(column(longest, "face_id")) == {first}
    other = ids == 1 - first
    assert 6 <= other.sum() <= 10  # away in three or four of the twelve looks
    assert everyone.time[other].max() > 2.0  # and back under the same id


def test_two_settings_live_side_by_side_and_detectors_run_once(tmp_path: Path, monkeypatch) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50, picture=lambda n: portrait(320))
    corpus = Corpus("t", "apparent", (Target("openness", 0, 1, 1),), (Clip("a", path),))
    looks = {"dlib": 0, "haar": 0}
    for name, module in (("dlib", dlib), ("haar", haar)):
        real = module.Tracker.track

        def track(self, frame, real=real, name=name):
            looks[name] += 1
            return real(self, frame)

        monkeypatch.setattr(module.Tracker, "track", track)
    requests = [
        make_request("faces", {"backend": "haar", "size": 256}),
        make_request("faces", {"backend": "dlib", "size": 224}),
        make_request("signals", {"backend": "dlib"}),
        make_request("landmarks", {"backend": "dlib"}),
        make_request("faces", {"backend": "dlib", "size": 112, "rate": 2}),
    ]
    store = Store(tmp_path / "store")
    assert prepare(corpus, requests, store=store, workers=0).failed == ()
    assert looks == {"dlib": 10 + 4, "haar": 10}
    assert len(store.fingerprints()) == 5
    version = requests[0].version
    assert store.matching("faces", {"size": 256}, version=version) == [requests[0].key]
    assert store.matching("faces", {"size": 224}, version=version) == [requests[1].key]
    assert len(store.read(requests[0].key, "a").time) == 10


def test_no_face_anywhere_is_a_named_failure(tmp_path: Path) -> None:
    clip = Clip("a", write_video(tmp_path / "a.mp4", frames=10))
    (error,) = extract_clip(clip, [make_request("landmarks", {})]).values()
    assert isinstance(error, ClipError)
    assert error.status == "no_face"
