"""Finished stores on disks that cannot be written, and folders that cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.prepared import make_corpus, make_store
from tests.support.prepared_media import SOUND, sounds
from traitscope.features.preparation import prepare

WITHOUT_RIGHTS = """
import ctypes, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
os.chdir(folder)
if os.getuid() == 0:  # modes do not bind root, unless it gives up its capabilities
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(header, none):
        sys.exit(77)
if os.access(folder / "store", os.W_OK):
    sys.exit(77)
from traitscope.cli import main
def run(*arguments):
    try:
        main([str(a) for a in arguments])
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    print("code", code, *arguments[:2])
"""


def run_without_rights(code: str, folder: Path) -> str:
    """What code prints in a process that modes of files bind, even as root."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS + code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLCONFIGDIR": str(folder)},
    )
    if done.returncode == 77:
        pytest.skip("this user may write everywhere, and cannot give that up")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_finished_store_is_usable_where_it_cannot_be_written(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address, streams=("signals",))
    for path in (tmp_path / "store").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (tmp_path / "store").chmod(0o555)
    settings = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}"]
    settings += ["model.streams=[signals]", "features.signals.backend=dlib"]
    code = f"""
run("features", "show", "store")
run("features", "export", "store", "signals", "--csv", "x.csv")
run("features", "sheet", "store", "--to", "x.png")
run("features", "verify", "store")
run("train", "functionals", *{settings!r}, "--to", "run")
run("evaluate", "run")
run("verify", "run")
"""
    try:
        said = run_without_rights(code, tmp_path)
    finally:
        for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
            path.chmod(0o755)
    codes = [line.split()[1] for line in said.splitlines() if line.startswith("code ")]
    assert codes == ["0"] * 7, said


def test_preparing_what_is_finished_writes_nothing(tmp_path: Path) -> None:
    """So that the same command may be run on a store that is read-only."""
    corpus = sounds(tmp_path / "media")
    prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
    again = prepare(corpus, SOUND, store=tmp_path / "store", workers=0)
    assert again.skipped == len(corpus.clips)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")} == before


def test_a_folder_of_media_that_may_not_be_read_is_said_and_stops_no_table(tmp_path: Path) -> None:
    media = tmp_path / "media"
    sounds(media)
    (tmp_path / "clips.csv").write_text("clip,path,openness\na,,0.1\nb,sub/b.wav,0.2\n")
    (tmp_path / "clips.yaml").write_text(
        "kind: apparent\nmedia: media\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o555)
    media.chmod(0o000)
    code = """
from traitscope.corpora import load_corpus
corpus = load_corpus("table:clips.csv")
print([clip.id for clip in corpus.clips], *corpus.notes)
run("corpus", "check", "table:clips.csv")
"""
    try:
        said = run_without_rights(code, tmp_path)
    finally:
        media.chmod(0o755)
    assert "['a', 'b']" in said
    assert "cannot be read (Permission denied), so recordings were not found in it" in said
    assert "code 0 corpus check" in said
