"""``features export`` and ``sheet``, and ``prepare --dry-run``, through the command line."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.support.media_files import portrait, tone, write_video
from traitscope.cli import main
from traitscope.features import sheet
from traitscope.features.request import make_request
from traitscope.features.store import StatusRow, Store
from traitscope.types import Stream

EXTRACT = ("--extract", "faces,signals,landmarks,short_term", "--workers", "0")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips with a face and a tone, one clip without a face."""
    folder = tmp_path_factory.mktemp("corpus")
    for name in "ab":
        write_video(
            folder / f"{name}.mp4", frames=30, picture=lambda n: portrait(320), sound=tone(1.2)
        )
    write_video(folder / "nobody.mp4", frames=30, sound=tone(1.2))
    (folder / "clips.csv").write_text("clip,openness\na.mp4,0.1\nb.mp4,0.2\nnobody.mp4,0.3\n")
    (folder / "clips.yaml").write_text(
        "kind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    return folder


@pytest.fixture(scope="module")
def store(corpus: Path) -> Path:
    """Faces, signals, landmarks and sound of the clips."""
    folder = corpus / "store"
    assert run("prepare", f"table:{corpus / 'clips.csv'}", "--store", folder, *EXTRACT) == 1
    return folder


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_a_dry_run_estimates_and_writes_nothing(corpus: Path, tmp_path: Path, capsys) -> None:
    store = tmp_path / "store"
    arguments = ("prepare", f"table:{corpus / 'clips.csv'}", "--store", store, *EXTRACT)
    assert run(*arguments, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "3 clips: 3 to extract, 0 finished, 0 without media" in out
    assert "s per clip in one; 3 clips tried" in out
    assert "for signals-" in out
    assert "tried and failed: nobody.mp4: faces: no_face" in out
    assert run(*arguments, "--dry-run", "--limit", "pixels=1000") == 0
    assert "tried and failed: a.mp4: faces: too_large" in capsys.readouterr().out
    assert not store.exists()
    assert run(*arguments) == 1
    sizes = {key: Store(store).size_bytes(key) for key in Store(store).fingerprints()}
    capsys.readouterr()
    assert run(*arguments, "--dry-run") == 0
    assert "3 clips: 0 to extract, 2 finished" in capsys.readouterr().out
    assert run(*arguments, "--retry", "--dry-run", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["waiting"], again["finished"]) == (1, 2)
    assert set(again["size_bytes"]) == set(sizes)


def test_a_table_has_units_and_empty_cells(corpus: Path, store: Path, capsys) -> None:
    target = corpus / "signals.csv"
    assert run("features", "export", store, "signals", "--csv", target) == 0
    assert "12 rows in" in capsys.readouterr().out
    rows = list(csv.DictReader(target.open()))
    assert len(rows) == 12
    assert {row["clip"] for row in rows} == {"a.mp4", "b.mp4"}
    assert rows[1]["time [s]"] == "0.2"
    assert 0 <= float(rows[0]["AU12_r [0-5]"]) <= 5
    assert abs(float(rows[0]["pose_Ry [rad]"])) < 1
    assert rows[0]["gaze_angle_x [rad]"] == ""  # dlib does not measure it


def test_parquet_holds_the_same_as_csv(corpus: Path, store: Path) -> None:
    one, other = corpus / "x.parquet", corpus / "x.csv"
    arguments = ("features", "export", store, "short_term", "--clip", "b.mp4")
    assert run(*arguments, "--parquet", one, "--csv", other) == 0
    left, right = pd.read_parquet(one), pd.read_csv(other)
    assert list(left.columns) == list(right.columns)
    assert set(left["clip"]) == {"b.mp4"}
    np.testing.assert_allclose(left["mfcc_1"], right["mfcc_1"], atol=1e-9)


def test_points_get_a_column_each(corpus: Path, store: Path) -> None:
    assert run("features", "export", store, "landmarks", "--csv", corpus / "l.csv") == 0
    header = (corpus / "l.csv").read_text().splitlines()[0].split(",")
    assert len(header) == 3 + 2 * 68
    assert header[3:6] == ["x_0", "y_0", "x_1"]


def test_pictures_are_files_named_by_their_times(corpus: Path, store: Path) -> None:
    folder = corpus / "pictures"
    assert run("features", "export", store, "faces", "--images", folder, "--clip", "a.mp4") == 0
    files = sorted(path.name for path in folder.glob("a.mp4/*"))
    assert files[:2] == ["0000_00.000s.jpg", "0001_00.200s.jpg"]
    assert cv2.imread(str(folder / "a.mp4" / files[0])).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("faces",), "Say where to: --csv FILE"),
        (("faces", "--csv", "x.csv"), "holds pictures. Use --images"),
        (("signals", "--images", "x"), "holds numbers, not pictures"),
        (("singals", "--csv", "x.csv"), "Did you mean 'signals'"),
        (("signals", "--csv", "x.csv", "--clip", "nobody.mp4"), "no_face"),
        (("signals", "--csv", "x.csv", "--clip", "zzz"), "never prepared"),
    ],
)
def test_what_cannot_be_exported_is_said(
    store: Path, tmp_path: Path, monkeypatch, capsys, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("features", "export", store, *arguments) == 2
    assert message in capsys.readouterr().err


def test_two_features_of_one_name_ask_for_the_key(tmp_path: Path, capsys) -> None:
    for segments in (2, 3):
        request = make_request("short_term", {"segments": segments})
        Store(tmp_path).add(request.key, request.fingerprint)
        stream = Stream(time=np.zeros(1), values=np.zeros((1, 2)), columns=("p", "q"))
        Store(tmp_path).record(request.key, Store(tmp_path).write(request.key, "a", stream))
        Store(tmp_path).record(request.key, StatusRow("b", "no_audio", "none"))
    assert run("features", "export", tmp_path, "short_term", "--csv", tmp_path / "x.csv") == 2
    assert "There are 2 features 'short_term'" in capsys.readouterr().err
    assert run("features", "export", tmp_path, request.key, "--csv", tmp_path / "x.csv") == 0
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "a,0.0,True,0.0,0.0"


def test_a_sheet_is_a_picture_with_something_on_it(corpus: Path, store: Path, capsys) -> None:
    target = corpus / "sheet.png"
    assert run("features", "sheet", store, "--to", target) == 0
    assert "a.mp4, b.mp4" in capsys.readouterr().out
    image = cv2.imread(str(target))
    assert image.shape[0] > 800
    assert image.shape[1] > 1200
    assert image.std() > 20
    assert run("features", "sheet", store, "--to", target, "--clip", "a.mp4") == 0
    assert cv2.imread(str(target)).shape[0] < image.shape[0]
    assert run("features", "sheet", corpus / "nowhere", "--to", target) == 2
    assert "no faces, frames, signals, short_term" in capsys.readouterr().err


def test_a_sheet_says_what_lacks_and_shows_no_more_than_the_pictures(
    store: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    drawn = []
    savefig = Figure.savefig

    def kept(figure: Figure, *given, **settings) -> None:
        drawn.append(figure)
        savefig(figure, *given, **settings)

    monkeypatch.setattr(Figure, "savefig", kept)
    both = ("--clip", "a.mp4", "--clip", "nobody.mp4")
    assert run("features", "sheet", store, "--to", tmp_path / "new" / "s.png", *both) == 0
    texts = " ".join(text.get_text() for text in drawn[0].findobj(Text))
    assert "faces: no_face" in texts
    pictures = [axis for axis in drawn[0].axes if axis.images]
    assert len(pictures) == 6
    for axis in pictures:  # points of a chin below the chip do not stretch it
        assert axis.get_ylim() == (223.5, -0.5)
    assert run("features", "sheet", store, "--to", tmp_path / "s.jpg") == 2
    assert "s.jpg is not named so. End it in .png" in capsys.readouterr().err


def test_a_sheet_of_several_faces_keeps_their_points_and_lines_apart() -> None:
    time, ids = np.array([0.0, 0.0, 0.2, 0.4]), np.array([3.0, 5.0, 3.0, np.nan])
    there = np.isfinite(ids)
    pictures = Stream(time=time, images=(b"a", b"b", b"c", b""), valid=there)
    points = np.arange(4.0)[:, None, None] * np.ones((4, 68, 2))
    marks = Stream(time=time, values=points, valid=there, info={"units": "share of the chip"})
    shown = [sheet._points(marks, pictures, row) for row in range(4)]
    assert [None if one is None else one[0, 0] for one in shown] == [0, 1, 2, None]
    signals = Stream(time=time, values=ids[:, None], valid=there, columns=("face_id",))
    assert [mine.tolist() for mine in sheet._people(signals)] == [
        [True, False, True, True],
        [False, True, False, True],
    ]


def test_an_export_makes_its_folder_and_leaves_no_empty_file(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.csv"
    assert run("features", "export", store, "faces", "--csv", target) == 2
    assert not target.exists()
    assert run("features", "export", store, "signals", "--csv", target) == 0
    assert run("features", "export", store, "signals", "--parquet", tmp_path / "p" / "x.pq") == 0


def test_an_imported_feature_has_the_name_it_was_given(
    corpus: Path, store: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "t.csv").write_text("clip,f0 [Hz]\na.mp4,120.5\n")
    own = tmp_path / "store"
    shutil.copytree(store, own)
    address = f"table:{corpus / 'clips.csv'}"
    assert run(
        "features", "import", own, tmp_path / "t.csv", "--name", "pitch", "--corpus", address
    )
    assert run("features", "export", own, "pitch", "--csv", tmp_path / "x.csv") == 0
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "a.mp4,0.0,True,120.5"
    assert run("features", "export", own, "pich", "--csv", tmp_path / "x.csv") == 2
    assert "Did you mean 'pitch'" in capsys.readouterr().err
