"""Texts per second of a text encoder: by itself, one by one, in `prepare` and in `predict`."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.support.text_corpus import make_texts, vocabulary
from traitscope.corpora import load_corpus
from traitscope.features.preparation import prepare
from traitscope.nn.text_encoder import fill, read_encoder
from traitscope.prediction.clips import predict
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train

BATCH = 64
FITTED = 80


def make_encoder(folder: Path) -> Path:
    """Save an encoder of MiniLM-L6's size with random tensors, and a tokenizer of words."""
    import numpy as np
    import transformers

    words = vocabulary(np.random.default_rng(0), 4000).tolist()
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,?!-", *words]
    vocabulary_of = {word: number for number, word in enumerate(dict.fromkeys(known))}
    transformers.BertTokenizerFast(vocab=vocabulary_of).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def make(count: int) -> list[str]:
    """Transcripts of some 43 words, as those of First Impressions have."""
    return make_texts(count, max(2, count // 3)).texts


def own_pass(encoder: Path, texts: list[str]) -> float:
    """Texts per second of the network alone: tokens are there, sorted, in batches."""
    network, ids = _network_and_ids(encoder, texts)
    ids.sort(key=len)
    parts = [
        torch.nn.utils.rnn.pad_sequence(ids[first : first + BATCH], batch_first=True)
        for first in range(0, len(ids), BATCH)
    ]
    return _forward(network, parts, len(texts))


def one_by_one(encoder: Path, texts: list[str]) -> float:
    """Texts per second of the network on one text after another."""
    network, ids = _network_and_ids(encoder, texts)
    return _forward(network, [one[None] for one in ids], len(texts))


def _network_and_ids(encoder: Path, texts: list[str]) -> tuple[torch.nn.Module, list]:
    spec = read_encoder(str(encoder))
    network = spec.network()
    fill(network, str(encoder))
    ids, mask = spec.tokens(texts, 256)
    rows = zip(ids, mask, strict=True)
    return network.eval(), [torch.from_numpy(row[seen]) for row, seen in rows]


def _forward(network: torch.nn.Module, parts: list, texts: int) -> float:
    with torch.inference_mode():
        network(parts[0])
        started = time.perf_counter()
        for part in parts:
            network(part, attention_mask=(part != 0).long())
    return texts / (time.perf_counter() - started)


def rates(folder: Path, encoder: Path, texts: list[str]) -> Iterator[tuple[str, float]]:
    """Texts per second of `prepare` and of `predict`, after their first ones."""
    fitted = _write(folder / "fitted.csv", texts[:FITTED])
    settings = ["model.streams=[text_embedding]", f"features.text_embedding.encoder={encoder}"]
    settings.append("model.penalties=[1.0]")
    requests = requests_for("functionals", settings)
    prepare(load_corpus(f"table:{fitted}"), requests, store=folder / "few", workers=0)
    data = [f"data.corpus=table:{fitted}", f"data.store={folder / 'few'}"]
    run = train("functionals", [*data, *settings], to=folder / "text_run")

    table = _write(folder / "texts.csv", texts)
    every, times = load_corpus(f"table:{table}"), _Times()
    prepare(every, requests, store=folder / "texts", workers=0, hook=times)
    yield "prepare, text_embedding", times.rate
    times = _Times()
    predict(run, table, hook=times)
    yield "predict, from a table of transcripts", times.rate


class _Times:
    """A hook that measures from the end of the first group of clips to the end of the last."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, float]] = []

    def __call__(self, done: int, total: int, name: str) -> None:
        self._seen.append((done, time.perf_counter()))

    @property
    def rate(self) -> float:
        """Items per second."""
        start = next(one for one in self._seen if one[0] >= BATCH)
        return (self._seen[-1][0] - start[0]) / (self._seen[-1][1] - start[1])


def _write(path: Path, texts: list[str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "split", "openness", "transcript"])
        for number, text in enumerate(texts):
            split = "validation" if number % 5 == 4 else "train"
            writer.writerow([f"t{number:05d}", split, 0.3 + 0.4 * (number % 7) / 6, text])
    target = {"openness": {"low": 0, "high": 1, "direction": 1}}
    facts = {"name": path.stem, "kind": "apparent", "targets": target}
    path.with_suffix(".yaml").write_text(json.dumps(facts))
    return path
