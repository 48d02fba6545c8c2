"""Tables of predictions: joined by id, every fault named, directions aligned."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from traitscope.corpora import load_corpus
from traitscope.errors import DataError
from traitscope.evaluation.scales import align, align_directions, comparable
from traitscope.evaluation.systems import join, table_system
from traitscope.evaluation.tables import labelled, read_predictions, write_predictions
from traitscope.types import Clip, Corpus, Target

TARGETS = ("openness", "neuroticism")
CLIPS = [
    Clip(f"{name}.00{i}", source=name, targets={"openness": 0.1 * i, "neuroticism": 0.5})
    for i, name in enumerate(("-abcdefghij", "_bcdefghijk", "NA", "1e5"))
]
VALUES = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]])


def table(ids: list[str] | None = None) -> pd.DataFrame:
    names = [clip.id for clip in CLIPS] if ids is None else ids
    return pd.DataFrame(
        {
            "clip": names,
            "predicted_openness": VALUES[: len(names), 0],
            "predicted_neuroticism": VALUES[: len(names), 1],
        }
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, CLIPS, VALUES, targets=TARGETS, seed=3)
    assert path.read_text().splitlines()[0] == (
        "clip,source,subject,split,seed,true_openness,true_neuroticism,"
        "predicted_openness,predicted_neuroticism"
    )
    read = read_predictions(path, CLIPS, targets=TARGETS)
    assert read.values == pytest.approx(VALUES[None])
    assert (read.seeds, read.failures, read.notes) == ((3,), (), ())
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]


def test_shuffled_rows_and_ids_with_mp4_are_joined() -> None:
    given = table([f"{clip.id}.MP4" for clip in CLIPS]).iloc[[2, 0, 3, 1]]
    read = read_predictions(given, CLIPS, targets=TARGETS)
    assert read.values[0] == pytest.approx(VALUES)
    suffixed = [Clip(clip.id + ".mp4") for clip in CLIPS]
    assert len(read_predictions(table(), suffixed, targets=TARGETS).clips) == 4


def test_ids_are_text_and_never_numbers_or_gaps(tmp_path: Path) -> None:
    clips = [Clip("NA"), Clip("1e5"), Clip("007")]
    path = tmp_path / "theirs.csv"
    path.write_text("clip,predicted_openness\n007,.1\n1e5,.2\nNA,.3\n")
    read = read_predictions(path, clips, targets=TARGETS)
    assert read.values.ravel() == pytest.approx([0.3, 0.2, 0.1])
    assert read.notes == ("Not predicted, so not scored: neuroticism.",)


def test_every_fault_of_a_table_is_named() -> None:
    given = table([clip.id for clip in CLIPS[:3]])
    given.loc[1, "predicted_neuroticism"] = np.nan
    again = given.iloc[[0]].assign(predicted_openness=0.9)
    stranger = given.iloc[[2]].assign(clip="stranger")
    given = pd.concat([given, again, stranger, given.iloc[[2]]])
    read = read_predictions(given.assign(predicted_interview=0.5), CLIPS, targets=TARGETS)
    assert {failure.clip: failure.status for failure in read.failures} == {
        "-abcdefghij.000": "duplicate",
        "_bcdefghijk.001": "nan",
        "1e5.003": "missing",
    }
    assert read.failures[1].reason == "no finite prediction of neuroticism"
    assert [clip.id for clip in read.clips] == ["NA.002"]
    assert read.notes == (
        "Predicted, but not among the labels: interview.",
        "1 predicted clips are not in this split: stranger.",
        "1 clip occurs twice with equal predictions: NA.002.",
    )


def test_text_where_a_number_should_be_is_named() -> None:
    given = table().astype(object)
    given.loc[0, "predicted_openness"] = "n/a"
    read = read_predictions(given, CLIPS, targets=TARGETS)
    assert read.failures[0].reason == "no finite prediction of openness"


def test_several_seeds_stay_apart_and_must_be_complete() -> None:
    other = table().assign(seed=1, predicted_openness=0.0).iloc[1:]
    read = read_predictions(pd.concat([table().assign(seed=0), other]), CLIPS, targets=TARGETS)
    assert read.seeds == (0, 1)
    assert read.values.shape == (2, 3, 2)
    assert read.values[1, :, 0] == pytest.approx(np.zeros(3))
    assert read.failures[0].reason == "predicted for seed 0 only"


def test_labels_that_disagree_are_named_and_ours_are_used() -> None:
    given = table().assign(true_openness=[0.0, 0.1, 0.9, 0.3])
    read = read_predictions(given, CLIPS, targets=TARGETS)
    assert read.notes[0].startswith("The true_ columns of 1 clips differ from the labels")
    assert "NA.002" in read.notes[0]


def test_a_table_without_the_columns_says_which_it_has() -> None:
    with pytest.raises(DataError, match=r"predicted_openness\); it has: clip, openness"):
        read_predictions(pd.DataFrame({"clip": ["a"], "openness": [1]}), CLIPS, targets=TARGETS)


def test_a_table_of_other_clips_is_an_error() -> None:
    with pytest.raises(DataError, match="for none of the 4 clips asked for"):
        read_predictions(table(["w", "x", "y", "z"]), CLIPS, targets=TARGETS)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_predictions(tmp_path / "no.csv", CLIPS, targets=TARGETS)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="it is empty"):
        read_predictions(tmp_path / "empty.csv", CLIPS, targets=TARGETS)


def test_a_split_without_labels_is_an_error() -> None:
    read = read_predictions(table(), [Clip(clip.id) for clip in CLIPS], targets=TARGETS)
    with pytest.raises(DataError, match="None of the 4 predicted clips has a label"):
        labelled(read)


def test_directions_are_flipped_within_the_range() -> None:
    here, there = Target("neuroticism", 1, 5, 1), Target("neuroticism", 1, 5, -1)
    values, notes = align_directions(np.array([[2.0], [5.0]]), [there], [here])
    assert values.ravel() == pytest.approx([4.0, 1.0])
    assert "neuroticism (high = stable) were flipped" in notes[0]
    assert align_directions(values, [here], [here])[1] == ()


def test_z_scores_are_flipped_by_their_sign() -> None:
    values, _ = align_directions(
        np.array([[0.7]]),
        [Target("neuroticism", direction=-1)],
        [Target("neuroticism", direction=1)],
    )
    assert values.item() == pytest.approx(-0.7)


def test_ranges_are_stretched_and_said() -> None:
    one, two = Target("openness", 0, 1, 1), Target("openness", 1, 5, 1)
    values, notes = align_directions(np.array([[0.25]]), [one], [two])
    assert values.item() == pytest.approx(2.0)
    assert notes == ("Predictions of openness were stretched from 0..1 to 1..5.",)
    assert comparable(one, two)
    assert not comparable(one, Target("openness", direction=1))


def test_an_undeclared_direction_is_an_error() -> None:
    one, two = Target("openness", 0, 1, 1), Target("openness", 0, 1)
    with pytest.raises(DataError, match="a high 'openness' of the labels means more or less"):
        align_directions(np.zeros((1, 1)), [one], [two])
    with pytest.raises(DataError, match="'openness' cannot be scored as 'neuroticism'"):
        align_directions(np.zeros((1, 1)), [one], [Target("neuroticism", 0, 1, 1)])


CORPUS = Corpus("t", "apparent", (Target("openness", 0, 1, 1), Target("neuroticism", 0, 1, -1)), ())


def scaled(corpus: Corpus, values: np.ndarray) -> tuple[str, ...]:
    frame = pd.DataFrame({"clip": [clip.id for clip in CLIPS]})
    for place, name in enumerate(TARGETS):
        frame[f"predicted_{name}"] = values[:, place]
    read = read_predictions(frame, CLIPS, targets=TARGETS)
    assert align(read, corpus, corpus.targets).notes == ()  # whose targets are known
    return align(read, corpus, None).notes


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1, 0.9], None),
        ([-0.2, 1.9], None),  # a little outside is a bad model, not another scale
        ([3, 97], "lie in 3..97, labels in 0..1: are they per cent?"),
        ([1.5, 5], "lie in 1.5..5, labels in 0..1: are they on a scale such as 1 to 5?"),
        ([-1.5, 2], "lie in -1.5..2, labels in 0..1: are they z-scores?"),
        ([1, 500], "lie in 1..500, labels in 0..1: are they on another scale?"),
    ],
)
def test_predictions_on_another_scale_are_named(values: list[float], said: str | None) -> None:
    both = np.tile(np.linspace(*values, len(CLIPS)), (2, 1)).T
    expected = () if said is None else (f"Predictions of openness, neuroticism {said}",)
    assert scaled(CORPUS, both) == expected


def test_shares_for_labels_of_a_questionnaire_are_named() -> None:
    targets = tuple(Target(name, 1, 7, 1) for name in TARGETS)
    notes = scaled(Corpus("t", "apparent", targets, ()), VALUES)
    assert "labels in 1..7: are they shares of the range?" in notes[0]


@pytest.mark.shared
def test_the_cases_of_unclear_messages(shared: Path) -> None:
    folder = shared / "data" / "cases"
    corpus = load_corpus(f"table:{folder / '01_labels_as_features' / 'clips.csv'}")
    clips = [clip for clip in corpus.clips if clip.split == "test"]
    per_cent, semicolons = (
        join(table_system(folder / "16_unclear_messages" / name), clips, corpus)
        for name in ("pr100.csv", "prsemi.csv")
    )
    np.testing.assert_allclose(per_cent.values, semicolons.values * 100, atol=0.051)
    assert semicolons.notes == ()
    assert per_cent.notes == (
        "Predictions of openness, extraversion lie in 2.3..91.8, labels in 0..1: are they per "
        "cent?",
    )


@pytest.mark.parametrize(
    "text",
    [
        "clip;predicted_openness\n007;0,5\nNA;0,25\n",
        "clip\tpredicted_openness\n007\t0.5\nNA\t0.25\n",
        ",clip,predicted_openness\n0,007,0.5\n1,NA,0.25\n",
        'Clip,predicted_openness\n"007",0.5\n"NA",0.25\n,\n',
    ],
)
def test_predictions_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "theirs.csv"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        read = read_predictions(path, [Clip("007"), Clip("NA")], targets=["openness"])
        assert read.values.ravel() == pytest.approx([0.5, 0.25])


def test_rows_that_moved_are_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("clip,predicted_openness,predicted_neuroticism\na,0.5,0.5,\n")
    with pytest.raises(DataError, match=r"more cells than columns .*: row 2"):
        read_predictions(path, [Clip("a")], targets=TARGETS)


def test_ids_in_decomposed_letters_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    name = unicodedata.normalize("NFD", "M\u00fcller")
    path.write_text(f"clip,predicted_openness\n{name}.mp4,0.5\n", encoding="utf-8")
    assert len(read_predictions(path, [Clip("M\u00fcller")], targets=["openness"]).clips) == 1


@pytest.mark.parametrize("written", ["data/test/{}.mp4", "C:\\clips\\{}.MP4", "./{}"])
def test_ids_are_found_behind_folders_and_capital_letters(written: str) -> None:
    clips = [Clip("walk.001"), Clip("talk.002")]
    names = [written.format(clip.id.upper()) for clip in clips]
    frame = pd.DataFrame({"clip": names, "predicted_openness": [0.25, 0.5]})
    read = read_predictions(frame, clips, targets=["openness"])
    assert read.values.ravel().tolist() == [0.25, 0.5]
    # two clips that differ in nothing else are not guessed at
    with pytest.raises(DataError, match="Check the ids"):
        read_predictions(frame, [Clip("Walk.001"), Clip("wAlk.001")], targets=["openness"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clip": ["a", "a"], "predicted_openness": ["0.1", "0.2"]}, "number the trainings"),
        ({"clip": ["a"], "predicted_openness": ["27%"]}, r"\(such as '27%'\)\. Write numbers"),
        ({"clip": ["a"], "predicted_openness": ["inf"]}, r"\(such as 'inf'\)"),
        ({"clip": ["b"], "predicted_openness": ["0.5"]}, "Check the ids, and the split"),
        (
            {"clip": ["a", "a"], "seed": ["1", "mean"], "predicted_openness": ["0.5", "0.5"]},
            "The column seed holds what is no whole number: mean",
        ),
        (
            {"clip": ["a", "a"], "seed": ["0.2", "0.7"], "predicted_openness": ["0.5", "0.6"]},
            r"no whole number: 0\.2, 0\.7",
        ),
    ],
)
def test_why_no_clip_can_be_scored_is_said(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_predictions(pd.DataFrame(columns), [Clip("a")], targets=["openness"])


def test_a_target_that_is_spelled_otherwise_is_named_with_its_nearest() -> None:
    columns = {"clip": ["a"], "predicted_openness": [0.5], "predicted_extroversion": [0.5]}
    read = read_predictions(
        pd.DataFrame(columns), [Clip("a")], targets=["openness", "extraversion"]
    )
    assert read.notes == (
        "Not predicted, so not scored: extraversion.",
        "Predicted, but not among the labels: extroversion (is it extraversion?).",
    )
