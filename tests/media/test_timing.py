"""Times that a file does not have, or that do not rise: no picture is lost, and it is said."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.declared_files import write_pixels
from tests.support.media_files import number_of, numbered, write_video
from traitscope.media import probe, read_frames
from traitscope.media._timing import Clock


def read(path: Path, **settings) -> tuple[list[float], list[int], tuple[str, ...]]:
    settings.setdefault("rates", ["native"])
    reader = read_frames(path, **settings)
    frames = [frame for frame, _ in reader]
    return [frame.time for frame in frames], [number_of(f.image) for f in frames], reader.notes


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_pictures_of_an_avi_are_in_order_and_all_there(
    tmp_path: Path, codec: str, b_frames: int
) -> None:
    path = write_pixels(
        tmp_path / "a.avi", codec, (96, 64), Fraction(1), frames=60, b_frames=b_frames
    )
    times, numbers, notes = read(path)
    assert numbers == list(range(60))
    np.testing.assert_allclose(times, np.arange(60) / 25)
    assert notes == ()
    assert read(path, rates=[5])[1] == list(range(0, 60, 5))
    assert read(path, start=1, end=2)[1] == list(range(25, 50))


def test_pauses_in_an_avi_stay(tmp_path: Path) -> None:
    times = [0, 0.04, 0.08, 0.4, 0.44, 0.48, 0.6]
    path = write_video(tmp_path / "a.avi", times=times, codec="mpeg4")
    np.testing.assert_allclose(read(path)[0], times, atol=0.002)


def test_matroska_in_its_mode_for_old_codecs_says_only_when_to_decode(tmp_path: Path) -> None:
    source = write_pixels(tmp_path / "a.avi", "mpeg4", (96, 64), Fraction(1), frames=40, b_frames=2)
    path = tmp_path / "a.mkv"
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                packet.pts, packet.stream = packet.dts, copy
                target.mux(packet)
    times, numbers, _ = read(path)
    assert numbers == list(range(40))
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("jitter", [0, 4])
@pytest.mark.parametrize(("unit", "name"), [(1000, "a.webm"), (90_000, "a.mkv"), (600, "a.avi")])
def test_a_unit_of_time_is_no_rate(tmp_path: Path, unit: int, name: str, jitter: int) -> None:
    """Recorders of browsers and of phones declare such rates."""
    codec = {"webm": "libvpx", "mkv": "libx264", "avi": "mpeg4"}[name[2:]]
    late = np.random.default_rng(0).integers(0, jitter + 1, 40) / 1000
    expected = np.arange(40) / 20 + late - late[0]
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=unit)
        stream.height, stream.width = numbered(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, unit)
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = round(expected[number] * unit), Fraction(1, unit)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info = probe(tmp_path / name)
    assert info.fps == pytest.approx(20, rel=0.03)
    times, numbers, _ = read(tmp_path / name)
    assert numbers == list(range(40))
    np.testing.assert_allclose(times, expected, atol=0.002)
    assert read_frames(tmp_path / name, rates=[5]).info.fps == info.fps


def test_a_high_rate_that_is_there_is_believed(tmp_path: Path) -> None:
    info = probe(write_video(tmp_path / "a.mp4", frames=60, fps=240))
    assert (info.fps, info.notes) == (pytest.approx(240), ())


def test_recordings_that_were_joined_go_on(tmp_path: Path) -> None:
    """Each of two transport streams counts from its own zero."""
    one = write_video(tmp_path / "a.ts", frames=60)
    two = write_video(tmp_path / "b.ts", frames=50, picture=lambda n: numbered(n + 100))
    path = tmp_path / "joined.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    times, numbers, notes = read(path)
    assert numbers == [*range(60), *range(100, 150)]
    assert (np.diff(times) > 0).all()
    assert times[-1] == pytest.approx(109 / 25, abs=0.1)
    assert "times: they go back by" in " ".join(notes)


def test_a_file_without_times_has_the_usual_rate_and_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", frames=50)
    times, numbers, notes = read(path)
    assert numbers == list(range(50))
    np.testing.assert_allclose(times, np.arange(50) / 25)
    assert notes == ("assumed-rate: pictures have no times, so 25 per second are assumed",)


def test_a_clock_rises_whatever_it_is_told() -> None:
    notes: list[str] = []
    clock = Clock(100, Fraction(1, 100), 0.04, notes.append)
    times = [clock.seconds(ticks) for ticks in (100, 104, 104, 112, 108, 900, 100, 104, None)]
    np.testing.assert_allclose(times, [0, 0.04, 0.06, 0.12, 0.14, 8, 8.04, 8.08, 8.12])
    assert notes[-2:] == [
        "times: they go back by 8.00 s at 8.00 s",
        "assumed-rate: pictures have no times, so 25 per second are assumed",
    ]
    assert len(set(notes)) == 3
