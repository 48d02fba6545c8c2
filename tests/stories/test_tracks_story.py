"""A recording with two sound tracks, from `prepare` to `predict`, with either of them."""

import json
from pathlib import Path

import pytest

from tests.support.declared_files import write_tracks
from tests.support.media_files import tone
from traitscope.cli import main
from traitscope.features.store import Store

DECLARED = """kind: apparent
media: media
targets:
  openness: {low: 0, high: 1, direction: 1}
"""
SETTINGS = ["data.corpus=table:clips.csv", "data.store=store", "model.streams=[mid_term]"]


def run(*arguments: str, expect: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    assert left.value.code == expect


def test_either_track_is_heard_from_prepare_to_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("media").mkdir()
    rows = ["clip,openness,split"]
    for number in range(12):
        hertz = 200 + 100 * number
        sounds = [tone(1, hertz=hertz), tone(1, hertz=2 * hertz)]
        write_tracks(tmp_path / "media" / f"c{number}.mkv", sounds, default=2)
        rows.append(
            f"c{number},{number / 12},{('train', 'train', 'validation', 'test')[number % 4]}"
        )
    Path("clips.csv").write_text("\n".join(rows))
    Path("clips.yaml").write_text(DECLARED)
    prepare = ["prepare", "table:clips.csv", "--store", "store", "--extract", "mid_term"]
    run(*prepare, "--workers", "0", "--audio-track", "1")
    store = Store(Path("store"))
    (key,) = store.fingerprints()
    assert all(row.span.endswith("audio track 1") for row in store.statuses(key).values())
    run("train", "functionals", *SETTINGS, "--to", "run")
    capsys.readouterr()
    scores = []
    for choice in ([], ["--audio-track", "1"], ["--audio-track", "2"]):
        run("predict", "run", "media/c3.mkv", *choice, "--json")
        (clip,) = json.loads(capsys.readouterr().out)["clips"]
        scores.append(clip["scores"]["openness"])
    assert scores[0] == scores[2] != scores[1]
    run("predict", "run", "media/c3.mkv", "--audio-track", "3", "--json", expect=1)
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert "no track 3" in clip["reason"]
