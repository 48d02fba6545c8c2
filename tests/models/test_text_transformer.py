"""Text encoders: what trains, runs that need no cache, damage, and embeddings as a stream."""

from pathlib import Path

import numpy as np
import pytest
import torch

from traitscope.config import build
from traitscope.errors import ClipError, ConfigError, DataError, MissingError
from traitscope.features.extraction import extract_clip, extract_clips
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.runs.checkpoint import predict_batch
from traitscope.types import Batch, Clip, Corpus, Stream, Target

pytest.importorskip("transformers", reason="needs the extra text")

from traitscope.models import text_transformer
from traitscope.models.text_transformer import TINY, Config, Model

TARGETS = (Target("openness", 0, 1, 1), Target("age"))
TEXTS = ["hello there", "i like it", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT with its tokenizer, as Hugging Face saves them."""
    import transformers

    place = tmp_path_factory.mktemp("encoder")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "hello", "there", "i", "like", "it", "so"]
    known = {word: number for number, word in enumerate(words)}
    transformers.BertTokenizerFast(vocab=known).save_pretrained(place)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    transformers.BertModel(config).save_pretrained(place)
    return place


def batch(texts: list[str] = TEXTS) -> Batch:
    words = np.array([[text] for text in texts], dtype=np.dtypes.StringDType())
    mask = np.ones(words.shape, bool)
    targets = np.full((len(texts), 2), 0.7, np.float32)
    return Batch(tuple(texts), {"transcript": words}, {"transcript": mask}, targets, targets > 0)


def trained(config: Config) -> tuple[Model, set[str]]:
    """A model after some steps, and the names of the tensors that moved."""
    from traitscope.data.examples import to_tensors

    torch.manual_seed(0)
    model = Model(config, {}, TARGETS)
    model.load_pretrained()
    before = {name: t.clone() for name, t in model.named_parameters()}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    model.train()
    for _ in range(3):
        loss = ((model(to_tensors(batch())) - 0.7) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, {n for n, t in model.named_parameters() if not torch.equal(t, before[n])}


@pytest.mark.parametrize("train", ["frozen", "lora", "full"])
def test_what_trains_is_what_was_asked_for(folder: Path, train: str) -> None:
    model, moved = trained(Config.model_validate({"encoder": str(folder), "train": train}))
    encoder = {name for name in moved if name.startswith("encoder.")}
    assert {"head.weight", "head.bias"} <= moved
    if train == "frozen":
        assert not encoder
        assert not model.encoder.training
    elif train == "lora":
        assert encoder
        assert all("lora_" in name for name in encoder)
    else:
        assert any("word_embeddings" in name for name in encoder)


@pytest.mark.parametrize("train", ["lora", "full"])
def test_a_run_brings_its_own_encoder_and_tokenizer(folder: Path, train: str) -> None:
    config = Config.model_validate({"encoder": str(folder), "train": train})
    model, _ = trained(config)
    elsewhere = Model(config.model_copy(update={"encoder": "not/here"}), {}, TARGETS)
    assert elsewhere.encoder is None
    elsewhere.load_state_dict({name: t.clone() for name, t in model.state_dict().items()})
    np.testing.assert_array_equal(predict_batch(elsewhere, batch()), predict_batch(model, batch()))


def test_the_published_tensors_are_taken(folder: Path) -> None:
    from safetensors.torch import load_file

    model = Model(Config(encoder=str(folder)), {}, TARGETS)
    model.load_pretrained()
    published = load_file(folder / "model.safetensors")
    mine = model.encoder.state_dict()["embeddings.word_embeddings.weight"]
    assert torch.equal(mine, published["embeddings.word_embeddings.weight"])


def test_a_clip_without_words_and_one_with_too_many_are_scored(folder: Path) -> None:
    model = Model(Config(encoder=str(folder), pretrained=False), {}, TARGETS)
    scores = predict_batch(model, batch(["", "hello " * 5000]))
    assert np.isfinite(scores).all()
    together = predict_batch(model, batch(["i like it", "hello " * 30]))
    np.testing.assert_allclose(
        predict_batch(model, batch(["i like it"]))[0], together[0], atol=1e-5
    )


def test_an_encoder_that_is_not_here_is_named_with_the_cure() -> None:
    model = Model(Config(encoder="nobody/nothing"), {}, TARGETS)
    with pytest.raises(MissingError, match="hf download nobody/nothing"):
        model.load_pretrained()
    with pytest.raises(ConfigError, match="encoder from scratch has no tensors"):
        build(Config, {"encoder": "", "architecture": {"model_type": "bert"}}, where="here")


def described(text: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[1]",
        b'[{"model_type": "bert"}, "no tokenizer"]',
        b'[{"model_type": "../../etc"}, "{}"]',
        b"huge",
    ],
)
def test_a_damaged_description_is_told_before_memory_is_taken(content: bytes) -> None:
    import json

    model = Model(TINY, {}, TARGETS)
    state = dict(model.state_dict())
    if content == b"huge":
        assert model.spec is not None
        huge = {**model.spec.architecture, "hidden_size": 2**16, "vocab_size": 10**7}
        content = json.dumps([huge, model.spec.tokenizer]).encode()
    state["described"] = described(content)
    with pytest.raises(DataError, match="saved text encoder cannot be used"):
        Model(TINY, {}, TARGETS).load_state_dict(state)


def test_the_embedding_is_the_mean_of_the_tokens(folder: Path) -> None:
    request = make_request("text_embedding", {"encoder": str(folder)})
    found = extract_clip(Clip("a", transcript="hello there"), [request])[request.key]
    assert isinstance(found, Stream), found
    model = Model(Config(encoder=str(folder)), {}, TARGETS)
    model.load_pretrained()
    model.eval()
    ids = torch.tensor([[2, 5, 6, 3]])  # [CLS] hello there [SEP]
    expected = model.encoder(ids).last_hidden_state[0].mean(dim=0)
    np.testing.assert_allclose(found.values[0], expected.detach().numpy(), atol=1e-5)
    assert found.info["tokens"] == 4
    empty = extract_clip(Clip("b", transcript=""), [request])[request.key]
    assert isinstance(empty, Stream)
    assert text_transformer.EXTRA == "text"


def many_texts(count: int = 40) -> list[str]:
    """Texts of one to thirty words in no order, two of them without any."""
    rng = np.random.default_rng(0)
    words = ["hello", "there", "i", "like", "it", "so", "unknown"]
    texts = [" ".join(rng.choice(words, size=rng.integers(1, 31))) for _ in range(count)]
    return ["", *texts, ""]


def test_texts_computed_together_are_what_each_is_alone(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("traitscope.nn.text_encoder._TOKENS", 64)  # several parts
    request = make_request("text_embedding", {"encoder": str(folder), "max_tokens": 20})
    clips = [Clip(f"c{number}", transcript=text) for number, text in enumerate(many_texts())]
    clips.insert(3, Clip("none"))
    together = [found[request.key] for found in extract_clips(clips, [request])]
    for clip, stream in zip(clips, together, strict=True):
        alone = extract_clip(clip, [request])[request.key]
        if clip.id == "none":
            assert isinstance(stream, ClipError)
            assert (stream.status, str(stream)) == (alone.status, str(alone))
            continue
        np.testing.assert_allclose(stream.values, alone.values, rtol=0, atol=1e-5)
        assert stream.info == alone.info
        assert stream.info["tokens"] <= 20


def test_a_corpus_of_texts_is_prepared_together(folder: Path, tmp_path: Path) -> None:
    clips = [Clip(f"c{number}", transcript=text) for number, text in enumerate(TEXTS)]
    corpus = Corpus("texts", "apparent", TARGETS, (*clips, Clip("none")))
    request = make_request("text_embedding", {"encoder": str(folder)})
    summary = prepare(corpus, [request], store=tmp_path, workers=0)
    assert summary.failed == ("none",)
    stored = Store(tmp_path).read(request.key, "c1")
    alone = extract_clip(clips[1], [request])[request.key]
    np.testing.assert_allclose(stored.values, alone.values, rtol=0, atol=1e-5)


def test_a_model_scores_many_texts_as_it_scores_each(monkeypatch) -> None:
    monkeypatch.setattr("traitscope.nn.text_encoder._TOKENS", 64)
    model = trained(TINY)[0].eval()
    texts = many_texts()
    together = predict_batch(model, batch(texts))
    alone = np.concatenate([predict_batch(model, batch([text])) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.ptp(alone[:, 1]) > 1e-3
