"""Everybody in a recording: whose rows are whose, who is number one, and who speaks."""

from base64 import b64encode
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import tone, write_sound
from traitscope.errors import ConfigError
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request
from traitscope.media.limits import DEFAULTS
from traitscope.prediction.people import deal_out, everybody
from traitscope.types import Clip, Stream

LOOKS = 40
TIMES = np.arange(LOOKS) / 5
COLUMNS = ("track", "left", "top", "right", "bottom", "mouth")
LOUD = (np.arange(LOOKS) // 4) % 2 == 1
"""Every other 0.8 seconds."""


def seen(*, mouths: dict[int, np.ndarray], left: dict[int, float], gone: range) -> Stream:
    """A row for each face at each look; the face of track 7 is gone for some looks."""
    rows = [
        (time, [track, left[track], 0.2, left[track] + 0.2, 0.6, mouths[track][look]])
        for look, time in enumerate(TIMES)
        for track in sorted(mouths)
        if not (track == 7 and look in gone)
    ]
    portraits = {str(track): b64encode(b"jpeg %d" % track).decode() for track in mouths}
    return Stream(
        time=np.array([time for time, _ in rows]),
        values=np.array([row for _, row in rows]),
        columns=COLUMNS,
        info={"portraits": portraits},
    )


def signals_of(looks: Stream) -> Stream:
    """A stream of all faces, whose one column is the track times ten plus the time."""
    assert looks.values is not None
    values = 10 * looks.values[:, :1] + looks.time[:, None]
    return Stream(time=looks.time, values=values, columns=("x",), info={"row_tracks": [0]})


@pytest.fixture
def talk(tmp_path: Path) -> Clip:
    """Sound that is loud every other 0.8 seconds."""
    loud = np.repeat(LOUD, 3200).astype(np.float32)
    write_sound(tmp_path / "talk.wav", (tone(LOOKS / 5)[: len(loud)] * loud).astype(np.float32))
    return Clip("talk", tmp_path / "talk.wav")


def mouths(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Track 3 opens its mouth when it is loud, track 7 chews."""
    return {3: 0.05 + 0.1 * LOUD + 0.01 * rng.normal(size=LOOKS), 7: rng.uniform(0, 0.15, LOOKS)}


def test_each_person_gets_their_rows_a_number_from_the_left_and_a_face(talk: Clip) -> None:
    both = mouths(np.random.default_rng(0))
    looks = seen(mouths=both, left={3: 0.6, 7: 0.1}, gone=range(10, 20))
    sound = Stream(time=np.arange(9.0), values=np.zeros((9, 1)))
    streams = {"signals": signals_of(looks), "short_term": sound}
    left, right = deal_out(talk, streams, {"signals": looks}, limits=DEFAULTS)
    assert (left.person.number, right.person.number) == (1, 2)
    assert (left.person.thumbnail, right.person.thumbnail) == (b"jpeg 7", b"jpeg 3")
    assert (left.person.share, right.person.share) == (0.75, 1.0)
    own = left.streams["signals"]
    assert own.values is not None
    assert np.array_equal(own.time, TIMES)
    assert own.mask.tolist() == [look not in range(10, 20) for look in range(LOOKS)]
    assert np.allclose(own.values[own.mask, 0], 70 + TIMES[own.mask])
    assert np.isnan(own.values[~own.mask]).all()
    assert "row_tracks" not in own.info
    assert left.streams["short_term"] is sound


def test_the_speaker_is_whose_lips_go_with_the_sound(talk: Clip) -> None:
    both = mouths(np.random.default_rng(0))
    looks = seen(mouths=both, left={3: 0.6, 7: 0.1}, gone=range(0))
    chews, speaks = deal_out(talk, {}, {"signals": looks}, limits=DEFAULTS)
    assert chews.person.speaks is False
    assert speaks.person.speaks is True


def test_of_two_who_move_alike_nothing_is_said_and_of_silent_lips_that_they_are(talk: Clip) -> None:
    same = mouths(np.random.default_rng(0))[3]
    alike = seen(mouths={3: same, 7: same + 1e-4}, left={3: 0.6, 7: 0.1}, gone=range(0))
    assert [one.person.speaks for one in deal_out(talk, {}, {"a": alike}, limits=DEFAULTS)] == [
        None,
        None,
    ]
    still = np.full(LOOKS, 0.05)
    quiet = seen(mouths={3: still, 7: still}, left={3: 0.6, 7: 0.1}, gone=range(0))
    spoken = [one.person.speaks for one in deal_out(talk, {}, {"a": quiet}, limits=DEFAULTS)]
    assert spoken == [False, False]


def test_without_sound_nobody_can_be_told_to_speak(tmp_path: Path) -> None:
    both = mouths(np.random.default_rng(0))
    looks = seen(mouths=both, left={3: 0.6, 7: 0.1}, gone=range(0))
    found = deal_out(Clip("c", tmp_path / "none.mp4"), {}, {"a": looks}, limits=DEFAULTS)
    assert [one.person.speaks for one in found] == [None, None]


def test_tracks_of_another_pass_are_found_by_where_they_are(talk: Clip) -> None:
    both = mouths(np.random.default_rng(0))
    looks = seen(mouths=both, left={3: 0.6, 7: 0.1}, gone=range(0))
    # The other pass has other numbers, and lost the left person once.
    values = np.array([[5, 0.61, 0.2, 0.81, 0.6, 0], [1, 0.11, 0.2, 0.31, 0.6, 0]] * 2)
    values[2:, 0] = [5, 2]
    times = np.array([0.0, 0.0, 4.0, 4.0])
    other = Stream(time=times, values=values, columns=COLUMNS, info={"portraits": {}})
    streams = {"signals": signals_of(looks), "faces": signals_of(other)}
    found = deal_out(talk, streams, {"signals": looks, "faces": other}, limits=DEFAULTS)
    left = found[0].streams["faces"].values
    assert left is not None
    assert left[:, 0].tolist() == [10.0, 24.0]


def test_everybody_is_asked_of_what_looks_at_faces_also_upstream() -> None:
    faces = {"backend": "haar", "rate": 2.0}
    small = {"model": "resnet10t", "pretrained": False, "faces": faces}
    requests = {
        "signals": make_request("signals", {"backend": "dlib"}),
        "embedding": make_request("embedding", small),
        "short_term": make_request("short_term", {}),
    }
    asked = everybody(requests)
    assert asked.requests["signals"].config.select == "all"  # type: ignore[attr-defined]
    assert asked.requests["embedding"].upstream[0].config.select == "all"  # type: ignore[attr-defined]
    assert asked.requests["short_term"] is requests["short_term"]
    assert {name: one.backend for name, one in asked.seen.items()} == {
        "signals": "dlib",
        "embedding": "haar",
    }
    with pytest.raises(ConfigError, match="looks at no faces"):
        everybody({"short_term": requests["short_term"]})


@pytest.mark.slow
def test_two_people_side_by_side_are_two_results_as_each_alone(tmp_path: Path) -> None:
    import av

    from traitscope.corpora.synthetic import Config, generate
    from traitscope.media import read_frames, read_sound

    folder = generate(
        tmp_path / "c",
        config=Config(
            subjects=4, sources_per_subject=1, clips_per_source=1, seconds=4, fps=10, size=240
        ),
    )
    media = sorted((folder / "media").iterdir())[:2]
    left, right = ([f.image for f, _ in read_frames(path, rates=["native"])] for path in media)
    sound = read_sound(media[1], sample_rate_hz=16000).waveform.samples
    both = tmp_path / "both.mp4"
    with av.open(str(both), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 480, 240, "yuv420p"
        audio = container.add_stream("aac", rate=16000, layout="mono")
        for pair in zip(left, right, strict=False):
            picture = np.ascontiguousarray(np.hstack(pair))
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        piece = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        piece.sample_rate, piece.time_base = 16000, Fraction(1, 16000)
        container.mux(audio.encode(piece))
        container.mux(audio.encode(None))
    asked = everybody({"signals": make_request("signals", {"backend": "dlib"})})
    people = []
    for _ in range(2):  # the same recording gives the same people
        got = extract_clip(Clip("both", both), [*asked.requests.values(), *asked.added])
        parts = got[asked.requests["signals"].key], got[asked.seen["signals"].key]
        assert all(isinstance(part, Stream) for part in parts)
        people.append(
            deal_out(
                Clip("both", both), {"signals": parts[0]}, {"signals": parts[1]}, limits=DEFAULTS
            )
        )
    assert [one.person for one in people[0]] == [one.person for one in people[1]]
    assert len(people[0]) == 2
    assert people[0][1].person.speaks is not False
    alone = make_request("signals", {"backend": "dlib"})
    for found, path in zip(people[0], media, strict=True):
        single = extract_clip(Clip("one", path), [alone])[alone.key]
        assert isinstance(single, Stream)
        column = single.columns.index("pose_Ry")
        ours = found.streams["signals"]
        assert ours.values is not None
        assert single.values is not None
        assert found.person.thumbnail.startswith(b"\xff\xd8")
        turned = np.corrcoef(ours.values[:, column], single.values[: len(ours.time), column])
        assert turned[0, 1] > 0.6
