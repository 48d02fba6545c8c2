"""What there is to know about a corpus before using it: Corpus -> counts, as JSON values."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from traitscope.types import SPLITS, Clip, Corpus, Target


def describe(corpus: Corpus) -> dict[str, Any]:
    """Count clips, labels and media of a corpus, per split and shared between splits."""
    splits = {
        name: clips
        for name in (*SPLITS, None)
        if (clips := [clip for clip in corpus.clips if clip.split == name])
    }
    missing = [clip.id for clip in corpus.clips if clip.path is None or not clip.path.exists()]
    return {
        "name": corpus.name,
        "kind": corpus.kind,
        "notes": list(corpus.notes),
        "clips": len(corpus.clips),
        "missing_media": {"count": len(missing), "first": missing[:10]},
        "splits": {str(name or "no split"): _counts(clips) for name, clips in splits.items()},
        "shared": {
            f"{one} and {other}": _shared(splits[one], splits[other])
            for one, other in combinations([name for name in splits if name], 2)
        },
        "targets": [
            {
                "name": target.name,
                "label": target.label,
                "low": target.low,
                "high": target.high,
                "direction": target.direction,
                "splits": {
                    str(name or "no split"): _statistics(clips, target)
                    for name, clips in splits.items()
                },
            }
            for target in corpus.targets
        ],
        "attributes": _attributes(corpus.clips),
    }


def _counts(clips: Sequence[Clip]) -> dict[str, int]:
    return {
        "clips": len(clips),
        "sources": len({clip.source for clip in clips}),
        "subjects": len({clip.subject for clip in clips} - {None}),
        "transcripts": sum(clip.transcript is not None for clip in clips),
    }


def _shared(one: Sequence[Clip], other: Sequence[Clip]) -> dict[str, int]:
    subjects = {clip.subject for clip in one} & {clip.subject for clip in other}
    return {
        "sources": len({clip.source for clip in one} & {clip.source for clip in other}),
        "subjects": len(subjects - {None}),
    }


def _statistics(clips: Sequence[Clip], target: Target) -> dict[str, Any]:
    """Count, mean and sd (of the population) of a target; null without labels."""
    labels = [clip.targets[target.name] for clip in clips if target.name in clip.targets]
    return {
        "labels": len(labels),
        "mean": float(np.mean(labels)) if labels else None,
        "sd": float(np.std(labels)) if labels else None,
    }


def _attributes(clips: Sequence[Clip]) -> dict[str, int]:
    """How many clips have each attribute."""
    names = sorted({name for clip in clips for name in clip.attributes})
    return {name: sum(name in clip.attributes for clip in clips) for name in names}
