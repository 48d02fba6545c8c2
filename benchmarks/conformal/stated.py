"""Rows of made people whose labels scatter by what one column says, and a transformer on them.

Nothing is rendered: a store is filled with rows, as if ``signals`` had been extracted. Each trait
has a column that carries it, and one more column says how far labels lie from it: .03 to .25 of the
range, half of it shared by a person's two clips.
"""

import csv
from pathlib import Path

import numpy as np
import yaml

from traitscope.corpora import load_corpus
from traitscope.data.protocols import cluster_numbers, split
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.runs.checkpoint import load
from traitscope.runs.reference import read_reference
from traitscope.statistics.conformal import share_inside
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Stream

ROWS, CLIPS = 6, 2
SETTINGS = (
    "model.streams={signals: {rows: 6, patch: 3}}",
    *("model.width=24", "model.layers=1", "model.heads=2", "model.kernel=3", "model.hide=0"),
    *("model.dropout=0.1", "train.epochs=12", "train.batch_size=64", "train.lr=0.003"),
    *("features.signals.backend=dlib", "trainer.logger=csv"),
)


def fitted(folder: Path, seed: int, people: tuple[int, int, int]) -> Path:
    """Make a corpus and its store, and train; returns the run.

    Args:
        folder: of all; new.
        seed: of labels, rows and training.
        people: to fit on, to calibrate on, and new ones.
    """
    rng = np.random.default_rng(seed)
    names = np.repeat(["train", "validation", "test"], people)
    level = rng.uniform(size=len(names))
    size = 0.03 + 0.22 * level
    own = size[:, None] * rng.normal(size=(len(names), len(TRAITS))) * np.sqrt(0.5)
    request = make_request("signals", {"backend": "dlib"})
    store = Store(folder / "store")
    store.add(request.key, request.fingerprint)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "subject", "split", *TRAITS])
        for number, part in enumerate(names):
            for clip in range(CLIPS):
                shown = rng.normal(size=len(TRAITS))
                noise = size[number] * rng.normal(size=len(TRAITS)) * np.sqrt(0.5)
                labels = np.clip(0.5 + 0.1 * shown + own[number] + noise, 0, 1)
                name = f"p{number}-{clip}"
                writer.writerow([name, f"p{number}", part, *labels.round(4)])
                values = rng.normal(size=(ROWS, len(TRAITS) + 1)).astype(np.float32) * 0.3
                values += np.array([*shown, 3 * (level[number] - 0.5)], np.float32)
                columns = (*(f"AU{i:02d}_r" for i in range(len(TRAITS))), "gaze_angle_x")
                stream = Stream(time=np.arange(ROWS) / 5, values=values, columns=columns)
                store.record(request.key, store.write(request.key, name, stream))
    store.settle(request.key)
    ends = {name: {"low": 0, "high": 1, "direction": 1} for name in TRAITS}
    facts = {"name": "uneven", "kind": "self_reported", "targets": ends}
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))
    data = [f"data.corpus=table:{folder / 'clips.csv'}", f"data.store={store.folder}"]
    settings = [*data, f"seed={seed}", *SETTINGS]
    return train("fusion_transformer", settings, to=folder / "run")


def measured(run: Path) -> dict[str, float]:
    """Cover of new people by both kinds of intervals, and what stated variances are worth."""
    from scipy.stats import spearmanr

    checkpoint, reference = load(run), read_reference(run)
    corpus = load_corpus(checkpoint.config.data.corpus)
    clips = split(corpus, checkpoint.config.protocol).test
    examples = checkpoint.examples(clips, Store(Path(checkpoint.config.data.store)))
    made = checkpoint.estimate_examples(examples, size=256)
    assert made.variance is not None
    multiples = reference.multiples()
    assert multiples is not None
    residuals, sd = examples.labels() - made.scores, np.sqrt(made.variance)
    groups = np.asarray(cluster_numbers(clips))
    own = share_inside(residuals / sd, groups, multiples)
    same = share_inside(residuals, groups, reference.widths())
    # A quarter of the clips whose labels scatter least, and most, by what the model says.
    quarters = np.quantile(sd.mean(axis=1), (0.25, 0.75))
    ends = [sd.mean(axis=1) <= quarters[0], sd.mean(axis=1) >= quarters[1]]
    by_quarter = [
        [float(np.mean(np.abs(r[part]) <= width[part])) for part in ends]
        for r, width in (
            (residuals, multiples * sd),
            (residuals, np.broadcast_to(reference.widths(), sd.shape)),
        )
    ]
    ranks = [spearmanr(np.abs(r), s).statistic for r, s in zip(residuals.T, sd.T, strict=True)]
    return {
        "people": int(groups.max()) + 1,
        "own": float(own.mean()),
        "own_lowest": float(own.min()),
        "same": float(same.mean()),
        "own_sure": by_quarter[0][0],
        "own_unsure": by_quarter[0][1],
        "same_sure": by_quarter[1][0],
        "same_unsure": by_quarter[1][1],
        "spearman": float(np.mean(ranks)),
        "spearman_lowest": float(np.min(ranks)),
    }
