"""Words alone: prepare, train, evaluate, predict through the verbs; runs that were tampered."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from tests.support.command_line import Done, in_a_process, type_in
from tests.support.media_files import write_video
from tests.support.text_corpus import TARGETS, make_texts
from traitscope.errors import ConfigError, DataError, TraitscopeError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.store import Store
from traitscope.prediction.clips import predict
from traitscope.runs.checkpoint import load
from traitscope.types import TRAITS

SMALL = ("model.components=10", "model.folds=3", "model.boosting.rounds=20")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of transcripts without media, prepared and trained on."""
    folder = tmp_path_factory.mktemp("words")
    texts = make_texts(240, 80, planted=4)
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "source", "split", "transcript", *TRAITS])
        rows = zip(texts.texts, texts.sources, texts.labels.round(4), strict=True)
        for number, (text, source, labels) in enumerate(rows):
            split = splits[int(source[1:]) % 10]
            said = "" if number == 7 else text
            writer.writerow([f"c{number:03d}", source, split, said, *labels])
    targets = {t.name: {"low": t.low, "high": t.high, "direction": t.direction} for t in TARGETS}
    facts = {"name": "words", "kind": "apparent", "targets": targets}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    (folder / "speech.txt").write_text(texts.texts[0], encoding="utf-8")
    address, store = f"table:{folder / 'clips.csv'}", folder / "store"
    prepared = type_in("prepare", address, "--store", store, "--for", "text_stack")
    assert prepared.returncode == 1  # one clip has no transcript
    assert "c007: transcript: no_text" in prepared.stderr
    settings = (f"data.corpus={address}", f"data.store={store}", *SMALL)
    trained = type_in("train", "text_stack", *settings, "--to", folder / "run")
    assert trained.returncode == 0, trained.stderr
    return folder


def scores(done: Done) -> dict[str, dict[str, float]]:
    assert done.stdout, done.stderr
    return {clip["clip"]: clip["scores"] for clip in json.loads(done.stdout)["clips"]}


@pytest.mark.slow
def test_evaluation_and_prediction_in_a_fresh_process_agree(place: Path) -> None:
    report = evaluate(place / "run")
    rows = {row.role: row for row in report.everything.rows}
    assert rows["model"].macro("pearson").value > 0.2
    assert rows["model"].macro("skill").value > rows["lookup"].macro("skill").value
    table = in_a_process("predict", place / "run", place / "clips.csv", "--json")
    assert table.returncode == 1  # the clip without words is named, not guessed
    found = scores(table)
    assert found.pop("c007") == {}
    saved = pd.read_csv(place / "run" / "evaluation" / "test" / "predictions.csv")
    for _, row in saved.iterrows():
        for trait in TRAITS:
            assert found[row["clip"]][trait] == pytest.approx(row[f"predicted_{trait}"], abs=1e-6)


def test_text_alone_beside_a_video_and_as_a_file_of_its_own_is_the_same(
    place: Path, tmp_path: Path
) -> None:
    run, speech = load(place / "run"), place / "speech.txt"
    video = write_video(tmp_path / "talk.mp4", frames=5)
    silent = predict(run, video)[0]
    assert silent.status == "no_text"
    assert "as talk.txt, or give it with --text" in silent.reason
    given = predict(run, video, text=speech)[0]
    shutil.copy(speech, tmp_path / "talk.txt")
    words = speech.read_text(encoding="utf-8")
    (tmp_path / "a.vtt").write_text(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{words}\n")
    found = predict(run, video, tmp_path / "a.vtt")
    alone = scores(type_in("predict", place / "run", "--text", speech, "--json"))["speech.txt"]
    assert given.clip == "talk.mp4"
    for scored in (given, *found[:2]):  # side by side with others: the last digit may differ
        assert scored.scores == pytest.approx(alone, rel=1e-9)


def test_one_of_several_speakers_is_scored_as_if_alone(place: Path, tmp_path: Path) -> None:
    words = " ".join((place / "speech.txt").read_text(encoding="utf-8").split())
    (tmp_path / "alone.txt").write_text(words, encoding="utf-8")
    write_video(tmp_path / "talk.mp4", frames=5)
    (tmp_path / "talk.srt").write_text(
        f"1\n00:00:00,000 --> 00:00:01,000\n[SPEAKER_00]: {words}\n\n"
        f"2\n00:00:01,000 --> 00:00:02,000\n[SPEAKER_01]: and what did you do then\n",
        encoding="utf-8",
    )
    whisper = [{"start": 0.0, "end": 1.0, "text": words, "speaker": "SPEAKER_00"}]
    (tmp_path / "whisper.json").write_text(json.dumps({"segments": whisper}), encoding="utf-8")
    (tmp_path / "whisper.tsv").write_text(f"start\tend\ttext\n0\t9\t{words}\n", encoding="utf-8")
    run = load(place / "run")
    alone, given, listed, table = predict(
        run,
        *(tmp_path / name for name in ("alone.txt", "talk.srt", "whisper.json", "whisper.tsv")),
        speaker="speaker_00",
    )
    for scored in (given, listed, table):  # side by side: the last digit may differ
        assert scored.scores == pytest.approx(alone.scores, rel=1e-9)
    assert given.notes == ()
    assert alone.notes == ("speakers: none are labelled, so words of all, not of speaker_00",)
    done = type_in("predict", place / "run", tmp_path / "talk.mp4", "--json")
    clip = json.loads(done.stdout)["clips"][0]
    assert clip["notes"] == ["speakers: 2 speak (SPEAKER_00, SPEAKER_01); words of all"]
    assert "note: talk.mp4: speakers: 2 speak" in done.stderr
    assert clip["scores"] != dict(given.scores)
    chosen = ("--text", tmp_path / "talk.srt", "--speaker", "SPEAKER_00")
    (again,) = scores(type_in("predict", place / "run", tmp_path / "talk.mp4", *chosen)).values()
    assert again == pytest.approx(alone.scores, rel=1e-9)
    absent = predict(run, tmp_path / "talk.mp4", speaker="Bob")[0]
    assert absent.status == "no_text"
    assert "there are: SPEAKER_00, SPEAKER_01" in absent.reason


def test_prepare_takes_the_words_of_one_speaker(place: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "a.vtt").write_text(
        "WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ann>hello\n\n00:01.000 --> 00:02.000\n<v Bob>no"
    )
    (tmp_path / "clips.csv").write_text("clip,openness\na,0.5\n")
    facts = {"kind": "apparent", "targets": {"openness": {"low": 0, "high": 1, "direction": 1}}}
    (tmp_path / "clips.yaml").write_text(yaml.safe_dump(facts))
    address, store = f"table:{tmp_path / 'clips.csv'}", tmp_path / "store"
    asked = ("--extract", "transcript,text_counts", "--speaker", "Ann", "--json")
    done = type_in("prepare", address, "--store", store, *asked)
    assert done.returncode == 0, done.stderr
    kept = Store(store)
    read = {key.partition("-")[0]: kept.read(key, "a") for key in kept.fingerprints()}
    assert read["transcript"].values.tolist() == ["hello"]
    assert read["text_counts"].values[0, 0] == 1
    refused = type_in(
        "prepare", address, "--store", store, "--extract", "frames", "--speaker", "Ann"
    )
    assert refused.returncode == 2
    assert "No words are read" in refused.stderr


def test_mistakes_with_words_are_told(place: Path, tmp_path: Path) -> None:
    nothing = type_in("predict", place / "run")
    assert nothing.returncode == 2
    assert "Nothing to score" in nothing.stderr
    with pytest.raises(ConfigError, match=r"cannot be of 2 clips"):
        predict(place / "run", "a.mp4", "b.mp4", text=place / "speech.txt")
    absent = predict(place / "run", text=tmp_path / "absent.txt")[0]
    assert absent.status == "no_text"
    assert "absent.txt" in absent.reason


def tampered(place: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(place / "run", folder)
    return folder


def edit(path: Path, change) -> None:
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "features.json", "run.yaml"])
def test_a_missing_or_damaged_file_is_told(place: Path, tmp_path: Path, name: str) -> None:
    folder = tampered(place, tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes()[:100] + b"\x00{")
    with pytest.raises(TraitscopeError):
        predict(folder, text=place / "speech.txt")
    (folder / name).unlink()
    with pytest.raises(TraitscopeError, match=r"missing|not a run"):
        predict(folder, text=place / "speech.txt")


def way_out(tree) -> None:
    tree["streams"]["transcript"]["extractor"] = "../../etc/passwd"


def foreign_key(tree) -> None:
    tree["streams"]["transcript"]["key"] = "../../../secret"


def outside(tree) -> None:
    tree["streams"]["transcript"]["extractor"] = "os.path"


@pytest.mark.parametrize("change", [way_out, foreign_key, outside])
def test_a_run_that_points_elsewhere_is_told(place: Path, tmp_path: Path, change) -> None:
    folder = tampered(place, tmp_path)
    edit(folder / "features.json", change)
    with pytest.raises((ConfigError, DataError)):
        predict(folder, text=place / "speech.txt")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trees/left", lambda a: np.zeros_like(a)),  # a cycle
        ("trees/feature", lambda a: np.where(a >= 0, 10**8, a)),
        ("word/weights", lambda a: a[:-1].copy()),
        ("char/terms", lambda a: np.repeat(a, 50)),
        ("components", lambda a: np.zeros((0, 0))),
    ],
)
def test_tampered_arrays_are_told_and_never_walked(
    place: Path, tmp_path: Path, name: str, value
) -> None:
    folder = tampered(place, tmp_path)
    arrays = load_file(folder / "model.safetensors")
    save_file({**arrays, name: value(arrays[name])}, folder / "model.safetensors")
    with pytest.raises(DataError, match=r"cannot be used.*The checkpoint is damaged"):
        predict(folder, text=place / "speech.txt")


@pytest.mark.slow
def test_a_text_transformer_trains_on_words(place: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra text")
    architecture = (
        "{model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, "
        "intermediate_size: 32, max_position_embeddings: 66}"
    )
    done = type_in(
        *("train", "text_transformer", f"data.corpus=table:{place / 'clips.csv'}"),
        *(
            f"data.store={place / 'store'}",
            "model.encoder=''",
            f"model.architecture={architecture}",
        ),
        *(
            "model.pretrained=false",
            "train.epochs=1",
            "--to",
            place / "transformer",
        ),
    )
    assert done.returncode == 0, done.stderr
    found = scores(
        type_in("predict", place / "transformer", "--text", place / "speech.txt", "--json")
    )
    assert set(found["speech.txt"]) == set(TRAITS)
