"""Reports of made-up systems, shaped like those of ``evaluate``, for tests and benchmarks."""

from typing import Any

import numpy as np

from traitscope.types import TRAITS

METRICS = ("accuracy", "skill", "mae", "mse", "rmse", "r2", "pearson", "ccc", "spearman", "cosine")
LABELS = {"neuroticism": "neuroticism (high = stable)"}


def make_report(
    name: str = "runs/a",
    *,
    corpus: str = "first_impressions:fi",
    clips: int = 120,
    seed: int = 0,
    strength: float = 0.5,
    run: bool = True,
) -> dict[str, Any]:
    """One report with points, five traits, all baselines, two parts and three failures."""
    rng = np.random.default_rng(7)
    true = np.clip(0.53 + 0.15 * rng.standard_normal((clips, 5)), 0, 1)
    noise = np.random.default_rng(seed + 100).standard_normal((clips, 5))
    predicted = 0.53 + strength * (true - 0.53) + 0.05 * noise
    ids = [f"clip{i:05d}.{i % 5:03d}" for i in range(clips)]
    systems = _systems(name, true, predicted, rng)
    disjoint = np.arange(clips) % 4 == 0
    return {
        "schema": 1,
        "name": name,
        "created": "2025-03-04T05:06:07",
        "corpus": {
            "name": corpus,
            "kind": "apparent",
            "targets": [_target(trait) for trait in TRAITS],
            "notes": ["CC BY-NC 4.0; registration with ChaLearn.", "No decisions about people."],
        },
        "protocol": {"kind": "official", "fit": "train"},
        "split": "test",
        "fit": ["train"],
        "counts": {
            "clips": clips + 3,
            "scored": clips,
            "failed": 3,
            "sources": clips // 5 + 1,
            "subjects": None,
            "fitted_clips": 6000,
        },
        "failures": [
            {"clip": "dark.001", "status": "no_face", "reason": "No face in 75 sampled frames."},
            {"clip": "mute.004", "status": "no_audio", "reason": "The file has no audio stream."},
            {"clip": "cut.002", "status": "undecodable", "reason": "Unexpected end of file."},
        ],
        "parts": {
            "all": _part("All scored clips", systems, true, np.ones(clips, dtype=bool)),
            "source_disjoint": _part("Source-disjoint part", systems, true, disjoint),
        },
        "warnings": ["1201 sources occur in both train and test of the official split."],
        "points": {
            "clip": ids,
            "source": [clip[:9] for clip in ids],
            "true": _columns(true),
            "predicted": _columns(predicted),
        },
        "run": _run(seed) if run else {},
    }


def make_history(epochs: int = 20, seed: int = 0) -> list[dict[str, float]]:
    """Losses that fall and a concordance that rises."""
    rng = np.random.default_rng(seed)
    return [
        {
            "epoch": epoch,
            "train_loss": 0.02 + 0.05 * 0.8**epoch,
            "validation_loss": 0.025 + 0.04 * 0.85**epoch + 0.001 * float(rng.standard_normal()),
            "validation_ccc": 0.5 - 0.5 * 0.8**epoch,
        }
        for epoch in range(epochs)
    ]


def _target(trait: str) -> dict[str, Any]:
    direction = -1 if trait == "neuroticism" else 1
    label = LABELS.get(trait, trait)
    return {"name": trait, "label": label, "low": 0.0, "high": 1.0, "direction": direction}


def _systems(name: str, true: Any, predicted: Any, rng: Any) -> list[tuple[str, str, Any]]:
    lookup = true + 0.12 * rng.standard_normal(true.shape)
    return [
        (name, "model", predicted),
        (name, "constant", np.full_like(true, 0.525)),
        (name, "lookup", lookup),
        (name, "lookup_shrunk", 0.53 + 0.5 * (lookup - 0.53)),
        (name, "metadata", 0.53 + 0.02 * rng.standard_normal(true.shape)),
        (name, "permuted", true[rng.permutation(len(true))]),
    ]


def _part(title: str, systems: Any, true: Any, keep: Any) -> dict[str, Any]:
    rows = [
        {"name": name, "role": role, "metrics": _metrics(true[keep], scores[keep])}
        for name, role, scores in systems
    ]
    clips = int(keep.sum())
    return {"title": title, "clips": clips, "sources": clips // 4 + 1, "rows": rows}


def _metrics(true: Any, scores: Any) -> dict[str, Any]:
    table: dict[str, Any] = {metric: {} for metric in METRICS}
    for i, trait in enumerate(TRAITS):
        for metric, value in _scores(true[:, i], scores[:, i]).items():
            table[metric][trait] = _entry(value, len(true))
    for metric in METRICS:
        values = [table[metric][trait]["value"] for trait in TRAITS]
        known = None if None in values else float(np.mean(values))
        table[metric]["macro"] = _entry(known, len(true))
    return table


def _scores(t: Any, p: Any) -> dict[str, float | None]:
    mae, mse = float(np.abs(p - t).mean()), float(((p - t) ** 2).mean())
    flat = float(p.std()) < 1e-9
    pearson = None if flat else float(np.corrcoef(t, p)[0, 1])
    ccc = (
        2 * float(np.cov(t, p, bias=True)[0, 1]) / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
    )
    return {
        "accuracy": 1 - mae,
        "skill": 1 - mae / float(np.abs(t - 0.525).mean()),
        "mae": mae,
        "mse": mse,
        "rmse": mse**0.5,
        "r2": 1 - mse / float(t.var()),
        "pearson": pearson,
        "ccc": float(ccc),
        "spearman": pearson,
        "cosine": float(t @ p / np.sqrt((t @ t) * (p @ p))),
    }


def _entry(value: float | None, clips: int) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": "the predictions are constant"}
    half = 0.3 / clips**0.5 * (0.1 if value > 0.8 else 0.5)
    return {"value": value, "low": value - half, "high": value + half, "reason": ""}


def _columns(values: Any) -> dict[str, list[float]]:
    return {trait: values[:, i].round(6).tolist() for i, trait in enumerate(TRAITS)}


def _run(seed: int) -> dict[str, Any]:
    return {
        "model": {"name": "audio_lstm", "hidden": 64},
        "seed": seed,
        "streams": ["faces", "short_term"],
        "coverage": {"faces": 0.974, "short_term": 1.0},
        "parameters": 1234567,
        "backend": "dlib",
    }
