"""How far scores move when only the recording changes: a run and its clips in, shifts per step out.

Each clip is written out again with one change at a time (`distortions`), losslessly, and predicted
as any new file would be. A shift is the changed copy's score minus that of an unchanged copy, which
is itself held against the original file as a control.

**The model's own interval.** A shift matters where it exceeds what the model is anyhow uncertain
of: the half width that covers 95 % of its absolute residuals on validation (split conformal: the
ceil(.95 (n + 1))-th smallest of n). A step is *flagged* for a target where the mean absolute shift
is larger than that. A poor model has a wide interval and is flagged late: so shifts are given in
score units too, with intervals, and no flag is no certificate.
"""

import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.audit.distortions import DISTORTIONS, Distortion, Image
from traitscope.audit.person import Person
from traitscope.audit.rewriting import Change, rewrite
from traitscope.audit.scored import Scored, numbers, scored_run
from traitscope.data.protocols import cluster_numbers
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.evaluation.assessment import evaluate
from traitscope.features.extraction import Extraction
from traitscope.prediction.clips import predict_clip
from traitscope.registry import unknown
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import by_cluster, estimate
from traitscope.types import Clip, Frame, Hook

LEVEL = 0.95
CLIPS = 12
"""Clips that are perturbed: a shift is measured within a clip, so few say much."""

Scores = dict[tuple[str, float], dict[str, Array]]
"""(distortion, step) -> clip id -> scores (targets,)."""


def audit_perturbation(
    run: Path | str,
    *,
    split: str = "test",
    clips: int = CLIPS,
    only: Sequence[str] = (),
    model: str | None = None,
    seed: int = 0,
    hook: Hook | None = None,
) -> dict[str, Any]:
    """Predict clips of a split again from changed media.

    Args:
        run: folder of a trained and evaluated run.
        split: which clips.
        clips: how many; different sources and people first.
        only: names of DISTORTIONS; all by default.
        model: the dotted path of an outside model the run was trained with.
        seed: chooses the clips.
        hook: called as hook(done, total, name).

    Returns:
        ``half_widths``: target -> the model's own 95 % half width; ``control``: shift of the
        unchanged copies; ``perturbations``: per distortion its steps, each with ``n``,
        ``failed`` and ``shifts``: target -> mean, low, high, absolute, share beyond the half
        width, flagged; ``flagged``: (perturbation, step, target) in words.

    Raises:
        DataError: the run was not evaluated on that split, or no media of it is there.
    """
    chosen = _chosen(only)
    checkpoint = load(run, model=model)
    scored = scored_run(run, split=split)
    widths, said = half_widths(checkpoint, scored, model=model)
    sample = _sample(scored, clips, seed)
    fitting = {name: d for name, d in chosen.items() if _concerns(checkpoint, d)}
    skipped = sorted(set(chosen) - set(fitting))
    found = _measure(checkpoint, sample, fitting, hook)
    result = scored.head("perturbation") | {
        "clips": len(found.scores[_CONTROL]),
        "clusters": len(set(cluster_numbers(sample).tolist())),
        "level": LEVEL,
        "half_widths": widths,
        **_shifts(sample, fitting, found, [t.name for t in checkpoint.facts.targets], widths),
    }
    notes = [said, *_notes(checkpoint, skipped)]
    return dict(numbers(result | {"flagged": _flagged(result), "notes": notes}))


@dataclass(frozen=True)
class _Found:
    """Scores of the originals and of every copy, and why some copies have none."""

    originals: dict[str, Array]
    scores: Scores
    failures: dict[tuple[str, float], list[dict[str, str]]]


def _shifts(
    sample: Sequence[Clip],
    fitting: Mapping[str, Distortion],
    found: _Found,
    names: Sequence[str],
    widths: Mapping[str, float],
) -> dict[str, Any]:
    """The control, and the steps of every distortion."""
    spans = np.asarray([widths[name] for name in names])
    references = found.scores[_CONTROL]
    return {
        "control": _step(sample, found.originals, references, names, spans),
        "perturbations": [
            {
                "name": name,
                "about": distortion.about,
                "unit": distortion.unit,
                "neutral": distortion.neutral,
                "steps": [
                    {"value": step, "failed": found.failures[name, step]}
                    | _step(sample, references, found.scores[name, step], names, spans)
                    for step in distortion.steps
                ],
            }
            for name, distortion in fitting.items()
        ],
    }


def half_widths(
    checkpoint: Checkpoint, scored: Scored, *, model: str | None = None
) -> tuple[dict[str, float], str]:
    """The half width that covers 95 % of a run's residuals on validation, per target.

    Validation is evaluated if that was not done yet; a run without validation clips falls back on
    the split that is audited.

    Returns:
        Target -> half width, and a sentence on where it comes from.
    """
    try:
        if not (checkpoint.folder / "evaluation" / "validation" / "predictions.csv").is_file():
            evaluate(checkpoint.folder, split="validation", model=model)
        held_out, where = scored_run(checkpoint.folder, split="validation"), "validation"
    except DataError as error:
        held_out, where = scored, f"{scored.split}, since validation cannot be used ({error})"
    residual = np.abs(held_out.predicted - held_out.labels)
    widths = {name: _covering(residual[:, i]) for i, name in enumerate(held_out.names)}
    few = ceil(LEVEL * (len(residual) + 1)) > len(residual)
    counted = f"{len(residual)} clips" + (f", too few for {LEVEL:.0%}: the largest" if few else "")
    return widths, (
        f"The model's own interval is ± the half width that covers {LEVEL:.0%} of its residuals on "
        f"{where} ({counted}); a run selected on validation is a little too sure there."
    )


def _covering(residual: Array) -> float:
    there = np.sort(residual[np.isfinite(residual)])
    if not len(there):
        return float("nan")
    return float(there[min(len(there), ceil(LEVEL * (len(there) + 1))) - 1])


_CONTROL = ("unchanged copy", 0.0)


def _chosen(only: Sequence[str]) -> dict[str, Distortion]:
    for name in only:
        if name not in DISTORTIONS:
            raise ConfigError(unknown(name, list(DISTORTIONS), "perturbations"))
    return {name: d for name, d in DISTORTIONS.items() if not only or name in only}


def _concerns(checkpoint: Checkpoint, distortion: Distortion) -> bool:
    """Whether the run looks at, or listens to, what is changed."""
    needs = {need for r in _all_requests(checkpoint) for need in r.needs}
    sees, hears = bool(needs & {"frames", "tracks"}), "audio" in needs
    return {"picture": sees, "sound": hears, "file": sees or hears}[distortion.of]


def _all_requests(checkpoint: Checkpoint) -> Iterator[Any]:
    waiting = list(checkpoint.facts.requests.values())
    while waiting:
        request = waiting.pop()
        yield request
        waiting += request.upstream


def _sample(scored: Scored, count: int, seed: int) -> list[Clip]:
    """Clips with media, in random order, one of each source or person before any second one."""
    there = [c for c in scored.clips if c.path is not None and c.path.exists()]
    if not there:
        raise DataError(
            f"None of the {len(scored.clips)} clips of {scored.split!r} has its media here, and "
            f"the perturbation audit predicts from media. Give the folder of the media."
        )
    shuffled = [there[i] for i in np.random.default_rng(seed).permutation(len(there))]
    rounds: dict[int, int] = {}
    ranked = []
    for place, group in enumerate(cluster_numbers(shuffled).tolist()):
        rounds[group] = rounds.get(group, 0) + 1
        ranked.append((rounds[group], place))
    return [shuffled[place] for _, place in sorted(ranked)[:count]]


def _measure(
    checkpoint: Checkpoint, sample: Sequence[Clip], fitting: Mapping[str, Distortion], hook: Any
) -> _Found:
    """Score originals, unchanged copies and every changed copy, clip by clip."""
    jobs = [(name, step) for name, d in fitting.items() for step in d.steps]
    originals: dict[str, Array] = {}
    scores: Scores = {key: {} for key in (_CONTROL, *jobs)}
    failures: dict[tuple[str, float], list[dict[str, str]]] = {key: [] for key in scores}
    total, done = len(sample) * (len(jobs) + 1), 0
    with Extraction() as extraction:
        for clip in sample:
            found = _score(checkpoint, clip, extraction)
            if isinstance(found, str):  # cannot be scored as it is: nothing to compare with
                done += len(jobs) + 1
                continue
            originals[clip.id] = found
            person = Person(clip, checkpoint.backend or "haar")
            for key in (_CONTROL, *jobs):
                if hook:
                    hook(done, total, f"{clip.id}: {key[0]}")
                change = _change(clip, fitting.get(key[0]), key[1], person)
                found = _score_changed(checkpoint, clip, change, extraction)
                if isinstance(found, str):
                    failures[key].append({"clip": clip.id, "reason": found})
                else:
                    scores[key][clip.id] = found
                done += 1
    if hook:
        hook(total, total, "")
    if not scores[_CONTROL]:
        raise DataError(f"None of the {len(sample)} chosen clips can be scored from its media.")
    return _Found(originals, scores, failures)


def _score(checkpoint: Checkpoint, clip: Clip, extraction: Extraction) -> Array | str:
    """Scores (targets,) of a clip, or why there are none; trackers stay open between clips."""
    prediction = predict_clip(checkpoint, clip, extraction=extraction)
    if prediction.status != "ok":
        return prediction.reason
    return np.array([prediction.scores[t.name] for t in checkpoint.facts.targets])


def _score_changed(
    checkpoint: Checkpoint, clip: Clip, change: Change, extraction: Extraction
) -> Array | str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            copy = rewrite(clip, Path(folder, "copy.mov"), change)
        except ClipError as error:
            return str(error)
        return _score(checkpoint, copy, extraction)


def _change(clip: Clip, distortion: Distortion | None, step: float, person: Person) -> Change:
    """One step of one distortion of one clip; None stands for no change."""
    if distortion is None:
        return Change()
    if distortion.of == "file":
        return Change(crf=int(step))
    if distortion.sound is not None:
        sound, name = distortion.sound, clip.id.encode("utf-8", "surrogatepass")
        rng = np.random.default_rng(zlib.crc32(name))  # the same noise for every step of a clip
        return Change(sound=lambda samples: sound(samples, step, rng))
    return Change(picture=partial(_picture, distortion, step, person))


def _picture(distortion: Distortion, step: float, person: Person, frame: Frame) -> Image:
    assert distortion.picture is not None
    return distortion.picture(frame.image, step, person.mask(frame) if distortion.masked else None)


def _step(
    sample: Sequence[Clip],
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    names: Sequence[str],
    spans: Array,
) -> dict[str, Any]:
    """Shifts of one step over the clips that were scored before and after."""
    both = [clip for clip in sample if clip.id in before and clip.id in after]
    if not both:
        return {"n": 0, "shifts": {}}
    shift = np.stack([after[clip.id] - before[clip.id] for clip in both])
    sums = by_cluster(np.column_stack([np.ones(len(both)), shift]), cluster_numbers(both))
    mean = estimate(sums, lambda s: s[..., 1:] / s[..., :1])
    absolute = np.abs(shift)
    return {
        "n": len(both),
        "shifts": {
            name: {
                "mean": mean.value[i],
                "low": mean.low[i],
                "high": mean.high[i],
                "absolute": absolute[:, i].mean(),
                "largest": absolute[:, i].max(),
                "share": (absolute[:, i] > spans[i]).mean(),
                "flagged": bool(absolute[:, i].mean() > spans[i]),
            }
            for i, name in enumerate(names)
        },
    }


def _flagged(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "perturbation": entry["name"],
            "step": step["value"],
            "unit": entry["unit"],
            "target": name,
            "absolute": shift["absolute"],
            "half_width": result["half_widths"][name],
        }
        for entry in result["perturbations"]
        for step in entry["steps"]
        for name, shift in step["shifts"].items()
        if shift["flagged"]
    ]


def _notes(checkpoint: Checkpoint, skipped: Sequence[str]) -> list[str]:
    notes = [
        "A step is flagged where the mean absolute shift exceeds that half width. A poor model has "
        "a wide interval and is flagged late: no flag is no certificate."
    ]
    if skipped:
        streams = ", ".join(checkpoint.facts.requests)
        notes.append(
            f"Not tried, because the run reads only {streams}, which it does not touch: "
            f"{', '.join(skipped)}."
        )
    return notes
