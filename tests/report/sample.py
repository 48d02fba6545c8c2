"""Reports of made-up systems, as ``report.json`` holds them, for tests and benchmarks."""

from typing import Any

import numpy as np

from traitscope.audit.gaps import MEASURES
from traitscope.evaluation.report import SCHEMA, Report, from_json
from traitscope.types import TRAITS

METRICS = ("accuracy", "skill", "mae", "mse", "rmse", "r2", "pearson", "ccc", "spearman", "cosine")
DRAWN = {"constant", "lookup"}
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
    """One report with points, five traits, all baselines, two parts and three failures.

    JSON values, to be changed by a test and then read with ``read``.
    """
    rng = np.random.default_rng(7)
    true = np.clip(0.53 + 0.15 * rng.standard_normal((clips, 5)), 0, 1)
    noise = np.random.default_rng(seed + 100).standard_normal((clips, 5))
    predicted = 0.53 + strength * (true - 0.53) + 0.05 * noise
    ids = [f"clip{i:05d}.{i % 5:03d}" for i in range(clips)]
    systems = _systems(name, true, predicted, rng)
    disjoint = np.arange(clips) % 4 == 0
    return {
        **_head(name, corpus, clips),
        "parts": {
            "all": _part("All scored clips", systems, true, np.ones(clips, dtype=bool)),
            "source_disjoint": _part("Source-disjoint part", systems, true, disjoint),
        },
        "verdicts": [
            {
                "kind": "better",
                "part": "source_disjoint",
                "targets": [],
                "against": "constant",
                "text": f"On sources never seen in fitting, {name} is better than every baseline.",
            }
        ],
        "ceiling": {"targets": [], "text": "Unknown: no ratings of single raters."},
        "halo": None,
        "warnings": ["1201 sources occur in both train and test of the official split."],
        "points": {
            "clip": ids,
            "source": [clip[:9] for clip in ids],
            "true": _columns(true),
            "predicted": _columns(predicted),
            "baselines": {role: _columns(v) for _, role, v in systems if role in DRAWN},
        },
        "run": _run(seed) if run else {},
    }


def read(tree: dict[str, Any]) -> Report:
    """Read a report as from a file."""
    return from_json(tree, where="the sample")


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


def make_audits(name: str = "runs/a", *, clips: int = 120) -> list[dict[str, Any]]:
    """One audit of each kind, shaped like those of ``traitscope audit``."""
    head = {"schema": 2, "name": name, "corpus": "first_impressions:fi", "kind": "apparent"}
    head |= {"split": "test", "clips": clips, "clusters": clips // 5, "lost": 3, "created": ""}
    head |= {"targets": [{k: _target(t)[k] for k in ("name", "label")} for t in TRAITS]}
    head |= {"notes": ["An interval that covers 0 does not show that there is no bias."]}
    coverage = {"target": "openness", "kind": "sd", "nominal": 0.9, "clips": clips}
    between = {f"mean_{side}": _cell(0.3) for side in ("labels", "predictions", "difference")}
    between |= {"clips": clips, "labels": np.eye(5).tolist(), "predictions": np.eye(5).tolist()}
    leaks = ("clips from a fitted source", "clips of a fitted subject")
    return [
        {
            **head,
            "audit": "fairness",
            "minimum": 20,
            "attributes": {},
            "tests": 5,
            "groups": _groups(),
        },
        {
            **head,
            "audit": "calibration",
            "cells": {t: dict.fromkeys(CALIBRATION, _cell(0.6)) for t in TRAITS},
            "between": between,
            "coverage": [{**coverage, "mean_width": 0.4, "coverage": _cell(0.87)}],
        },
        {
            **head,
            "audit": "leakage",
            "fitted_clips": 6000,
            "findings": [
                {"kind": k, "clips": 60, "shared": ["x"], "shared_count": 9} for k in leaks
            ],
            "sentences": ["9 sources occur on both sides."],
        },
        {
            **head,
            "audit": "perturbation",
            "half_widths": dict.fromkeys(TRAITS, 0.2),
            "spreads": dict.fromkeys(TRAITS, 0.5),
            "control": {key: _step(0.0, 0.0)[key] for key in ("n", "shifts")},
            "perturbations": [
                {
                    "name": "brightness",
                    "about": "exposure",
                    "unit": "stops",
                    "neutral": 0.0,
                    "steps": [_step(value, 0.3 * value) for value in (-1.0, -0.5, 0.5, 1.0)],
                }
            ],
            "flagged": [
                {"perturbation": "brightness", "step": 1.0, "unit": "stops", "target": "openness"}
                | {"absolute": 0.3, "half_width": 0.2, "reasons": ["interval", "spread"]}
            ],
        },
    ]


CALIBRATION = ("label_slope", "label_intercept", "bias", "slope", "intercept", "label_sd")
CALIBRATION += ("prediction_sd", "sd_ratio", "correlation")


def _cell(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def _head(name: str, corpus: str, clips: int) -> dict[str, Any]:
    """What was scored on what, and what could not be."""
    return {
        "schema": SCHEMA,
        "name": name,
        "created": "2025-03-04T05:06:07",
        "corpus": {
            "name": corpus,
            "kind": "apparent",
            "targets": [_target(trait) for trait in TRAITS],
            "notes": ["CC BY-NC 4.0; registration with ChaLearn.", "No decisions about people."],
            "address": corpus,
        },
        "predicted": None,
        "protocol": {"kind": "official", "fit": "train"},
        "scoring": {"aggregate": "clip"},
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
    }


def _groups() -> list[dict[str, Any]]:
    def group(value: str, gap: float, p: float) -> dict[str, Any]:
        cells = {measure: _cell(gap) for measure in MEASURES}
        cells["label_gap"], cells["residual_gap"] = _cell(gap / 3), _cell(2 * gap / 3)
        cells["beyond"] = {"value": gap, "low": None, "high": None, "p": p, "p_holm": p}
        inside = dict.fromkeys(TRAITS, cells)
        return {"attribute": "gender", "value": value, "clips": 60, "clusters": 9, "cells": inside}

    small = {"attribute": "gender", "value": "x", "clips": 3, "clusters": 1}
    few = {**small, "reason": "fewer than 20 clips"}
    return [group("female", 0.15, 0.001), group("male", -0.15, 0.2), few]


def _step(value: float, shift: float) -> dict[str, Any]:
    ends = {"mean": shift, "low": shift - 0.02, "high": shift + 0.02}
    facts = {"absolute": abs(shift), "largest": abs(shift), "share": 0.5}
    facts |= {"relative": abs(shift) / 0.5, "places": 20 * abs(shift), "order": 1.0}
    flagged = abs(shift) > 0.2
    facts |= {"reasons": ["interval", "spread"] if flagged else [], "flagged": flagged}
    shifts = {trait: {**ends, **facts} for trait in TRAITS}
    lost = [{"clip": "dark.001", "reason": "no face"}] if value == 1.0 else []
    return {"value": value, "n": 12 - len(lost), "failed": lost, "shifts": shifts}


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
        {"name": name, "role": role, "metrics": _metrics(true[keep], scores[keep]), "pooled": {}}
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
