"""OpenFace tables of every layout -> signals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.media_files import write_video
from traitscope.errors import ClipError
from traitscope.extract import _openface
from traitscope.extract.signals import COLUMNS, SIGNALS, UNITS
from traitscope.features.extraction import extract_clip
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.types import Clip, Corpus, Stream, Target

POSE = ("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz")


def table(
    rows: int = 60, *, fps: float = 30.0, angles: bool = True, points: int = 0
) -> pd.DataFrame:
    """Rows as OpenFace 2 writes them; AU12 counts the frames, other units are 1."""
    time = np.arange(rows) / fps
    columns = {"frame": np.arange(1, rows + 1), "face_id": 0, "timestamp": time.round(3)}
    columns |= {"confidence": 0.98, "success": 1}
    columns |= {
        f"gaze_{eye}_{axis}": value
        for eye in "01"
        for axis, value in zip("xyz", (0.1, 0.2, -0.9), strict=True)
    }
    columns |= {"gaze_angle_x": 0.5, "gaze_angle_y": -0.5} if angles else {}
    columns |= {f"eye_lmk_x_{n}": 1.0 for n in range(points)}
    columns |= dict.fromkeys(POSE, 0.1) | {"pose_Tz": 500.0}
    columns |= {f"{axis}_{n}": float(n) for axis in "xy" for n in range(68)} if points else {}
    columns |= {f"p_{n}": 0.0 for n in range(34)} if points else {}
    columns |= {name: np.arange(rows) / 100 if name == "AU12_r" else 1.0 for name in UNITS}
    columns |= {f"AU{n}_c": 1.0 for n in ("01", "12", "28", "45")}
    return pd.DataFrame(columns)


def write(path: Path, frame: pd.DataFrame, separator: str = ",") -> Path:
    lines = [separator.join(map(str, frame.columns))]
    lines += [separator.join(map(str, row)) for row in frame.itertuples(index=False)]
    path.write_text("\n".join(lines) + "\n")
    return path


def signals(clip: Clip, **settings):
    request = make_request("signals", {"backend": "openface", "rate": "native", **settings})
    (found,) = extract_clip(clip, [request]).values()
    return found


def column(stream: Stream, name: str) -> np.ndarray:
    return stream.values[:, COLUMNS.index(name)]


@pytest.mark.parametrize("separator", [",", ", "])
@pytest.mark.parametrize("layout", [{}, {"angles": False}, {"points": 56}])
def test_separators_and_layouts_give_the_same(tmp_path: Path, separator: str, layout) -> None:
    frame = table(**layout)
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame, separator)))
    assert stream.columns == COLUMNS
    assert stream.mask.all()
    np.testing.assert_allclose(column(stream, "AU12_r"), np.arange(60) / 100, atol=1e-6)
    np.testing.assert_allclose(stream.time, np.arange(60) / 30, atol=1e-6)
    np.testing.assert_array_equal(column(stream, "frame"), np.arange(60))
    expected = 0.5 if layout.get("angles", True) else np.arctan2(0.1, 0.9)
    np.testing.assert_allclose(column(stream, "gaze_angle_x"), expected, atol=1e-6)
    assert stream.info["timing"] == "timestamps"


def test_the_full_output_of_714_columns_gives_the_same(tmp_path: Path) -> None:
    short = table()
    points = {f"eye_lmk_{axis}_{n}": 1.0 for axis in ("x", "y", "X", "Y", "Z") for n in range(56)}
    points |= {f"{axis}_{n}": 1.0 for axis in "xyXYZ" for n in range(68)}
    shape = dict.fromkeys(("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty"), 0.5)
    shape |= {f"p_{n}": 0.5 for n in range(34)}
    present = {f"{name[:4]}_c": 1.0 for name in UNITS} | {"AU28_c": 0.0}
    rest = {k: v for k, v in (points | shape | present).items() if k not in short}
    full = pd.concat([short, pd.DataFrame(rest, index=short.index)], axis=1)
    assert full.shape[1] == 714
    wide = signals(Clip("c", write(tmp_path / "wide.csv", full)))
    narrow = signals(Clip("c", write(tmp_path / "narrow.csv", short)))
    np.testing.assert_array_equal(wide.values, narrow.values)


def test_a_table_without_gaze_or_face_id_lacks_only_those(tmp_path: Path) -> None:
    frame = table()
    frame = frame[[n for n in frame if not n.startswith(("gaze", "face_id"))]]
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    assert np.isnan(column(stream, "gaze_angle_x")).all()
    assert np.isfinite(stream.values[:, [COLUMNS.index(n) for n in UNITS]]).all()
    assert stream.info["provenance"]["gaze_angle_x"] == "not measured"
    assert stream.info["provenance"]["AU01_r"] == "OpenFace"


def test_failed_and_doubtful_rows_are_missing_not_zero(tmp_path: Path) -> None:
    frame = table()
    frame.loc[3:5, "success"] = 0
    frame.loc[10, "confidence"] = 0.79
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    assert np.flatnonzero(~stream.mask).tolist() == [3, 4, 5, 10]
    assert np.isnan(stream.values[~stream.mask]).all()
    assert np.isfinite(column(stream, "AU12_r")[stream.mask]).all()
    assert stream.coverage == pytest.approx(56 / 60)
    frame["success"] = 0
    empty = signals(Clip("c", write(tmp_path / "none.csv", frame)))
    assert isinstance(empty, ClipError)
    assert empty.status == "no_face"


def test_timestamps_that_make_no_sense_give_way_to_the_video(tmp_path: Path) -> None:
    frame = table(31, fps=1000.0)
    video = write_video(tmp_path / "c.mp4", frames=30, fps=25)
    write(tmp_path / "c.csv", frame)  # one row more than the video has frames
    stream = signals(Clip("c", video))
    np.testing.assert_allclose(stream.time, np.arange(31) / 25)
    assert stream.info["fps"] == 25
    assert "not credible" in stream.info["timing"]
    alone = signals(Clip("d", write(tmp_path / "d.csv", frame)))
    np.testing.assert_allclose(alone.time, np.arange(31) / 30)
    told = signals(Clip("d", tmp_path / "d.csv", fps=12.5))
    np.testing.assert_allclose(told.time, np.arange(31) / 12.5)


def test_dropped_frames_keep_their_times(tmp_path: Path) -> None:
    frame = table().drop(index=[7, 8])
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    np.testing.assert_allclose(stream.time[6:9], [6 / 30, 9 / 30, 10 / 30])


def test_a_rate_and_an_interval_choose_rows_as_of_a_video(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", table(90))
    stream = signals(Clip("c", path, start=1.0, end=2.0), rate=5)
    np.testing.assert_allclose(stream.time, np.arange(5) / 5)
    np.testing.assert_allclose(column(stream, "AU12_r"), (30 + 6 * np.arange(5)) / 100, atol=1e-6)
    beyond = signals(Clip("c", path, start=9.0, end=10.0))
    assert beyond.status == "empty"


def test_two_faces_and_select_decides(tmp_path: Path) -> None:
    near, far = table(40), table(40)
    far["face_id"], far["pose_Tz"], far["AU12_r"] = 1, 1500.0, 4.0
    near.loc[30:, "success"] = 0
    both = pd.concat([near, far]).sort_values(["frame", "face_id"])
    clip = Clip("c", write(tmp_path / "c.csv", both))
    largest = signals(clip)
    assert set(column(largest, "face_id")[largest.mask]) == {0}
    assert largest.mask.sum() == 30
    longest = signals(clip, select="longest")
    assert set(column(longest, "AU12_r")) == {4.0}
    assert len(signals(clip, select="all").time) == 80


def test_a_long_table_gives_each_clip_its_rows(tmp_path: Path) -> None:
    one, other = table(50), table(20)
    other["AU12_r"], other["frame"] = 3.0, np.arange(301, 321)
    for number, (name, part) in enumerate((("a b.mp4", one), ("c.mp4", other))):
        part.insert(0, "ID", number)
        part.insert(1, "File", name)
        part["openness"] = 0.5
    path = write(tmp_path / "long.csv", pd.concat([one, other]))
    first, second = signals(Clip("a b.mp4", path)), signals(Clip("c.mp4", path))
    assert (len(first.time), len(second.time)) == (50, 20)
    assert second.time[0] == 0
    assert set(column(second, "AU12_r")) == {3.0}
    missing = signals(Clip("x.mp4", path))
    assert missing.status == "missing"
    assert "no rows of clip 'x.mp4'" in str(missing)


def test_what_is_no_openface_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    assert signals(Clip("c", tmp_path / "c.csv")).status == "undecodable"
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00AU01_r")
    assert signals(Clip("d", tmp_path / "d.csv")).status == "undecodable"
    video = write_video(tmp_path / "e.mp4", frames=3)
    lacking = signals(Clip("e", video))
    assert lacking.status == "missing"
    assert "no OpenFace table for clip 'e'" in str(lacking)


def test_prepare_reads_tables_and_notices_new_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", table())
    corpus = Corpus("t", "apparent", (Target("openness", 0, 1, 1),), (Clip("c", path),))
    settings = {"signals": {"backend": "openface"}}
    summary = prepare(corpus, settings, store=tmp_path / "store", workers=0)
    assert (summary.extracted, summary.failed) == (1, ())
    (key,) = Store(tmp_path / "store").fingerprints()
    assert Store(tmp_path / "store").fingerprints()[key]["tracker"]["backend"] == "openface"
    assert prepare(corpus, settings, store=tmp_path / "store", workers=0).skipped == 1
    write(path, table(70))
    assert prepare(corpus, settings, store=tmp_path / "store", workers=0).changed == ("c",)
    path.unlink()
    gone = prepare(corpus, settings, store=tmp_path / "other", workers=0)
    assert gone.failures[0][1].status == "missing"


@pytest.mark.shared
def test_the_real_table_of_an_old_layout(shared: Path) -> None:
    path = shared / "data" / "openface" / "pyfeat_OpenFace_Test.csv"
    stream = signals(Clip("c", path))
    real = pd.read_csv(path, skipinitialspace=True)
    good = ((real["success"] == 1) & (real["confidence"] >= _openface.MIN_CONFIDENCE)).to_numpy()
    assert real.shape[1] == 431
    np.testing.assert_array_equal(stream.mask, good)
    np.testing.assert_allclose(column(stream, "AU01_r"), real["AU01_r"], atol=1e-5)
    np.testing.assert_allclose(column(stream, "pose_Ry"), real["pose_Ry"], atol=1e-5)
    assert np.abs(column(stream, "gaze_angle_x")).max() < 0.5
    assert np.isfinite(stream.values[:, [COLUMNS.index(n) for n in SIGNALS]]).all()
    assert stream.info["fps"] == 30
    np.testing.assert_allclose(np.diff(stream.time), 1 / 30)
