"""What is attacked: sound files of each kind that is read, and who reads them."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tests.support.media_files import tone, write_sound, write_video
from tests.support.prepared import data as settings_of
from tests.support.prepared import make_corpus, make_store
from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.corpora._unpickling import read_pickle
from traitscope.errors import TraitscopeError
from traitscope.experiments.suites import load_suite
from traitscope.extract._folders import read_images, read_points
from traitscope.extract._word_files import read_cues
from traitscope.features.store import Store
from traitscope.media import probe, read_frames, read_sound
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import load_run, plan
from traitscope.sheets import open_sheet, read_table
from traitscope.types import Stream


@dataclass(frozen=True)
class Target:
    """A kind of files.

    Attributes:
        make: writes sound ones into a folder, and names those that are damaged.
        read: reads what is in the folder, after the one file named was damaged.
        head: damage lies within so many bytes of either end of a file; anywhere if None.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]
    head: int | None = None


def _store(folder: Path) -> list[Path]:
    store = Store(folder)
    store.add("faces-x", {"name": "faces", "version": 1, "config": {}})
    _, jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
    images = (jpeg.tobytes(), b"", jpeg.tobytes())
    valid = np.array([True, False, True])
    numbers = np.arange(24, dtype=np.float32).reshape(8, 3)
    streams = {
        "pictures": Stream(time=np.arange(3) / 5, images=images, valid=valid),
        "numbers": Stream(time=np.arange(8) / 5, values=numbers, columns=("a", "b", "c")),
    }
    for clip, stream in streams.items():
        store.record("faces-x", store.write("faces-x", clip, stream))
    store.settle("faces-x")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_store(folder: Path, file: Path) -> None:
    store = Store(folder)
    store.fingerprints()
    for clip in store.statuses("faces-x"):
        if clip in {"pictures", "numbers"}:
            store.read("faces-x", clip)
    for clip in ("pictures", "numbers"):
        store.read("faces-x", clip)


def _pickles(folder: Path) -> list[Path]:
    labels = {"openness": {f"clip{n}.mp4": n / 10 for n in range(5)}, "interview": {}}
    tree: dict[str, Any] = {**labels, "words": {"a": "b", "c": "d\u00e9"}, "ids": [1, 2**40, None]}
    files = []
    for protocol in range(5):
        files.append(folder / f"{protocol}.pkl")
        files[-1].write_bytes(pickle.dumps(tree, protocol))
    return files


def _tables(folder: Path) -> list[Path]:
    lines = ["clip;openness;words", *(f'c{n};0,{n};"some ""words"", {n}"' for n in range(20))]
    (folder / "a.csv").write_text("\n".join(lines))
    (folder / "b.tsv").write_bytes("clip\tn\n\u00e4\t1\n\u00f6\t2\n".encode("utf-16"))
    (folder / "c.csv").write_bytes(b"clip,n\r\n\xe4,1\r\n\xf6,2\r\n")
    table = pa.table({"clip": ["a", "b", "c"], "n": [0.5, 1.0, None]})
    pyarrow.parquet.write_table(table, folder / "d.parquet")
    return sorted(folder.iterdir())


def _read_tables(folder: Path, file: Path) -> None:
    try:
        read_table(file)
    finally:
        sheet = open_sheet(file, tell=lambda fault, where: None)
        sheet.read()
        sheet.read([], dict.fromkeys(sheet.columns[-1:], np.float64))


WORDS = {
    "a.srt": "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n00:00:02,000 --> 00:00:03,000\n"
    "<i>Bob:</i> and you\n",
    "a.vtt": "WEBVTT\n\nNOTE x\n\nname\n00:00.000 --> 00:01.000\n<v Bob>Hello</v>\n",
    "a.ass": "[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
    "MarginV, Effect, Text\nDialogue: 0,0:00:00.00,0:00:05.00,x,Bob,0,0,0,,{\\b1}hi\\Nyou\n",
    "a.sbv": "0:00:00.000,0:00:01.000\nhello\n\n0:00:02.000,0:00:03.000\nyou\n",
    "a.sub": "{1}{1}25\n{0}{25}hello|you\n{50}{75}again\n",
    "a.lrc": "[ti:song]\n[00:01.00]hello\n[00:02.50]you\n",
    "a.json": json.dumps(
        {"text": "hello you", "segments": [{"start": 0, "end": 1.5, "text": "hello you"}]}
    ),
    "b.json": json.dumps([{"start": 0, "end": 1, "text": "hi", "words": [{"word": "hi"}]}]),
    "a.ttml": '<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml"><body><div>'
    '<p begin="00:00:00.000" end="1.5s">Hello<br/>you</p></div></body></tt>',
    "a.tsv": "start\tend\ttext\n0\t1000\thello\n1000\t2000\tyou\n",
    "a.csv": 'start,end,text\n0,1000,"hello, you"\n1000,2000,again\n',
    "a.textgrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 2\n'
    'tiers? <exists>\nsize = 1\nitem []:\n    item [1]:\n        class = "IntervalTier"\n'
    '        name = "words"\n        xmin = 0\n        xmax = 2\n        intervals: size = 1\n'
    '        intervals [1]:\n            xmin = 0\n            xmax = 2\n            text = "hi"\n',
    "a.txt": "Just some words.\n",
}


def _words(folder: Path) -> list[Path]:
    for name, text in WORDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return sorted(folder.iterdir())


def _pictures(folder: Path) -> list[Path]:
    image = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    for number, suffix in enumerate((".png", ".jpg", ".bmp", ".png"), 1):
        cv2.imwrite(str(folder / f"frame_{number}{suffix}"), image)
    (folder / "frame_4.png").write_bytes(cv2.imencode(".webp", image)[1].tobytes())
    (folder / "fps.txt").write_text("25\n")
    np.save(folder / "frame_1.npy", np.full((68, 2), 9.0))
    return sorted(folder.iterdir())


def _read_pictures(folder: Path, file: Path) -> None:
    _each(
        lambda: list(read_frames(folder, rates=["native"])),
        lambda: read_images(folder),
        lambda: read_points(folder, None),
    )


def _media(folder: Path) -> list[Path]:
    for name in ("a.mp4", "a.mkv", "a.mov", "a.ts", "a.flv"):
        write_video(folder / name, frames=6, sound=tone(0.24))
    write_video(folder / "a.avi", frames=6, codec="mpeg4", sound=None)
    for name, codec in (("b.wav", "pcm_s16le"), ("b.mp3", "libmp3lame"), ("b.flac", "flac")):
        write_sound(folder / name, tone(0.3), codec=codec)
    return sorted(folder.iterdir())


def _read_media(folder: Path, file: Path) -> None:
    _each(
        lambda: probe(file),
        lambda: list(read_frames(file, rates=[5.0])),
        lambda: list(read_frames(file, rates=["native"], start=0.1)),
        lambda: read_sound(file),
    )


def _each(*reads: Callable[[], object]) -> None:
    """Do all of them; the first failure of ours is raised at the end."""
    failures: list[TraitscopeError] = []
    for read in reads:
        try:
            read()
        except TraitscopeError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _checkpoint(folder: Path) -> list[Path]:
    from traitscope.training.fitting import train

    address = make_corpus(folder, clips=20)
    make_store(folder / "store", address, streams=["mid_term"])
    run = train("functionals", [*settings_of(folder), *_SMALL], to=folder / "run")
    return sorted(path for path in Path(run).iterdir() if path.is_file())


def _configs(folder: Path) -> list[Path]:
    recipes = Path(registry.__file__).parent / "recipes"
    for name in ("audio_lstm", "crnet", "s2d_112"):
        shutil.copy(recipes / f"{name}.yaml", folder)
    (folder / "suite.yaml").write_text("title: x\nentries:\n  - {recipe: functionals}\nseeds: 3\n")
    make_corpus(folder, clips=4)
    return sorted(path for path in folder.iterdir() if path.suffix == ".yaml")


def _read_config(folder: Path, file: Path) -> object:
    if file.name == "clips.yaml":
        return load_corpus(f"table:{folder / 'clips.csv'}")
    if file.name == "suite.yaml":
        return load_suite(str(file))
    return plan(load_run(str(file)))


_SMALL = ["model.streams=[mid_term]"]

TARGETS = {
    "store": Target(_store, _read_store),
    "unpickler": Target(_pickles, lambda folder, file: read_pickle(file)),
    "tables": Target(_tables, _read_tables),
    "words": Target(_words, lambda folder, file: read_cues(file)),
    "pictures": Target(_pictures, _read_pictures),
    "media": Target(_media, _read_media, head=2048),
    "config": Target(_configs, _read_config),
    "checkpoint": Target(_checkpoint, lambda folder, file: load(folder / "run")),
}
