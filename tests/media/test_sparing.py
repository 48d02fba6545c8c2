"""Leaving out what nobody wants never changes what is delivered."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.media_files import number_of, tone, write_video
from traitscope.media import Spread, read_frames
from traitscope.media._sparing import AstrayError, sparing

SMOOTH = [n / 25 for n in range(120)]
JUMPY = list(np.cumsum(np.tile([0.02, 0.04, 0.1, 0.013], 30)))


def delivered(path: Path, *, skip: bool, **settings):
    reader = read_frames(path, skip=skip, **settings)
    return [(frame.time, frame.image.tobytes(), flags) for frame, flags in reader], reader


@pytest.mark.parametrize(
    "settings",
    [
        {"rates": [5]},
        {"rates": [5, 2]},
        {"rates": [1.7], "start": 1.01, "end": 3.3},
        {"rates": [0.3]},
        {"rates": [Spread("segments", 7, 3), 1]},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "codec", "times"),
    [
        ("a.mp4", "libx264", SMOOTH),
        ("a.mkv", "libx264", SMOOTH),
        ("a.ts", "libx264", SMOOTH),
        ("a.mp4", "libx264", JUMPY),
        ("a.mp4", "mpeg4", SMOOTH),
        ("a.mkv", "libvpx-vp9", SMOOTH[:40]),
    ],
)
def test_times_and_pixels_are_the_same_without_skipping(
    tmp_path: Path, name: str, codec: str, times: list[float], settings
) -> None:
    path = write_video(tmp_path / name, times=times, codec=codec)
    spared, _ = delivered(path, skip=True, **settings)
    whole, _ = delivered(path, skip=False, **settings)
    assert spared == whole
    assert len(whole) >= 1


def counted(path: Path, wanted) -> list[tuple[int, bool]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = sparing(container.demux(stream), stream.codec_context, wanted)
        return [(pts, frame is not None) for pts, frame in found]


def test_pictures_that_nothing_refers_to_are_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=SMOOTH)
    pictures = counted(path, lambda before, pts, after: False)
    assert len(pictures) == 120
    assert sum(decoded for _, decoded in pictures) < 90
    assert all(decoded for _, decoded in counted(path, lambda before, pts, after: True))


def test_neighbours_in_time_are_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=SMOOTH)
    asked = []
    counted(path, lambda *times: bool(asked.append(times)))
    times = sorted(pts for _, pts, _ in asked)
    before = dict(zip(times[1:], times, strict=False))
    after = dict(pairwise(times))
    assert len(asked) == 120
    assert all((before.get(p), p, after.get(p)) == (b, p, a) for b, p, a in asked)


def test_a_damaged_file_gives_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # with threads FFmpeg mends damage from whatever its other threads have decoded so far
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0}, raising=False)
    source = write_video(tmp_path / "a.mkv", times=SMOOTH, sound=tone(4.8)).read_bytes()
    rng = np.random.default_rng(0)
    changed = 0
    for number in range(12):
        data = np.frombuffer(source, np.uint8).copy()
        places = rng.integers(600, len(data), 8)
        data[places] ^= 1 << rng.integers(0, 8, 8, dtype=np.uint8)
        path = tmp_path / f"{number}.mkv"
        path.write_bytes(data.tobytes())
        spared, reader = delivered(path, skip=True, rates=[3])
        assert spared == delivered(path, skip=False, rates=[3])[0]
        changed += not reader._skip
    assert changed < 12


def test_a_wanted_picture_that_does_not_come_out_is_noticed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", times=SMOOTH)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if not p.is_keyframe or p.pts > 12000]
        found = sparing(packets, stream.codec_context, lambda *times: True)
        with pytest.raises(AstrayError):
            list(found)


def test_a_file_that_starts_without_a_key_frame_gives_its_later_frames(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.ts", times=SMOOTH)
    path = tmp_path / "cut.ts"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number >= 4 and packet.size:
                packet.stream = copy
                target.mux(packet)
    spared, _ = delivered(path, skip=True, rates=[5])
    assert spared == delivered(path, skip=False, rates=[5])[0]
    images = [np.frombuffer(image, np.uint8).reshape(64, 96, 3) for _, image, _ in spared]
    assert 10 < len(images) < 25
    assert number_of(images[-1]) >= 114
