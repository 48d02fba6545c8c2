import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.interrupts import hear_interrupts
from tests.support.prepared_media import (
    FACES,
    NAMES,
    SOUND,
    content,
    corpus_of,
    key_of,
    sounds,
    spoken,
    times,
    write_sound,
    write_video,
)
from traitscope.errors import ConfigError, DataError, MissingError, TraitscopeError
from traitscope.escaping import plain
from traitscope.features.extraction import extract_clip
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.types import Clip, Stream


def test_each_clip_gets_the_streams_that_it_gets_alone(tmp_path: Path) -> None:
    video = Clip("video", write_video(tmp_path / "v.mp4"))
    corpus = sounds(tmp_path)
    corpus = corpus.with_clips([*corpus.clips, video])
    seen: list[tuple[int, int, str]] = []
    summary = prepare(
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
        prepare(corpus, SOUND, store=str(tmp_path / f"store{workers}"), workers=workers)
    assert content(tmp_path / "store0") == content(tmp_path / "store1")
    assert content(tmp_path / "store0") == content(tmp_path / "store2")


def test_what_is_finished_is_not_touched(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    first = prepare(corpus, SOUND, store=Store(tmp_path / "store"), workers=0)
    before = times(tmp_path / "store")
    again = prepare(corpus, SOUND, store=tmp_path / "store")
    assert times(tmp_path / "store") == before
    assert (again.extracted, again.skipped, again.failed) == (0, len(NAMES), ())
    assert again.features == first.features


def test_a_stream_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    first = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    before = content(tmp_path / "store")
    Store(tmp_path / "store").discard(key_of(first), NAMES[2])
    again = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
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
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=2)
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
    assert [plain(row["clip"]) for row in rows] == sorted(clip.id for clip in corpus.clips)
    assert sum(row["status"] == "ok" for row in rows) == len(NAMES)


def test_a_clip_that_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("not yet")
    corpus = corpus_of(Clip("a", path))
    first = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert first.failed == ("a",)
    write_sound(path)
    again = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert (again.failed, again.changed) == ((), ())


def test_a_clip_that_kills_its_worker_twice_is_a_row_and_the_others_go_on(
    tmp_path: Path, my_lab: Path
) -> None:
    summary = prepare(
        spoken(6), {"my_lab.words": {"killed_by": "c02"}}, store=tmp_path / "store", workers=2
    )
    assert summary.failed == ("c02",)
    ((_, row),) = summary.failures
    assert (row.status, "ended twice on this clip (signal 9)" in row.reason) == ("crashed", True)
    assert summary.features[0].ok == 5


def test_a_worker_killed_once_costs_one_retry(tmp_path: Path, my_lab: Path) -> None:
    settings = {"killed_by": "c02", "only_once": str(tmp_path / "killed")}
    summary = prepare(spoken(6), {"my_lab.words": settings}, store=tmp_path / "store", workers=2)
    assert (tmp_path / "killed").exists()
    assert summary.failed == ()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_missing_model_file_stops_at_once_as_itself(
    tmp_path: Path, my_lab: Path, workers: int
) -> None:
    with pytest.raises(MissingError, match="model file x"):
        prepare(
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
        prepare(spoken(2), {"my_lab.words": {}}, store=tmp_path / "store", workers=0)
    assert not times(tmp_path / "store")


def test_impossible_requests_are_refused_before_any_work(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises(ConfigError, match="Nothing to extract"):
        prepare(spoken(1), {}, store=store)
    with pytest.raises(ConfigError, match=r"no 'facs' in extract\. Did you mean 'faces'"):
        prepare(spoken(1), {"facs": {}}, store=store)
    with pytest.raises(DataError, match="test has no clips"):
        prepare(corpus_of(), SOUND, store=store)
    with pytest.raises(ConfigError, match="workers is -1"):
        prepare(spoken(1), SOUND, store=store, workers=-1)
    with pytest.raises(ConfigError, match="does not say which corpus"):
        prepare("nowhere.csv", SOUND, store=store)
    assert not store.exists()


SCRIPT = """
import sys
from traitscope.types import Clip, Corpus, Target
from traitscope.features.preparation import prepare
clips = tuple(Clip(f"c{n:02d}", transcript=f"so we say {n}") for n in range(12))
corpus = Corpus("test", "apparent", (Target("openness", 0, 1, 1),), clips)
wanted = {"my_lab.words": {"waits_from": "c06", "until": sys.argv[2]}}
prepare(corpus, wanted, store=sys.argv[1], workers=2)
"""


@pytest.fixture
def running(tmp_path: Path, my_lab: Path) -> Iterator[subprocess.Popen[str]]:
    """A preparation in a process group of its own, that stays where some clips are finished."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "store", tmp_path / "go on"],
        env={**os.environ, "PYTHONPATH": f"{my_lab}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    ) as process:
        while len(times(tmp_path / "store")) < 3:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        yield process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_preparation_that_was_stopped_goes_on_to_the_same_store(
    tmp_path: Path, running: subprocess.Popen[str], number: int
) -> None:
    family = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.kill()
    (tmp_path / "go on").touch()  # a worker ends with the clip that it has in hand
    _, errors = running.communicate()
    _, alive = psutil.wait_procs(family)
    assert not alive
    assert errors.count("Traceback") == (number == signal.SIGINT), errors
    before = times(tmp_path / "store")
    assert 3 <= len(before) < 12
    if number == signal.SIGINT:
        assert len(list(tmp_path.glob("store/*/status.csv"))) == 1
    request = {"my_lab.words": {"waits_from": "c06", "until": str(tmp_path / "go on")}}
    again = prepare(spoken(12), request, store=tmp_path / "store", workers=2)
    after = times(tmp_path / "store")
    assert {name: after[name] for name in before} == before
    assert (again.skipped, again.extracted) == (len(before), 12 - len(before))
    prepare(spoken(12), request, store=tmp_path / "whole", workers=0)
    assert content(tmp_path / "store") == content(tmp_path / "whole")
