import csv
import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from skimage.data import astronaut

import traitscope
from traitscope.errors import ConfigError, DataError, MissingError, TraitscopeError
from traitscope.extract import extract_clip, make_request
from traitscope.preparation import Summary
from traitscope.preparation.summary import summarise
from traitscope.store import StatusRow, Store
from traitscope.types import Clip, Corpus, Stream, Target

SOUND = {"short_term": {}}
FACES = {"rate": 2, "backend": "haar", "size": 32}
NAMES = [
    "plain.wav",
    "with 'quotes' and \"more\".wav",
    "Grüße aus Köln.wav",
    "-x.wav",
    "A.wav",
    "a",
]


@pytest.fixture
def my_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "code" / "my_lab"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("outside_words.py"), folder / "words.py")
    monkeypatch.syspath_prepend(folder.parent)
    for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
        monkeypatch.delitem(sys.modules, name)
    return folder.parent


def write_sound(path: Path, *, seconds: float = 0.5, pitch: float = 220.0) -> Path:
    samples = np.sin(2 * np.pi * pitch * np.arange(int(16000 * seconds)) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 12000).astype("<i2").tobytes())
    return path


def write_video(path: Path, *, frames: int = 10) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for shift in range(frames):
            picture = np.roll(astronaut()[:256, 96:352], shift, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.copy())))
        container.mux(stream.encode())
    return path


def corpus_of(*clips: Clip) -> Corpus:
    return Corpus("test", "apparent", (Target("openness", 0, 1, 1),), clips)


def sounds(folder: Path, names: list[str] = NAMES) -> Corpus:
    folder.mkdir(exist_ok=True)
    paths = [
        write_sound(folder / f"{place}.wav", pitch=200 + 50 * place) for place in range(len(names))
    ]
    return corpus_of(*[Clip(name, path) for name, path in zip(names, paths, strict=True)])


def spoken(number: int) -> Corpus:
    return corpus_of(*[Clip(f"c{n:02d}", transcript=f"so we say {n}") for n in range(number)])


def content(store: Path) -> dict[str, bytes]:
    files = sorted(path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def times(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.rglob("*.npz")}


def key_of(summary: Summary) -> str:
    (feature,) = summary.features
    return feature.key


def statuses(store: Path, summary: Summary) -> dict[str, str]:
    return {clip: row.status for clip, row in Store(store).statuses(key_of(summary)).items()}


def test_each_clip_gets_the_streams_that_it_gets_alone(tmp_path: Path) -> None:
    video = Clip("video", write_video(tmp_path / "v.mp4"))
    corpus = sounds(tmp_path)
    corpus = corpus.with_clips([*corpus.clips, video])
    seen: list[tuple[int, int, str]] = []
    summary = traitscope.prepare(
        corpus,
        {"faces": FACES, **SOUND},
        store=tmp_path / "store",
        workers=2,
        hook=lambda *news: seen.append(news),
    )
    store = Store(tmp_path / "store")
    requests = [make_request("faces", FACES), make_request("short_term", {})]
    for clip in corpus.clips:
        for key, stream in extract_clip(clip, requests).items():
            if not isinstance(stream, Stream):
                continue
            stored = store.read(key, clip.id)
            np.testing.assert_array_equal(stored.time, stream.time)
            assert stored.images == stream.images
            if stream.values is not None:
                np.testing.assert_array_equal(stored.values, stream.values)
            assert dict(stored.info) == dict(stream.info)
    assert [news[:2] for news in seen] == [(n, 7) for n in range(1, 8)]
    assert {news[2] for news in seen} == {clip.id for clip in corpus.clips}
    faces, sound = summary.features
    assert (summary.clips, summary.extracted, summary.skipped) == (7, 7, 0)
    assert (faces.ok, faces.failures, faces.coverage) == (1, {"no_video": 6}, 1.0)
    assert (sound.ok, sound.failures, sound.coverage) == (6, {"no_audio": 1}, 1.0)
    assert summary.failed == tuple(clip.id for clip in corpus.clips)
    assert summary.size_bytes == faces.size_bytes + sound.size_bytes > 0
    assert 0 < summary.clips_per_second < 1000
    assert store.fingerprints() == {request.key: request.fingerprint for request in requests}


def test_one_process_and_several_make_the_same_store(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    for workers in (0, 1, 2):
        traitscope.prepare(corpus, SOUND, store=str(tmp_path / f"store{workers}"), workers=workers)
    assert content(tmp_path / "store0") == content(tmp_path / "store1")
    assert content(tmp_path / "store0") == content(tmp_path / "store2")


def test_what_is_finished_is_not_touched(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    first = traitscope.prepare(corpus, SOUND, store=Store(tmp_path / "store"), workers=0)
    before = times(tmp_path / "store")
    again = traitscope.prepare(corpus, SOUND, store=tmp_path / "store")
    assert times(tmp_path / "store") == before
    assert (again.extracted, again.skipped, again.failed) == (0, len(NAMES), ())
    assert again.features == first.features


def test_a_stream_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    first = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    before = content(tmp_path / "store")
    Store(tmp_path / "store").discard(key_of(first), NAMES[2])
    again = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert (again.extracted, again.skipped) == (1, len(NAMES) - 1)
    assert content(tmp_path / "store") == before


def test_broken_files_are_rows_with_reasons_and_the_rest_is_done(tmp_path: Path) -> None:
    good = sounds(tmp_path)
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    (tmp_path / "empty.mp4").touch()
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    broken = [
        Clip(path.stem, path) for path in (text, tmp_path / "empty.mp4", tmp_path / "cut.mp4")
    ]
    silent = Clip("no sound", tmp_path / "whole.mp4")
    gone = Clip("gone", tmp_path / "gone.mp4")
    bare = Clip("bare")
    corpus = good.with_clips([*broken, *good.clips, silent, gone, bare])
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=2)
    assert summary.failed == ("text", "empty", "cut", "no sound", "gone", "bare")
    found = {row.clip: (row.status, row.reason) for _, row in summary.failures}
    assert {clip: status for clip, (status, _) in found.items()} == {
        "text": "undecodable",
        "empty": "empty",
        "cut": "undecodable",
        "no sound": "no_audio",
        "gone": "missing",
        "bare": "missing",
    }
    assert all(len(reason) > 20 for _, reason in found.values())
    assert "gone.mp4" in found["gone"][1]
    with (tmp_path / "store" / key_of(summary) / "status.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == sorted(clip.id for clip in corpus.clips)
    assert sum(row["status"] == "ok" for row in rows) == len(NAMES)


def test_a_clip_that_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("not yet")
    corpus = corpus_of(Clip("a", path))
    first = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert first.failed == ("a",)
    write_sound(path)
    again = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert (again.failed, again.changed) == ((), ())


def test_other_media_under_a_known_name_is_extracted_again_and_said(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert corpus.clips[1].path is not None
    write_sound(corpus.clips[1].path, seconds=0.7)
    part = Clip(NAMES[0], corpus.clips[0].path, start=0.1, end=0.4)
    corpus = corpus.with_clips([part, *corpus.clips[1:]])
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.changed == (NAMES[0], NAMES[1])
    assert (summary.extracted, summary.skipped) == (2, len(NAMES) - 2)
    rows = Store(tmp_path / "store").statuses(key_of(summary))
    assert rows[NAMES[0]].span.endswith(", 0.1-0.4")
    assert rows[NAMES[1]].media_bytes == corpus.clips[1].path.stat().st_size  # type: ignore[union-attr]
    assert traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0).changed == ()


def test_broken_media_under_a_known_name_takes_the_old_stream_away(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert corpus.clips[0].path is not None
    corpus.clips[0].path.write_text("broken now")
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert statuses(tmp_path / "store", summary)[NAMES[0]] == "undecodable"
    with pytest.raises(DataError, match="No short_term"):
        Store(tmp_path / "store").read(key_of(summary), NAMES[0])


def test_edited_sound_of_the_same_size_is_other_media(tmp_path: Path) -> None:
    """A sound that was made louder has the bytes it had, and other features."""
    corpus = sounds(tmp_path)
    traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    path = tmp_path / "2.wav"
    data = path.read_bytes()
    louder = np.frombuffer(data[44:], "<i2") * 2
    path.write_bytes(data[:44] + louder.astype("<i2").tobytes())
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.changed == (NAMES[2],)


def test_media_that_may_not_be_read_is_a_row_and_keeps_what_was_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = sounds(tmp_path, NAMES[:2])
    traitscope.prepare(corpus.with_clips(corpus.clips[:1]), SOUND, store=tmp_path / "store")
    real = Path.stat

    def refused(path: Path, **more):
        if path.suffix == ".wav":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    ((_, row),) = summary.failures
    assert (row.clip, row.status) == (NAMES[1], "unreadable")
    assert "1.wav cannot be read: Permission denied. Give this user the right to." in row.reason
    assert (summary.skipped, summary.changed) == (1, ())


def test_a_clip_whose_row_was_lost_is_not_taken_for_finished(tmp_path: Path) -> None:
    corpus = sounds(tmp_path, NAMES[:2])
    first = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    store = Store(tmp_path / "store")
    store.discard(key_of(first), NAMES[0])
    after = summarise(
        corpus, [key_of(first)], store, extracted=0, skipped=2, changed=(), seconds=1.0
    )
    assert after.failed == (NAMES[0],)
    assert "Run the command again" in after.failures[0][1].reason


def test_a_pipe_is_nothing_to_wait_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    corpus = corpus_of(Clip("a", tmp_path / "a.mp4"))
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.features[0].failures == {"empty": 1}


def test_finished_features_stay_when_the_media_is_gone(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    for clip in corpus.clips:
        assert clip.path is not None
        clip.path.unlink()
    summary = traitscope.prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert (summary.failed, summary.skipped) == ((), len(NAMES))


def test_extractors_that_read_text_need_no_media(tmp_path: Path, my_lab: Path) -> None:
    corpus = corpus_of(Clip("a", transcript="so it is"), Clip("b", tmp_path / "gone.mp4"))
    requests = {"my_lab.words": {}, **SOUND}
    summary = traitscope.prepare(corpus, requests, store=tmp_path / "store", workers=1)
    words, sound = summary.features
    assert (words.ok, words.failures) == (2, {})
    assert (sound.ok, sound.failures) == (0, {"missing": 2})
    assert Store(tmp_path / "store").read(words.key, "a").values.tolist() == ["so", "it", "is"]  # type: ignore[union-attr]
    other = corpus_of(Clip("a", transcript="so it was"), *corpus.clips[1:])
    changed = traitscope.prepare(other, requests, store=tmp_path / "store", workers=0)
    assert changed.changed == ("a",)


def test_a_folder_of_images_is_known_by_the_names_and_sizes_of_its_files(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), astronaut()[:256, 96:352, ::-1])
    corpus = corpus_of(Clip("a", folder, fps=2.0))
    requests = {"faces": FACES}
    first = traitscope.prepare(corpus, requests, store=tmp_path / "store", workers=0)
    row = Store(tmp_path / "store").statuses(key_of(first))["a"]
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert row == StatusRow("a", "ok", "", 4, 1.0, size, f"{row.span[:8]}, 0.0- at 2.0")
    (folder / "0.png").rename(folder / "9.png")
    again = traitscope.prepare(corpus, requests, store=tmp_path / "store", workers=0)
    assert again.changed == ("a",)


def test_a_clip_that_kills_its_worker_twice_is_a_row_and_the_others_go_on(
    tmp_path: Path, my_lab: Path
) -> None:
    summary = traitscope.prepare(
        spoken(6), {"my_lab.words": {"killed_by": "c02"}}, store=tmp_path / "store", workers=2
    )
    assert summary.failed == ("c02",)
    ((_, row),) = summary.failures
    assert (row.status, "ended twice on this clip (signal 9)" in row.reason) == ("crashed", True)
    assert summary.features[0].ok == 5


def test_a_worker_killed_once_costs_one_retry(tmp_path: Path, my_lab: Path) -> None:
    settings = {"killed_by": "c02", "only_once": str(tmp_path / "killed")}
    summary = traitscope.prepare(
        spoken(6), {"my_lab.words": settings}, store=tmp_path / "store", workers=2
    )
    assert (tmp_path / "killed").exists()
    assert summary.failed == ()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_missing_model_file_stops_at_once_as_itself(
    tmp_path: Path, my_lab: Path, workers: int
) -> None:
    with pytest.raises(MissingError, match="model file x"):
        traitscope.prepare(
            spoken(6), {"my_lab.words": {"lacking": True}}, store=tmp_path / "s", workers=workers
        )
    assert not times(tmp_path / "s")


def test_a_full_disk_stops_the_preparation(
    tmp_path: Path, my_lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.lib.format.write_array", full)
    with pytest.raises(TraitscopeError, match=r"Cannot write .*No space left on device.*Make room"):
        traitscope.prepare(spoken(2), {"my_lab.words": {}}, store=tmp_path / "store", workers=0)
    assert not times(tmp_path / "store")


def test_impossible_requests_are_refused_before_any_work(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises(ConfigError, match="Nothing to extract"):
        traitscope.prepare(spoken(1), {}, store=store)
    with pytest.raises(ConfigError, match=r"no 'facs' in extract\. Did you mean 'faces'"):
        traitscope.prepare(spoken(1), {"facs": {}}, store=store)
    with pytest.raises(DataError, match="test has no clips"):
        traitscope.prepare(corpus_of(), SOUND, store=store)
    with pytest.raises(ConfigError, match="workers is -1"):
        traitscope.prepare(spoken(1), SOUND, store=store, workers=-1)
    with pytest.raises(ConfigError, match="does not say which corpus"):
        traitscope.prepare("nowhere.csv", SOUND, store=store)
    assert not store.exists()


SCRIPT = """
import sys
import traitscope
from traitscope.types import Clip, Corpus, Target
clips = tuple(Clip(f"c{n:02d}", transcript=f"so we say {n}") for n in range(12))
corpus = Corpus("test", "apparent", (Target("openness", 0, 1, 1),), clips)
traitscope.prepare(corpus, {"my_lab.words": {"seconds": 0.15}}, store=sys.argv[1], workers=2)
"""


@pytest.fixture
def running(tmp_path: Path, my_lab: Path) -> Iterator[subprocess.Popen[str]]:
    """A preparation in a process group of its own, with three clips finished."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "store"],
        env={**os.environ, "PYTHONPATH": str(my_lab)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while len(times(tmp_path / "store")) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_preparation_that_was_stopped_goes_on_to_the_same_store(
    tmp_path: Path, running: subprocess.Popen[str], number: int
) -> None:
    family = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.kill()
    _, errors = running.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert errors.count("Traceback") == (number == signal.SIGINT), errors
    before = times(tmp_path / "store")
    assert 3 <= len(before) < 12
    if number == signal.SIGINT:
        assert len(list(tmp_path.glob("store/*/status.csv"))) == 1
    request = {"my_lab.words": {"seconds": 0.15}}
    again = traitscope.prepare(spoken(12), request, store=tmp_path / "store", workers=2)
    after = times(tmp_path / "store")
    assert {name: after[name] for name in before} == before
    assert (again.skipped, again.extracted) == (len(before), 12 - len(before))
    traitscope.prepare(spoken(12), request, store=tmp_path / "whole", workers=0)
    assert content(tmp_path / "store") == content(tmp_path / "whole")
