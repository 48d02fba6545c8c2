"""How far scores move when only the recording changes: a run and its clips in, shifts per step out.

Each clip is written out again with one change at a time (`distortions`), losslessly, and predicted
as any new file would be. A shift is the changed copy's score minus that of an unchanged copy, which
is itself held against the original file as a control.

**What a shift is held against** (`shifts`). The model's own interval: the half width that covers
95 % of its absolute residuals on validation (split conformal: the ceil(.95 (n + 1))-th smallest of
n). The sd of its predictions over the whole split: what it knows of people at all. And the order
of the clips before and after. A step is *flagged* for a target where the mean absolute shift
exceeds the first, or half the second, or the order is lost. No flag is no certificate.
"""

import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.audit.distortions import DISTORTIONS, Distortion, Image
from traitscope.audit.findings import Flag, Lost, Moved, Perturbation, Perturbed, Step
from traitscope.audit.person import Person
from traitscope.audit.rewriting import Change, rewrite
from traitscope.audit.scored import Scored, scored_run
from traitscope.audit.shifts import LEAST_ORDER, MOST_SPREAD, Yardsticks, measure_shifts
from traitscope.data.protocols import cluster_numbers
from traitscope.errors import ClipError, ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.extraction import Extraction
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.prediction.clips import predict_clip
from traitscope.prediction.series import extracted, first_stage_of
from traitscope.registry import unknown
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.statistics.metrics import Array
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
    streams: Iterable[str] = (),
    labels: str | None = None,
    seed: int = 0,
    hook: Hook | None = None,
    limits: Limits = DEFAULTS,
) -> Perturbation:
    """Predict clips of a split again from changed media.

    Args:
        run: folder of a trained and evaluated run.
        split: which clips.
        clips: how many; different sources and people first.
        only: names of DISTORTIONS; all by default.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        labels: address of its corpus, needed where a module from outside reads it.
        seed: chooses the clips.
        hook: called as hook(done, total, name).
        limits: of what one clip may take; a clip beyond is not perturbed.

    Returns:
        The control, and the steps of each distortion with their shifts and flags.

    Raises:
        DataError: the run was not evaluated on that split, or no media of it is there.
    """
    chosen = _chosen(only)
    checkpoint = load(run, model=model, streams=streams)
    scored = scored_run(run, split=split, labels=labels)
    named: dict[str, Any] = {"model": model, "streams": streams, "labels": labels}
    widths, origin = half_widths(checkpoint, scored, **named)
    sample = _sample(scored, clips, seed)
    fitting = {name: d for name, d in chosen.items() if _concerns(checkpoint, d)}
    skipped = sorted(set(chosen) - set(fitting))
    measured = _measure(checkpoint, sample, fitting, hook, limits)
    names = [target.name for target in checkpoint.facts.targets]
    yardsticks = _yardsticks(scored, names, widths)
    steps = _steps(sample, fitting, measured, names, yardsticks)
    return Perturbation(
        **scored.head()
        | {
            "clips": len(measured.scores[_CONTROL]),
            "clusters": len(set(cluster_numbers(sample).tolist())),
        },
        level=LEVEL,
        half_widths=widths,
        spreads=dict(zip(names, map(float, yardsticks.spreads), strict=True)),
        control=_moved(sample, measured.originals, measured.scores[_CONTROL], names, yardsticks),
        perturbations=steps,
        flagged=tuple(_flagged(steps, widths)),
        notes=(origin, *_notes(checkpoint, skipped)),
    )


@dataclass(frozen=True)
class _Measured:
    """Scores of the originals and of every copy, and why some copies have none."""

    originals: dict[str, Array]
    scores: Scores
    failures: dict[tuple[str, float], list[Lost]]


def _yardsticks(scored: Scored, names: Sequence[str], widths: Mapping[str, float]) -> Yardsticks:
    places = [scored.names.index(name) for name in names]
    return Yardsticks(np.asarray([widths[name] for name in names]), scored.predicted[:, places])


def _steps(
    sample: Sequence[Clip],
    fitting: Mapping[str, Distortion],
    measured: _Measured,
    names: Sequence[str],
    yardsticks: Yardsticks,
) -> tuple[Perturbed, ...]:
    """The steps of every distortion, held against the unchanged copies."""
    references = measured.scores[_CONTROL]

    def step(name: str, value: float) -> Step:
        moved = _moved(sample, references, measured.scores[name, value], names, yardsticks)
        lost = tuple(measured.failures[name, value])
        return Step(value=value, failed=lost, n=moved.n, shifts=moved.shifts)

    return tuple(
        Perturbed(
            name=name,
            about=distortion.about,
            unit=distortion.unit,
            neutral=distortion.neutral,
            steps=tuple(step(name, value) for value in distortion.steps),
        )
        for name, distortion in fitting.items()
    )


def half_widths(
    checkpoint: Checkpoint,
    scored: Scored,
    *,
    model: str | None = None,
    streams: Iterable[str] = (),
    labels: str | None = None,
) -> tuple[dict[str, float], str]:
    """The half width that covers 95 % of a run's residuals on validation, per target.

    Validation is evaluated if that was not done yet; a run without validation clips falls back on
    the split that is audited.

    Returns:
        Target -> half width, and a sentence on where it comes from.
    """
    try:
        if not (checkpoint.folder / "evaluation" / "validation" / "predictions.csv").is_file():
            named: dict[str, Any] = {"model": model, "streams": streams, "corpus": labels}
            evaluate(checkpoint.folder, split="validation", **named)
        held_out = scored_run(checkpoint.folder, split="validation", labels=labels)
        where = "validation"
    except DataError as error:
        held_out, where = scored, f"{scored.split}, since validation cannot be used ({error})"
    residual = np.abs(held_out.predicted - held_out.labels)
    widths = {name: _covering(residual[:, i]) for i, name in enumerate(held_out.names)}
    # Below 19 clips the rank lies beyond the last residual, and no half width covers 95 %.
    few = ceil(LEVEL * (len(residual) + 1)) > len(residual)
    counted = f"{len(residual)} clips" + (f", too few for {LEVEL:.0%}: the largest" if few else "")
    return widths, (
        f"The model's own interval is ± the half width that covers {LEVEL:.0%} of its residuals on "
        f"{where} ({counted}); a run selected on validation is a little too sure there."
    )


def _covering(residual: Array) -> float:
    known = np.sort(residual[np.isfinite(residual)])
    if not len(known):
        return float("nan")
    # One more than there are: the clip to come is ranked among the known ones.
    return float(known[min(len(known), ceil(LEVEL * (len(known) + 1))) - 1])


# Written and read again like every changed copy: what that alone does is no shift of the change.
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
    # A change may reach the run only through a stream that another of its streams is made of, or
    # through the pictures that its first stage scores.
    wanted = extracted(checkpoint.facts.requests, first_stage_of(checkpoint))
    waiting = list(wanted.values())
    while waiting:
        request = waiting.pop()
        yield request
        waiting += request.upstream


def _sample(scored: Scored, count: int, seed: int) -> list[Clip]:
    """Clips with media, in random order, one of each source or person before any second one."""
    playable = [c for c in scored.clips if c.path is not None and c.path.exists()]
    if not playable:
        raise DataError(
            f"None of the {len(scored.clips)} clips of {scored.split!r} has its media here, and "
            f"the perturbation audit predicts from media. Give the folder of the media."
        )
    order = np.random.default_rng(seed).permutation(len(playable))
    shuffled = [playable[i] for i in order]
    # Persons of the shuffled clips  a a b a c b  ->  rounds  1 2 1 3 1 2  ->  a b c | a b | a
    rounds: dict[int, int] = {}
    ranked = []
    for place, group in enumerate(cluster_numbers(shuffled).tolist()):
        rounds[group] = rounds.get(group, 0) + 1
        ranked.append((rounds[group], place))
    return [shuffled[place] for _, place in sorted(ranked)[:count]]


def _measure(
    checkpoint: Checkpoint,
    sample: Sequence[Clip],
    fitting: Mapping[str, Distortion],
    hook: Any,
    limits: Limits,
) -> _Measured:
    """Score originals, unchanged copies and every changed copy, clip by clip."""
    jobs = [(name, step) for name, d in fitting.items() for step in d.steps]
    originals: dict[str, Array] = {}
    scores: Scores = {key: {} for key in (_CONTROL, *jobs)}
    failures: dict[tuple[str, float], list[Lost]] = {key: [] for key in scores}
    total, done = len(sample) * (len(jobs) + 1), 0
    with Extraction(limits) as extraction:
        for clip in sample:
            scored = _score(checkpoint, clip, extraction)
            if isinstance(scored, str):  # cannot be scored as it is: nothing to compare with
                done += len(jobs) + 1
                continue
            originals[clip.id] = scored
            # A run without faces names no tracker; Haar's file comes with OpenCV.
            person = Person(clip, checkpoint.backend or "haar", limits)
            for key in (_CONTROL, *jobs):
                if hook:
                    hook(done, total, f"{clip.id}: {key[0]}")
                change = _change(clip, fitting.get(key[0]), key[1], person)
                scored = _score_changed(checkpoint, clip, change, extraction)
                if isinstance(scored, str):
                    failures[key].append(Lost(clip=clip.id, reason=scored))
                else:
                    scores[key][clip.id] = scored
                done += 1
    if hook:
        hook(total, total, "")
    if not scores[_CONTROL]:
        raise DataError(f"None of the {len(sample)} chosen clips can be scored from its media.")
    return _Measured(originals, scores, failures)


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
            copy = rewrite(clip, Path(folder, "copy.mov"), change, extraction.limits)
        except ClipError as error:
            # A lost copy, such as a crop without a face, is a finding: it is counted.
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


def _moved(
    sample: Sequence[Clip],
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    names: Sequence[str],
    yardsticks: Yardsticks,
) -> Moved:
    """Shifts over the clips that were scored before and after."""
    both = [clip for clip in sample if clip.id in before and clip.id in after]
    if not both:
        return Moved(n=0, shifts={})
    shifts = measure_shifts(
        np.stack([before[clip.id] for clip in both]),
        np.stack([after[clip.id] for clip in both]),
        cluster_numbers(both),
        names=names,
        yardsticks=yardsticks,
    )
    return Moved(n=len(both), shifts=shifts)


def _flagged(
    perturbations: Sequence[Perturbed], half_widths: Mapping[str, float]
) -> Iterator[Flag]:
    for entry, step in ((each, step) for each in perturbations for step in each.steps):
        for name, shift in step.shifts.items():
            if shift.flagged:
                yield Flag(
                    perturbation=entry.name,
                    step=step.value,
                    unit=entry.unit,
                    target=name,
                    absolute=shift.absolute,
                    half_width=half_widths[name],
                    reasons=shift.reasons,
                )


def _notes(checkpoint: Checkpoint, skipped: Sequence[str]) -> list[str]:
    notes = [
        f"A step is flagged where the mean absolute shift exceeds that half width, or "
        f"{MOST_SPREAD:g} sd of the predictions of all clips of the split, or where the rank "
        f"correlation of the scores before and after is below {LEAST_ORDER:g}. Giving every clip "
        f"another clip's score moves it by 1.13 sd and 33 of 100 places. A poor model has a wide "
        f"interval, and predictions that hardly differ between people: small shifts are many sds "
        f"then. No flag is no certificate."
    ]
    if skipped:
        streams = ", ".join(checkpoint.facts.requests)
        notes.append(
            f"Not tried, because the run reads only {streams}, which it does not touch: "
            f"{', '.join(skipped)}."
        )
    return notes
