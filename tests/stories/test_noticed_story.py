"""A folder with one file of each kind: each is a row with a score or a reason, and its notes."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.declared_files import write_interlaced, write_tracks
from tests.support.media_files import portrait, tone, write_video
from traitscope.cli import main
from traitscope.features.store import Store
from traitscope.notes import kind_of

DECLARED = """kind: apparent
media: media
targets:
  openness: {low: 0, high: 1, direction: 1}
"""
SETTINGS = (
    *("data.corpus=table:clips.csv", "data.store=store", "model.streams=[signals,mid_term]"),
    *("features.signals.backend=dlib", "features.signals.rate=1"),
)
FORMULA = "=1+1.mp4"


def run(*arguments: str, expect: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    assert left.value.code == expect


def face(number: int) -> np.ndarray:
    return portrait(240)


def crowd(number: int) -> np.ndarray:
    image = np.full((360, 640, 3), 127, np.uint8)
    image[:, :360], image[60:300, 400:] = portrait(360), portrait(240)[:, ::-1]
    return image


def video(path: Path, picture: Callable[[int], np.ndarray], hertz: float = 300) -> Path:
    sound = tone(1, hertz=hertz)
    options = {"movflags": "faststart"}
    return write_video(path, frames=25, picture=picture, sound=sound, options=options)


def cut(path: Path) -> Path:
    """Stop the download of a video in the middle of it."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    return path


def long_video(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 40, (150, 240, 240, 3), dtype=np.uint8)
    options = {"movflags": "faststart"}
    return write_video(
        path,
        frames=150,
        picture=lambda n: np.clip(face(n) * 0.85 + noise[n], 0, 255).astype(np.uint8),
        sound=tone(6),
        options=options,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of seven clips and one that was cut off, its store, and a run."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "media").mkdir()
    rows = ["clip,openness,split"]
    for number in range(8):
        path = video(folder / "media" / f"c{number}.mp4", face, 200 + 100 * number)
        if number == 7:
            cut(long_video(path))
        rows.append(
            f"c{number},{number / 8},{('train', 'train', 'validation', 'test')[number % 4]}"
        )
    (folder / "clips.csv").write_text("\n".join(rows))
    (folder / "clips.yaml").write_text(DECLARED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = ("--extract", "signals,mid_term", "signals.backend=dlib", "signals.rate=1")
        run("prepare", "table:clips.csv", "--store", "store", *settings, "--workers", "0")
        run("train", "functionals", *SETTINGS, "--to", "run")
    return folder


def write_kinds(folder: Path) -> dict[str, set[str]]:
    """One file of each kind; returns the kinds of notes that each must carry."""
    folder.mkdir()
    video(folder / FORMULA, face)
    cut(long_video(folder / "half.mp4"))
    write_video(folder / "silent.mp4", frames=25, picture=face, sound=0 * tone(1))
    write_video(folder / "mute.mp4", frames=25, picture=face)
    video(folder / "nobody.mp4", lambda n: np.full((240, 240, 3), 127, np.uint8))
    video(folder / "turned.mp4", lambda n: np.ascontiguousarray(face(n)[::-1, ::-1]))
    video(folder / "crowd.mp4", crowd)
    write_tracks(folder / "tracks.mkv", [tone(1), tone(1)], default=2)
    options = {"flags": "+ilme+ildct", "b": "4000000"}
    write_interlaced(folder / "field.mpg", "mpeg2video", options, bottom_first=False)
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    (folder / "words.txt").write_text("words alone")
    (folder / "more").mkdir()
    video(folder / "more" / "half.mp4", face)
    return {
        FORMULA: set(),
        "half.mp4": {"truncated"},
        "silent.mp4": set(),
        "mute.mp4": set(),
        "nobody.mp4": set(),
        "turned.mp4": {"turned-face"},
        "crowd.mp4": {"others"},
        "tracks.mkv": {"track"},
        "field.mpg": {"deinterlaced"},
        "broken.mp4": set(),
    }


def test_each_kind_of_file_is_a_row_with_a_score_or_a_reason_and_its_notes(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    expected = write_kinds(tmp_path / "kinds")
    capsys.readouterr()
    run(
        "predict",
        "run",
        str(tmp_path / "kinds"),
        "--json",
        "--csv",
        str(tmp_path / "p.csv"),
        expect=1,
    )
    out, err = capsys.readouterr()
    tree = json.loads(out)
    clips = {clip["clip"]: clip for clip in tree["clips"]}
    assert {
        name: {kind_of(note) for note in clip["notes"]} - {"damaged"}
        for name, clip in clips.items()
    } == expected
    assert {name: clip["status"] for name, clip in clips.items()} == {
        **dict.fromkeys((FORMULA, "half.mp4", "crowd.mp4"), "ok"),
        "silent.mp4": "silent",
        **dict.fromkeys(("mute.mp4",), "no_audio"),
        **dict.fromkeys(("nobody.mp4", "turned.mp4", "tracks.mkv", "field.mpg"), "no_face"),
        "broken.mp4": "undecodable",
    }
    for clip in clips.values():
        assert bool(clip["scores"]) != bool(clip["reason"])
        assert clip["path"] == str(tmp_path / "kinds" / clip["clip"])
    assert all(0.3 < share < 0.8 for share in clips["half.mp4"]["coverage"].values())
    told = [note for note in clips["half.mp4"]["notes"] if kind_of(note) == "truncated"]
    assert len(told) == 2  # of its pictures and its sound
    assert {Path(out["file"]).name for out in tree["left_out"]} == {"words.txt", "more"}
    assert "note: half.mp4: truncated: video ends at" in err
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(expected)
    assert rows[clips[FORMULA]["path"]]["clip"] == f"'{FORMULA}"
    assert rows[clips["half.mp4"]["path"]]["notes"] == " | ".join(clips["half.mp4"]["notes"])


def test_files_of_one_name_have_ids_of_their_own(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("a/x.mp4", "b/x.mp4", "a_x.mp4")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"none")
    run("predict", str(place / "run"), *map(str, [*paths, paths[0]]), "--json", expect=1)
    clips = json.loads(capsys.readouterr().out)["clips"]
    assert [clip["path"] for clip in clips] == [str(path) for path in [*paths, paths[0]]]
    assert len({clip["clip"] for clip in clips}) == 4


def test_notes_reach_the_store_the_summary_the_report_the_page_and_the_sheet(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    store = Store(Path("store"))
    for key in store.fingerprints():
        rows = store.statuses(key)
        assert [clip for clip, row in rows.items() if row.notes] == ["c7"]
        assert rows["c7"].coverage == pytest.approx(0.6, abs=0.2)
        assert "truncated" in map(kind_of, rows["c7"].noted)
        assert store.read(key, "c7").info["notes"] == list(rows["c7"].noted)
    settings = ("--extract", "signals,mid_term", "signals.backend=dlib", "signals.rate=1")
    capsys.readouterr()
    run("prepare", "table:clips.csv", "--store", "store", *settings, "--json")
    out, err = capsys.readouterr()
    counted = {one["kind"]: one["clips"] for one in json.loads(out)["notes"]}
    assert counted["truncated"] == ["c7"]
    assert "note: 1 clip, such as c7: truncated: video ends at" in err
    run("evaluate", "run", "--split", "test")
    run("report", "run", "--to", "page.html", "--tables", "papers")
    report = json.loads(Path("run/evaluation/test/report.json").read_text())
    assert [*map(kind_of, report["noted"]["c7"])].count("truncated") == 2
    assert re.search("What was noticed of clips: .*1 truncated", Path("page.html").read_text())
    assert list(Path("papers").glob("*-traits.png"))
    with Path("papers/notes.csv").open(newline="") as file:
        assert {row["clip"] for row in csv.DictReader(file)} == {"c7"}
    run("features", "sheet", "store", "--clip", "c7", "--to", "sheet.png")
