"""Explanations: parts are all of the input, numbers add up, and the test knows what is learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.prepared import data, make_corpus, make_store
from traitscope.analysis import gradients
from traitscope.analysis.deletion import BETTER, NO_BETTER, Deletion
from traitscope.analysis.evidence import Explanation, Strip
from traitscope.analysis.explanation_test import estimated, summarise
from traitscope.analysis.explanations import explain, explain_subject, subject_of
from traitscope.analysis.parts import Part, parts_of, segments, without
from traitscope.analysis.references import Reference, mean_reference, reference_of
from traitscope.analysis.regions import AROUND, CHEEKS, EYES, MOUTH, NOSE, region_of
from traitscope.corpora import load_corpus
from traitscope.data.drawing import Example
from traitscope.features.preparation import prepare
from traitscope.features.store import Store
from traitscope.prediction.clips import predict
from traitscope.report.explanation import write_explanation
from traitscope.runs.checkpoint import load
from traitscope.runs.tensors import Flat
from traitscope.training.fitting import train
from traitscope.types import Batch, Clip, Target

CLIP = Clip("one")


def example(**streams: np.ndarray) -> Example:
    """Rows a second apart, the last one missing."""
    masks = {name: np.arange(len(a)) < len(a) - 1 for name, a in streams.items()}
    times = {name: np.arange(len(a)) + 0.5 for name, a in streams.items()}
    return Example(CLIP, streams, masks, times=times)


def test_parts_are_the_whole_input_once() -> None:
    shown = example(
        signals=np.arange(12.0).reshape(4, 3),
        faces=np.full((3, 19, 16, 3), 9, np.uint8),
        transcript=np.array(["so we  go", "on", "never"], np.dtypes.StringDType()),
    )
    parts = parts_of(shown, {"signals": ("a", "b", "c")}, 4.0)
    kinds = [part.stream for part in parts]
    assert (kinds.count("signals"), kinds.count("faces"), kinds.count("transcript")) == (9, 128, 4)
    empty = {"signals": np.full((4, 3), -1.0), "faces": np.zeros((3, 19, 16, 3), np.uint8)}
    gone = without(shown, parts, empty)
    assert (gone.streams["signals"][:3] == -1).all()
    assert (gone.streams["signals"][3] == shown.streams["signals"][3]).all()  # was never seen
    assert not gone.streams["faces"][:2].any()
    assert gone.streams["faces"][2].all()
    assert gone.streams["transcript"].tolist() == ["", "", "never"]
    words = [part for part in parts if part.name in {"we", "on"}]
    assert without(shown, words, empty).streams["transcript"].tolist() == ["so go", "", "never"]
    pieces = segments(shown, "signals", 9.0)
    assert [(start, end) for _, start, end in pieces] == [(0.0, 1.0), (1.0, 2.0), (2.0, 9.0)]


def test_statistics_of_a_column_are_one_part() -> None:
    pooled = Example(CLIP, {"signals": np.arange(4.0)})
    names = ("signals.AU1.mean", "signals.AU2.mean", "signals.AU1.sd", "signals.AU2.sd")
    parts = parts_of(pooled, {"signals": names}, 1.0)
    assert [(part.name, part.index[0].tolist()) for part in parts] == [
        ("AU1", [0, 2]),
        ("AU2", [1, 3]),
    ]


def test_cells_of_an_aligned_face_have_names() -> None:
    # Without padding the eyes lie at .22 of the height, the second of eight rows.
    assert region_of((1, 2), padding=0.0) == EYES
    assert region_of((6, 4), padding=0.0) == MOUTH
    assert region_of((4, 1), padding=0.0) == CHEEKS
    assert region_of((4, 4), padding=0.0) == NOSE
    assert region_of((7, 0), padding=0.5) == AROUND
    assert region_of((0, 0), padding=None) == "upper left"


class Sum(nn.Module):
    """A score that is a product and a sum: gradients along a path are known by hand."""

    def forward(self, batch: Batch) -> Tensor:
        """``x`` (clips, rows, 2) -> (clips, 1)."""
        x = batch.streams["x"] * batch.masks["x"][..., None]
        return (x[..., 0] * x[..., 1] + 3 * x[..., 0]).sum(dim=1, keepdim=True)


def test_integrated_gradients_are_those_by_hand_and_complete() -> None:
    x, mask = torch.tensor([[[2.0, 4.0], [1.0, 1.0]]]), torch.tensor([[True, False]])
    batch = Batch(("a",), {"x": x}, {"x": mask}, None, None)
    flat = Flat(Sum(), batch)
    (values,) = gradients.integrated(flat, [x], [torch.zeros_like(x)], [mask], steps=8)
    # Along a straight path a product gives both factors the same, here 8 / 2.
    np.testing.assert_allclose(values[0, 0], [[4 + 6, 4], [0, 0]], atol=1e-5)
    assert values.sum() == pytest.approx(float(flat(x, mask)[0, 0]), abs=1e-4)


def test_the_mean_of_clips_stands_for_nothing_in_particular() -> None:
    one = example(x=np.array([[1.0], [3.0], [99.0]]))
    other = example(x=np.array([[4.0], [99.0]]))
    reference = mean_reference([one, other])
    assert reference.of(one, ())["x"].ravel().tolist() == [3.0, 3.0, 3.0]
    assert Reference().of(one, ("x",))["x"].ravel().tolist() == [0.0, 0.0, 0.0]
    assert Reference().of(one, ())["x"].ravel().tolist() == [2.0, 2.0, 2.0]


def test_the_peak_is_the_second_that_adds_most() -> None:
    edges = np.arange(9) / 2
    values = np.array([0, 0, 1, 1, 0, 0, 1.5, -2])[:, None]
    strip = Strip(edges[:-1], edges[1:], values)
    start, end = strip.peak(0, 1.0)
    assert start <= 1.0 < 2.0 <= end
    assert strip.peak(0, -1.0)[1] == 4.0


def deletion(evidence: float, random: float) -> Deletion:
    """One clip of two targets, five random orders."""
    whole, empty = np.array([0.8, 0.4]), np.array([0.5, 0.5])
    step = np.array([[evidence, evidence]])
    towards = np.sign(whole - empty)
    others = random + np.linspace(-0.01, 0.01, 5)[:, None, None]
    return Deletion(whole, empty, whole - towards * step, whole - towards * others)


def test_the_region_that_is_named_is_that_of_the_top_seconds() -> None:
    """What somebody looks like adds a little in every second; he smiles in one of them."""
    seconds = np.arange(4.0)
    cells = {(1, 2): "brows", (6, 4): "mouth"}
    parts = [Part("faces", (), at, at + 1, cell=cell) for at in seconds for cell in cells]
    adds = np.array([[0.2, 0.0], [0.2, 0.0], [0.2, 0.5], [0.2, 0.0]]).reshape(-1, 1)
    one = np.ones(1)
    made = Explanation(
        *("clip", "", "run", "model", "apparent", "corpus"),
        targets=(Target("warmth", 0, 1, 1),),
        scores=one,
        seconds=4.0,
        parts=tuple(parts),
        values=adds,
        alone={"faces": one},
        strips={"faces": Strip(seconds, seconds + 1, adds.reshape(4, 2).sum(axis=1)[:, None])},
        cells={"faces": cells},
        pictures={},
        deletion=Deletion(one, 0 * one, one[None], one[None, None]),
        method="",
        against="",
    )
    assert made.regions["faces"]["brows"] == pytest.approx(0.8)
    assert made.regions["faces"]["mouth"] == pytest.approx(0.5)
    top = made.top("warmth")
    assert (top.seconds, top.region) == ((2.0, 3.0), "mouth")


def test_a_clip_is_better_than_random_only_by_more_than_chance_and_dust() -> None:
    assert deletion(0.2, 0.05).verdict(0) == BETTER
    assert deletion(0.2, 0.05).verdict(1) == BETTER  # below the reference it moves up
    assert deletion(0.2, 0.05).gain(0)[0] == pytest.approx(0.15)
    assert deletion(0.05, 0.05).verdict(0) == NO_BETTER
    assert deletion(0.012, 0.0).verdict(0, span=10.0) == NO_BETTER


def test_agreement_lost_to_evidence_is_told_from_that_of_an_untrained_model() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(80, 2))

    def clips(scores: np.ndarray) -> list[Deletion]:
        whole, empty = scores, np.zeros(2)
        return [Deletion(one, empty, 0.2 * one[None], 0.7 * one[None, None]) for one in whole]

    clusters = np.arange(80) // 2
    names = ("a", "b")
    good = summarise(clips(0.5 * truth), truth, clusters, names)
    # The score follows the labels by .5: .5 * .7 are left at random and .5 * .2 of the evidence.
    assert good["rows"][-1]["lost"]["value"] == pytest.approx(0.25)
    assert good["rows"][-1]["curves"]["evidence"] == pytest.approx([0.5, 0.1, 0.0])
    assert good["verdict"] == BETTER
    none = summarise(clips(rng.normal(size=(80, 2))), truth, clusters, names)
    assert none["verdict"] == NO_BETTER
    assert estimated(truth[:, :1] * 2, truth[:, :1], clusters).value[0] == pytest.approx(2.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus and a store whose first columns follow the traits."""
    folder = tmp_path_factory.mktemp("explained")
    make_store(folder / "store", make_corpus(folder, clips=60))
    return folder


def explained(place: Path, run: Path) -> Explanation:
    checkpoint, store = load(run), Store(place / "store")
    clip = load_corpus(f"table:{place / 'clips.csv'}").clips[-1]
    streams = {name: store.read(key, clip.id) for name, key in checkpoint.keys.items()}
    subject = subject_of(checkpoint, clip, streams)
    return explain_subject(checkpoint, subject, reference_of(checkpoint))


@pytest.mark.parametrize("learner", ["ridge", "trees"])
def test_contributions_of_functionals_add_up_to_the_score(place: Path, learner: str) -> None:
    settings = [f"model.learner={learner}", "model.pools=[mean]", "model.rounds=[20]"]
    run = train("functionals", [*data(place), *settings], to=place / learner)
    made = explained(place, run)
    np.testing.assert_allclose(
        made.values.sum(axis=0), made.scores - made.deletion.empty, atol=1e-9
    )
    assert set(made.alone) == {"signals", "short_term"}
    told = made.to_dict()["targets"][0]
    assert told["stream"] in made.alone
    assert len(made.to_frame()) == len(made.parts)
    assert "openness" in made._repr_html_()


def test_a_network_is_explained_by_gradients_that_add_up(place: Path) -> None:
    settings = ["model.embedding=8", "model.hidden=8", "train.epochs=2"]
    run = train("audio_lstm", [*data(place), *settings], to=place / "lstm")
    made = explained(place, run)
    assert made.method.startswith("integrated gradients")
    np.testing.assert_allclose(
        made.values.sum(axis=0), made.scores - made.deletion.empty, atol=2e-3
    )
    assert made.strips["mid_term"].values.shape == (6, 5)
    top = made.top("openness")
    assert top.stream == "mid_term"
    assert top.name


def test_words_are_explained_by_what_is_lost_without_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["clip,source,split,openness,transcript"]
    for number in range(60):
        score = rng.uniform(0.2, 0.8)
        words = ["wonderful" if rng.uniform() < score else "plain" for _ in range(12)]
        split = ("train", "train", "train", "validation", "test")[number % 5]
        rows.append(f"c{number},s{number},{split},{score:.3f},so {' '.join(words)}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    (tmp_path / "clips.yaml").write_text(
        "name: said\nkind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    address = f"table:{tmp_path / 'clips.csv'}"
    prepare(load_corpus(address), {"transcript": {}}, store=tmp_path / "store", workers=0)
    settings = ["model.components=2", "model.folds=3", "model.boosting.rounds=5"]
    place = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}"]
    run = train("text_stack", [*place, *settings], to=tmp_path / "run")
    (tmp_path / "said.txt").write_text("so it was wonderful and wonderful R&B plain")
    made = explain(run, tmp_path / "said.txt")
    worth = {name: float(value[0]) for name, value in made.names("transcript").items()}
    assert max(worth, key=lambda name: worth[name]) == "wonderful"
    page = write_explanation(made, tmp_path / "page.html").read_text()
    assert "R&amp;B</mark>" in page  # what was said stays text
    assert "There are no pictures" in page


@pytest.mark.slow
def test_a_long_recording_is_explained_by_its_windows(tmp_path: Path) -> None:
    run = train_listener(tmp_path)
    # 60 windows of half a second: one voice, and for two seconds another.
    usual, deep = tone(26.0, hertz=330.0), tone(2.0, hertz=205.0)
    sound = np.concatenate([usual, deep, tone(2.0, hertz=330.0)], axis=1)
    write_sound(tmp_path / "long.wav", sound)
    (score,) = predict(run, tmp_path / "long.wav", workers=0)
    made = explain(run, tmp_path / "long.wav")
    assert any("60 usual clips" in note and "explained are 24" in note for note in made.notes)
    assert made.scores[0] == pytest.approx(score.scores["warmth"], abs=0.05)
    # All parts together are what lies between the score and that of the mean clip.
    assert made.values.sum() == pytest.approx(made.scores[0] - made.deletion.empty[0], abs=0.02)
    start, end = made.top("warmth").seconds or (0.0, 0.0)
    assert 25 < (start + end) / 2 < 29
    assert made.seconds == pytest.approx(30, abs=0.1)
    assert write_explanation(made, tmp_path / "page.html").is_file()
    # A recording of few windows has its own score, to the last digit.
    write_sound(tmp_path / "short.wav", sound[:, : 5 * 16_000])
    (score,) = predict(run, tmp_path / "short.wav", workers=0)
    made = explain(run, tmp_path / "short.wav")
    assert made.scores[0] == pytest.approx(score.scores["warmth"], abs=1e-9)
    assert any("10 usual clips" in note and "explained" not in note for note in made.notes)
