"""What was noticed of the people of a clip reaches its streams, or the reason for having none."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import portrait, write_video
from traitscope.errors import ClipError
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request
from traitscope.types import Clip

SIGNALS = {"backend": "dlib"}


def extracted(path: Path, name: str = "signals", **settings):
    request = make_request(name, {**SIGNALS, **settings})
    return extract_clip(Clip("c", path), [request])[request.key]


def on_grey(*portraits: tuple[np.ndarray, int, int]) -> np.ndarray:
    """Pictures on a grey one of 960 x 540, each at its left and top."""
    image = np.full((540, 960, 3), 127, np.uint8)
    for picture, left, top in portraits:
        image[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return image


@pytest.mark.parametrize("name", ["faces", "signals", "landmarks"])
def test_a_recording_upside_down_says_so_and_how_to_mend_it(tmp_path: Path, name: str) -> None:
    turned = np.ascontiguousarray(np.rot90(portrait(320), 2))
    outcome = extracted(write_video(tmp_path / "u.mp4", picture=lambda n: turned), name)
    assert isinstance(outcome, ClipError)
    assert outcome.status == "no_face"
    assert "No face was found in clip 'c'" in str(outcome)
    assert "stands on its head" in " ".join(outcome.notes)
    assert "ffmpeg -i IN -vf hflip,vflip OUT" in " ".join(outcome.notes)


def test_another_person_is_said_with_their_share(tmp_path: Path) -> None:
    large, small = portrait(500), portrait(320)[:, ::-1]
    path = write_video(
        tmp_path / "two.mp4",
        frames=50,
        picture=lambda n: on_grey((large, 20, 20), *([(small, 600, 100)] if n < 25 else [])),
    )
    stream = extracted(path)
    assert stream.info["tracks"] == 2
    assert stream.info["others_share"] == pytest.approx(0.5, abs=0.11)
    (note,) = stream.info["notes"]
    assert note.startswith("others: another person was seen, in ")
    assert f"{stream.info['others_share']:.1%} of the pictures" in note
    everybody = extracted(path, select="all")
    assert everybody.info["others_share"] == 0
    assert "notes" not in everybody.info


def test_a_tiny_face_is_said_with_its_width(tmp_path: Path) -> None:
    path = write_video(tmp_path / "t.mp4", picture=lambda n: on_grey((portrait(155), 300, 200)))
    stream = extracted(path)
    assert stream.coverage == 1
    assert stream.info["face_width"] == pytest.approx(44, abs=6)
    (note,) = stream.info["notes"]
    assert note.startswith(f"tiny-face: {stream.info['face_width']:.0f} px wide in the median")


def test_one_near_face_needs_no_note(tmp_path: Path) -> None:
    stream = extracted(write_video(tmp_path / "n.mp4", picture=lambda n: portrait(320)))
    assert "notes" not in stream.info
    assert stream.info["others_share"] == 0
    assert 70 < stream.info["face_width"] < 130


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("backend", ["mediapipe", "dlib"])
def test_real_cases_are_covered_or_refused(
    shared: Path, shared_weights: Path, backend: str
) -> None:
    cases = shared / "data/cases"
    resized = extracted(cases / "10_identity_by_place/reschange.ts", backend=backend)
    wide = extracted(cases / "11_wide_shot/room_400x300.mp4", backend=backend)
    assert (resized.coverage, wide.coverage) == (1, 1)
    assert (resized.info["tracks"], wide.info["tracks"]) == (1, 1)
    turned = extracted(cases / "15_hdr_interlaced_upside_down/upsidedown.mp4", backend=backend)
    assert isinstance(turned, ClipError)
    assert "stands on its head" in " ".join(turned.notes)
    half = extracted(shared / "data/clips/pyfeat_face_noface.mov", backend=backend)
    assert half.coverage == pytest.approx(0.36, abs=0.01)
    nobody = extracted(shared / "data/clips/pyfeat_no_face.mp4", backend=backend)
    assert isinstance(nobody, ClipError)
    assert nobody.status == "no_face"
