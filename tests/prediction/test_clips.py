"""One clip, a run and an extraction that stays open: the same scores as with one of its own."""

from pathlib import Path

import pytest

from tests.support.openface_tables import write_table
from traitscope.corpora import load_corpus
from traitscope.errors import ClipError
from traitscope.features.extraction import Extraction, extract_clip
from traitscope.features.preparation import prepare
from traitscope.prediction.clips import predict_clip
from traitscope.prediction.inputs import table_clips
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("run")
    address = f"openface:{write_table(folder / 'rows.csv', clips=48)}"
    settings = ["model.streams=[signals]", "features.signals.backend=openface"]
    prepare(load_corpus(address), requests_for("functionals", settings), store=folder / "store")
    data = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    return load(train("functionals", [*data, *settings], to=folder / "run"))


def test_streams_given_and_streams_extracted_give_the_same_scores(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    clip = table_clips(write_table(tmp_path / "new.csv", clips=1))[0][0]
    (name, request), *_ = checkpoint.facts.requests.items()
    with Extraction() as extraction:
        extracted = predict_clip(checkpoint, clip, extraction=extraction)
        stream = extract_clip(clip, [request], extraction=extraction)[request.key]
    assert not isinstance(stream, ClipError)
    assert extracted.status == "ok"
    assert extracted == predict_clip(checkpoint, clip)
    assert extracted == predict_clip(checkpoint, clip, given={name: stream})
