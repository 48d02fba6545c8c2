"""Media that changes, goes or cannot be read between two preparations of one store."""

import os
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from tests.support.declared_files import write_tracks
from tests.support.media_files import tone
from tests.support.prepared_media import (
    FACES,
    NAMES,
    SOUND,
    corpus_of,
    key_of,
    sounds,
    statuses,
    write_sound,
)
from traitscope.errors import DataError
from traitscope.features.preparation import prepare, with_tracks
from traitscope.features.store import StatusRow, Store
from traitscope.features.summary import summarise
from traitscope.media import Tracks
from traitscope.types import Clip


def test_other_media_under_a_known_name_is_extracted_again_and_said(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert corpus.clips[1].path is not None
    write_sound(corpus.clips[1].path, seconds=0.7)
    part = Clip(NAMES[0], corpus.clips[0].path, start=0.1, end=0.4)
    corpus = corpus.with_clips([part, *corpus.clips[1:]])
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.changed == (NAMES[0], NAMES[1])
    assert (summary.extracted, summary.skipped) == (2, len(NAMES) - 2)
    rows = Store(tmp_path / "store").statuses(key_of(summary))
    assert rows[NAMES[0]].span.endswith(", 0.1-0.4")
    assert rows[NAMES[1]].media_bytes == corpus.clips[1].path.stat().st_size  # type: ignore[union-attr]
    assert prepare(corpus, SOUND, store=tmp_path / "store", workers=0).changed == ()


def test_features_of_another_track_are_made_again_and_never_mixed(tmp_path: Path) -> None:
    sounds = [tone(1, hertz=hertz) for hertz in (300, 700)]
    corpus = corpus_of(Clip("a", write_tracks(tmp_path / "a.mkv", sounds, default=2)))
    both = {"short_term": {}, "frames": {"rate": 2}}
    store = Store(tmp_path / "store")

    def prepared(tracks: Tracks) -> tuple[tuple[str, ...], dict[str, float], dict[str, str]]:
        chosen = with_tracks(corpus, tracks)
        summary = prepare(chosen, both, store=store, workers=0)
        rows = {f.key.partition("-")[0]: store.statuses(f.key)["a"] for f in summary.features}
        heard = next(f.key for f in summary.features if f.key.startswith("short_term"))
        assert summary.failed == ()
        crossings = float(np.mean(store.read(heard, "a").values[:, 0]))
        return summary.changed, {"zcr": crossings}, {n: row.span for n, row in rows.items()}

    changed, default, spans = prepared(Tracks())
    assert (changed, "track" in "".join(spans.values())) == ((), False)
    changed, first, spans = prepared(Tracks(audio=1))
    assert changed == ("a",)
    assert first["zcr"] < 0.6 * default["zcr"]
    assert spans["short_term"].endswith(", audio track 1")
    assert "track" not in spans["frames"]
    assert prepared(Tracks(audio=1))[0] == ()
    assert prepared(Tracks())[:2] == (("a",), default)


def test_broken_media_under_a_known_name_takes_the_old_stream_away(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert corpus.clips[0].path is not None
    corpus.clips[0].path.write_text("broken now")
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert statuses(tmp_path / "store", summary)[NAMES[0]] == "undecodable"
    with pytest.raises(DataError, match="No short_term"):
        Store(tmp_path / "store").read(key_of(summary), NAMES[0])


def test_edited_sound_of_the_same_size_is_other_media(tmp_path: Path) -> None:
    """A sound that was made louder has the bytes it had, and other features."""
    corpus = sounds(tmp_path)
    prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    path = tmp_path / "2.wav"
    data = path.read_bytes()
    louder = np.frombuffer(data[44:], "<i2") * 2
    path.write_bytes(data[:44] + louder.astype("<i2").tobytes())
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.changed == (NAMES[2],)


def test_media_that_may_not_be_read_is_a_row_and_keeps_what_was_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = sounds(tmp_path, NAMES[:2])
    prepare(corpus.with_clips(corpus.clips[:1]), SOUND, store=tmp_path / "store")
    real = Path.stat

    def refused(path: Path, **more):
        if path.suffix == ".wav":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    ((_, row),) = summary.failures
    assert (row.clip, row.status) == (NAMES[1], "unreadable")
    assert "1.wav cannot be read: Permission denied. Give this user the right to." in row.reason
    assert (summary.skipped, summary.changed) == (1, ())


def test_a_clip_whose_row_was_lost_is_not_taken_for_finished(tmp_path: Path) -> None:
    corpus = sounds(tmp_path, NAMES[:2])
    first = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    store = Store(tmp_path / "store")
    store.discard(key_of(first), NAMES[0])
    after = summarise(corpus, [key_of(first)], store)
    assert after.failed == (NAMES[0],)
    assert "Run the command again" in after.failures[0][1].reason


def test_a_pipe_is_nothing_to_wait_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    corpus = corpus_of(Clip("a", tmp_path / "a.mp4"))
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert summary.features[0].failures == {"empty": 1}


def test_finished_features_stay_when_the_media_is_gone(tmp_path: Path) -> None:
    corpus = sounds(tmp_path)
    prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    for clip in corpus.clips:
        assert clip.path is not None
        clip.path.unlink()
    summary = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert (summary.failed, summary.skipped) == ((), len(NAMES))


def test_extractors_that_read_text_need_no_media(tmp_path: Path, my_lab: Path) -> None:
    corpus = corpus_of(Clip("a", transcript="so it is"), Clip("b", tmp_path / "gone.mp4"))
    requests = {"my_lab.words": {}, **SOUND}
    summary = prepare(corpus, requests, store=tmp_path / "store", workers=1)
    words, sound = summary.features
    assert (words.ok, words.failures) == (2, {})
    assert (sound.ok, sound.failures) == (0, {"missing": 2})
    assert Store(tmp_path / "store").read(words.key, "a").values.tolist() == ["so", "it", "is"]  # type: ignore[union-attr]
    other = corpus_of(Clip("a", transcript="so it was"), *corpus.clips[1:])
    changed = prepare(other, requests, store=tmp_path / "store", workers=0)
    assert changed.changed == ("a",)


def test_a_folder_of_images_is_known_by_the_names_and_sizes_of_its_files(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), astronaut()[:256, 96:352, ::-1])
    corpus = corpus_of(Clip("a", folder, fps=2.0))
    requests = {"faces": FACES}
    first = prepare(corpus, requests, store=tmp_path / "store", workers=0)
    row = Store(tmp_path / "store").statuses(key_of(first))["a"]
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert row == StatusRow("a", "ok", "", 4, 1.0, size, f"{row.span[:8]}, 0.0- at 2.0")
    (folder / "0.png").rename(folder / "9.png")
    again = prepare(corpus, requests, store=tmp_path / "store", workers=0)
    assert again.changed == ("a",)
