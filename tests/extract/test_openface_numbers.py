"""OpenFace tables whose numbers are odd: counts, times, rates, headers, cells."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.extract.test_openface import column, signals, table, write
from tests.support.media_files import write_video
from traitscope.errors import ClipError
from traitscope.types import Clip


@pytest.fixture
def cases(shared: Path) -> Path:
    return shared / "data" / "cases"


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "02_rows_longer_than_header/signals_ok.csv",
        "12_openface_numbers/zero_based.csv",
        "12_openface_numbers/nanind.csv",
        "12_openface_numbers/gaze2z.csv",
        "12_openface_numbers/semicolon.csv",
        "18_1000_fps/x.csv",
        "18_1000_fps/x.webm",
    ],
)
def test_the_cases_have_ninety_rows_in_three_seconds(cases: Path, name: str) -> None:
    stream = signals(Clip("c", cases / name))
    np.testing.assert_allclose(stream.time, np.arange(90) / 30, atol=1e-9)
    missing = [3, 4] if "nanind" in name else []
    assert np.flatnonzero(~stream.mask).tolist() == missing
    gaze = np.arctan2(0.02, 0.985) if "gaze2z" in name else 0.02
    np.testing.assert_allclose(column(stream, "gaze_angle_x")[stream.mask], gaze, atol=1e-6)
    assert column(stream, "AU12_r")[0] == pytest.approx(1.99)
    assert column(stream, "AU01_r")[0] == pytest.approx(1.0)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("02_rows_longer_than_header/signals_trailing.csv", r"more cells than columns .* row 2,"),
        ("12_openface_numbers/concat_two.csv", "more than one recording: .* again in row 92"),
    ],
)
def test_the_cases_that_cannot_be_read_say_where(cases: Path, name: str, message: str) -> None:
    found = signals(Clip("c", cases / name))
    assert isinstance(found, ClipError)
    assert found.status == "undecodable"
    with pytest.raises(ClipError, match=message):
        raise found


@pytest.mark.parametrize("header", ["frame", "Frame "])
@pytest.mark.parametrize("first", [0, 1])
def test_frames_are_counted_from_zero_or_one(tmp_path: Path, first: int, header: str) -> None:
    frame = table(30).assign(frame=np.arange(first, first + 30))
    frame = frame.rename(columns={"frame": header})
    for known in (frame, frame.drop(columns="timestamp")):
        stream = signals(Clip("c", write(tmp_path / "c.csv", known)))
        np.testing.assert_allclose(stream.time, np.arange(30) / 30)


def uneven(rows: int = 60) -> np.ndarray:
    """Times of a webcam: 15 to 30 pictures per second, with a pause of two seconds."""
    steps = np.random.default_rng(0).uniform(1 / 30, 1 / 15, rows)
    steps[20] += 2
    return np.concatenate([[0], np.cumsum(steps)[:-1]]).round(3)


def test_uneven_times_of_a_webcam_are_kept(tmp_path: Path) -> None:
    times = uneven()
    stream = signals(Clip("c", write(tmp_path / "c.csv", table().assign(timestamp=times))))
    np.testing.assert_allclose(stream.time, times, atol=1e-9)
    assert stream.info["timing"] == "timestamps, which are uneven"
    assert 15 < stream.info["fps"] < 30
    slow = signals(Clip("c", tmp_path / "c.csv"), rate=5)
    wanted = [times[np.abs(times - t).argmin()] for t in np.arange(0, times[19], 0.2)]
    assert np.abs(slow.time[: len(wanted)] - np.arange(len(wanted)) / 5).max() < 0.1
    assert not ((slow.time > times[20] + 0.3) & (slow.time < times[21] - 0.3)).any()
    part = signals(Clip("c", tmp_path / "c.csv", start=float(times[21]), end=float(times[30])))
    np.testing.assert_allclose(part.time, times[21:30] - times[21], atol=1e-9)


def test_uneven_times_by_a_clock_begin_at_zero(tmp_path: Path) -> None:
    frame = table().assign(timestamp=uneven() + 1_700_000_000)
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    np.testing.assert_allclose(stream.time, uneven(), atol=1e-3)


def test_even_times_are_those_of_their_rate_to_the_letter(tmp_path: Path) -> None:
    frame = table(100, fps=30000 / 1001)
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    np.testing.assert_allclose(stream.time, np.arange(100) * 1001 / 30000, atol=1e-9)


def test_few_odd_timestamps_do_not_cost_the_rate(tmp_path: Path) -> None:
    frame = table(100, fps=25)
    frame.loc[50, "timestamp"] = frame.loc[49, "timestamp"]
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    np.testing.assert_allclose(stream.time, np.arange(100) / 25, atol=1e-3)


def test_no_impossible_rate_is_believed_against_a_possible_one(tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", table(30, fps=25))
    told = signals(Clip("good", good, fps=1000))  # what a container says of itself
    np.testing.assert_allclose(told.time, np.arange(30) / 25)
    still = signals(Clip("good", good, fps=1))
    np.testing.assert_allclose(still.time, np.arange(30) / 25)
    bad = table(30).assign(timestamp=np.arange(30) / 1000)
    write_video(tmp_path / "bad.mp4", frames=30, fps=12)
    stream = signals(Clip("bad", tmp_path / "bad.mp4", None))
    assert isinstance(stream, ClipError)
    write(tmp_path / "bad.csv", bad)
    stream = signals(Clip("bad", tmp_path / "bad.mp4"))
    np.testing.assert_allclose(stream.time, np.arange(30) / 12)


def test_two_recordings_in_one_file_are_refused_also_without_face_ids(tmp_path: Path) -> None:
    two = pd.concat([table(40), table(30)]).drop(columns="face_id")
    found = signals(Clip("c", write(tmp_path / "c.csv", two)))
    assert isinstance(found, ClipError)
    assert "its frames start again in row 42" in str(found)


def test_faces_one_after_the_other_are_no_two_recordings(tmp_path: Path) -> None:
    near, far = table(40), table(40).assign(face_id=1, pose_Tz=1500.0)
    stream = signals(Clip("c", write(tmp_path / "c.csv", pd.concat([near, far]))))
    np.testing.assert_allclose(stream.time, np.arange(40) / 30)


def test_frames_that_start_again_in_a_long_table_are_numbered_anew(tmp_path: Path) -> None:
    part = pd.concat([table(40), table(30)])
    part.insert(0, "File", "a")
    stream = signals(Clip("a", write(tmp_path / "long.csv", part)))
    np.testing.assert_allclose(stream.time, np.arange(70) / 30)
    assert "numbered anew" in stream.info["timing"]


@pytest.mark.parametrize("nothing", ["nan", "-nan", "-nan(ind)", "1.#IND", "-1.#IND", "NA", ""])
def test_a_row_without_numbers_is_missing(tmp_path: Path, nothing: str) -> None:
    frame = table(20).astype(object)
    numbers = [n for n in frame if n[:2] in ("AU", "ga", "po")]
    frame.loc[[3, 4], numbers] = nothing
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    assert np.flatnonzero(~stream.mask).tolist() == [3, 4]
    frame.loc[7, "AU12_r"] = nothing  # one cell costs no more than itself
    stream = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    assert np.flatnonzero(np.isnan(column(stream, "AU12_r"))).tolist() == [3, 4, 7]
    assert np.flatnonzero(~stream.mask).tolist() == [3, 4]


def test_tables_with_semicolons_or_tabs_and_parquet_give_the_same(tmp_path: Path) -> None:
    frame = table(30)
    plain = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    frame.to_csv(tmp_path / "semicolon.csv", sep=";", decimal=",", index=False)
    frame.to_csv(tmp_path / "tab.tsv", sep="\t", index=False)
    frame.to_csv(tmp_path / "index.csv")  # with an index that has no name
    frame.to_parquet(tmp_path / "frame.parquet")
    for name in ("semicolon.csv", "tab.tsv", "index.csv", "frame.parquet"):
        stream = signals(Clip("c", tmp_path / name))
        np.testing.assert_allclose(stream.values, plain.values, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(stream.time, plain.time, err_msg=name)


def test_a_word_among_the_numbers_is_an_error_that_names_the_column(tmp_path: Path) -> None:
    frame = table(10).astype(object)
    frame.loc[3, "AU12_r"] = "high"
    found = signals(Clip("c", write(tmp_path / "c.csv", frame)))
    assert isinstance(found, ClipError)
    assert "not numbers: AU12_r (such as 'high')" in str(found)


def test_what_was_noticed_of_a_table_goes_with_its_signals(tmp_path: Path) -> None:
    frame = table(20)
    frame.to_csv(tmp_path / "index.csv")
    lines = (tmp_path / "index.csv").read_text().splitlines()
    (tmp_path / "cut.csv").write_text("\n".join([*lines[:-1], lines[-1][:40]]) + "\n")
    west = frame.assign(note="\u00e9")
    west.to_csv(tmp_path / "west.csv", index=False, encoding="cp1252")
    notes = {
        name: " ".join(signals(Clip("c", tmp_path / f"{name}.csv")).info["notes"])
        for name in ("index", "cut", "west")
    }
    assert notes["index"] == "table: Without a name, so left out: column 1 (an index of pandas?)."
    assert "table: 1 rows of cut.csv end early; what they lack is missing." in notes["cut"]
    assert "table: west.csv is not UTF-8" in notes["west"]
    plain = signals(Clip("c", write(tmp_path / "plain.csv", frame)))
    assert "notes" not in plain.info


def test_a_rate_that_was_assumed_is_a_note(tmp_path: Path) -> None:
    frame = table(20).drop(columns="timestamp")
    (note,) = signals(Clip("c", write(tmp_path / "c.csv", frame))).info["notes"]
    assert note.startswith("assumed-rate: 30 frames per second assumed")
