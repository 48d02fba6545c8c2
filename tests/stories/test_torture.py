"""A folder of media as the world holds it: every file has a row with a reason, no worker dies."""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.command_line import type_in
from tests.support.media_files import portrait, tone, write_sound, write_video
from traitscope.features.store import Store

EXTRACT = ("--extract", "faces,signals,short_term")
FACE = portrait(256)


def shifted(number: int) -> np.ndarray:
    return np.roll(FACE, number // 3, axis=1)


def talking(path: Path, **settings) -> Path:
    settings.setdefault("frames", 30)
    seconds = settings["frames"] / settings.get("fps", 25)
    turns = settings.get("rotation", 0) // 90  # recorded sideways, shown upright
    return write_video(
        path, picture=lambda n: np.rot90(shifted(n), turns).copy(), sound=tone(seconds), **settings
    )


def unusual(path: Path, pixel_format: str, codec: str, options: dict[str, str]) -> Path:
    """Pictures in another pixel format, or interlaced."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = 256
        stream.pix_fmt = pixel_format
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(shifted(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def huge(path: Path) -> Path:
    """One picture of 7680 x 4320."""
    image = np.full((4320, 7680, 3), 90, np.uint8)
    image[1000:3560, 2500:5060] = portrait(2560)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def without_first_key_frame(folder: Path, path: Path) -> Path:
    whole = talking(folder / "whole.ts")
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number >= 3 and packet.size:
                packet.stream = copy
                target.mux(packet)
    whole.unlink()
    return path


BOTH = {"faces": "ok", "signals": "ok", "short_term": "ok"}
SILENT = {"faces": "ok", "signals": "ok", "short_term": "no_audio"}
SOUND = {"faces": "no_video", "signals": "no_video", "short_term": "ok"}
BROKEN = dict.fromkeys(BOTH, "undecodable")
Made = tuple[str, Callable[[Path], object], dict[str, str]]


def whole_files() -> Iterator[Made]:
    """Name, how it is made, and what becomes of it: files that carry something."""
    jumpy = [0.0, 0.04, 0.08, 0.4, 0.42, 0.9, 1.0, 1.3]
    sound = np.repeat(tone(1.2, rate=48000), 6, axis=0)
    yield "vfr.mp4", lambda p: talking(p, times=jumpy), BOTH
    yield "portrait.mp4", lambda p: talking(p, rotation=90), BOTH
    yield "upside.mp4", lambda p: talking(p, rotation=180), BOTH
    yield (
        "mono_8k.mp4",
        lambda p: write_video(p, picture=shifted, sound=tone(1.2, rate=8000), rate=8000),
        BOTH,
    )
    yield (
        "surround.mp4",
        lambda p: write_video(p, picture=shifted, sound=sound, rate=48000, layout="5.1"),
        BOTH,
    )
    quiet = np.zeros((1, 19200), np.float32)
    mute = {**BOTH, "short_term": "silent"}
    yield "silent.mp4", lambda p: write_video(p, picture=shifted, sound=quiet), mute
    yield "no_audio.mp4", lambda p: write_video(p, picture=shifted), SILENT
    yield "no_video.wav", lambda p: write_sound(p, tone(1.2)), SOUND
    yield "no_video.m4a", lambda p: write_sound(p, tone(1.2), codec="aac"), SOUND
    yield "one_frame.mp4", lambda p: write_video(p, frames=1, picture=shifted), SILENT
    yield "fast.mp4", lambda p: talking(p, frames=240, fps=240), BOTH
    yield "8k.mp4", huge, SILENT
    yield "ten_bit.mp4", lambda p: unusual(p, "yuv420p10le", "libx264", {}), SILENT
    yield "422.mp4", lambda p: unusual(p, "yuv422p", "libx264", {}), SILENT
    yield "grey.mkv", lambda p: unusual(p, "gray", "ffv1", {}), SILENT
    interlaced = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    yield "interlaced.mp4", lambda p: unusual(p, "yuv420p", "libx264", interlaced), SILENT
    yield "mpeg4.avi", lambda p: write_video(p, picture=shifted, codec="mpeg4"), SILENT
    yield "no_key.ts", lambda p: without_first_key_frame(p.parent, p), SILENT
    faceless = {**BOTH, "faces": "no_face", "signals": "no_face"}
    yield "faceless.mp4", lambda p: write_video(p, sound=tone(1.2)), faceless


def broken_files(source: Path, count: int, cuts: int) -> Iterator[Made]:
    """The same for files of which nothing can be had, or nobody knows beforehand what ("")."""
    data = source.read_bytes()
    anything: dict[str, str] = {}
    yield "zero.mp4", lambda p: p.write_bytes(b""), dict.fromkeys(BOTH, "empty")
    yield "text.mp4", lambda p: p.write_text("not a video\n" * 50), BROKEN
    yield "noise.mp4", lambda p: p.write_bytes(np.random.default_rng(0).bytes(9000)), BROKEN
    yield "video.mp3", lambda p: p.write_bytes(data), BOTH  # the content decides
    yield "picture.mp4", lambda p: p.write_bytes(b"\xff\xd8\xff\xe0" + bytes(900)), anything
    rng = np.random.default_rng(0)
    for number in range(cuts):
        length = max(1, len(data) * (number + 1) // (cuts + 1))
        yield f"cut_{number:02d}.mkv", lambda p, n=length: p.write_bytes(data[:n]), anything
    for number in range(count - cuts):
        flipped = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(flipped), 1 + number % 40)
        flipped[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
        yield f"flip_{number:03d}.mkv", lambda p, b=flipped: p.write_bytes(b.tobytes()), anything


def make_folder(folder: Path, *, files: int, cuts: int) -> dict[str, dict[str, str]]:
    """Fill a folder with so many files and its table; return what should become of each."""
    source = talking(folder / "source.mkv", frames=40)
    made = [*whole_files()]
    made += broken_files(source, files - len(made) - 5, cuts)
    for name, make, _ in made:
        make(folder / name)
    source.unlink()
    rows = [f"{name},0.5" for name, _, _ in made]
    (folder / "clips.csv").write_text("\n".join(["clip,openness", *rows, ""]))
    (folder / "clips.yaml").write_text(
        "kind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    assert len(made) == files
    return {name: expected for name, _, expected in made}


def check(folder: Path, *, files: int, cuts: int) -> None:
    expected = make_folder(folder, files=files, cuts=cuts)
    store = folder / "store"
    result = type_in(
        *("prepare", f"table:{folder / 'clips.csv'}", "--store", store, *EXTRACT),
        *("--workers", 2, "--json"),
    )
    assert result.returncode == 1, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    summary = json.loads(result.stdout)
    assert summary["clips"] == files
    for key in Store(store).fingerprints():
        name = key.rpartition("-")[0]
        rows = Store(store).statuses(key)
        assert set(rows) == set(expected)
        for clip, row in rows.items():
            assert row.status not in {"crashed", "error"}, f"{clip}: {row.reason}"
            assert (row.status == "ok") == (not row.reason), clip
            wanted = expected[clip].get(name)
            assert wanted in (None, row.status), f"{clip}: {name}: {row.status}: {row.reason}"
    faces = next(key for key in Store(store).fingerprints() if key.startswith("faces"))
    np.testing.assert_allclose(np.diff(Store(store).read(faces, "fast.mp4").time), 0.2)
    assert len(Store(store).read(faces, "one_frame.mp4").time) == 1


def test_a_torture_folder_has_a_row_for_every_file(tmp_path: Path) -> None:
    check(tmp_path, files=36, cuts=8)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_200_files_of_torture_have_a_row_each(tmp_path: Path) -> None:
    check(tmp_path, files=200, cuts=20)
