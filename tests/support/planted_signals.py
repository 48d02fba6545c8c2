"""A store of signals whose mean or sd carries what the synthetic corpus plants, without videos."""

from pathlib import Path

import numpy as np

from traitscope.corpora.synthetic._behaviours import BEHAVIOURS, plan
from traitscope.extract.signals import COLUMNS, SIGNALS
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.types import TRAITS, Clip, Corpus, Stream, Target

PLANTED = {
    ("AU12_r", "mean"): "smile",
    ("AU25_r", "mean"): "mouth",
    ("AU26_r", "mean"): "mouth",
    ("AU45_r", "mean"): "blink",
    ("AU01_r", "mean"): "brow",
    ("AU02_r", "mean"): "brow",
    ("gaze_angle_x", "sd"): "gaze",
    ("pose_Ry", "sd"): "turn",
    ("pose_Rx", "sd"): "nod",
    ("pose_Rx", "mean"): "bow",
    ("pose_Rz", "mean"): "tilt",
}
"""(signal, statistic) -> the behaviour that it shows."""

TARGETS = tuple(Target(t, 0.0, 1.0, -1 if t == "neuroticism" else 1) for t in TRAITS)
ROWS = 12


def pairs() -> set[tuple[str, str, str]]:
    """(signal, statistic, target) of every planted pair."""
    return {
        (*place, trait) for place, name in PLANTED.items() for trait in BEHAVIOURS[name].weights
    }


def make(
    folder: Path, *, seed: int, subjects: int = 32, noise: float = 0.5
) -> tuple[Corpus, Store]:
    """Two sources per subject, two clips per source; noise has subject effects too."""
    planned = plan(subjects, 2, 2, seed=seed)
    rng = np.random.default_rng(seed + 1000)
    clips = tuple(
        Clip(c.clip, source=c.source, subject=c.subject, split=c.split, targets=c.targets)
        for c in planned
    )
    number = np.array([c.subject_index for c in planned])
    wanted = {}
    for signal in SIGNALS:
        for statistic in ("mean", "sd"):
            own, person = rng.standard_normal(len(clips)), rng.standard_normal(subjects)[number]
            behaviour = PLANTED.get((signal, statistic))
            if behaviour is None:
                score = np.sqrt(0.5) * (own + person)
            else:
                shown = np.array([c.behaviours[behaviour] for c in planned])
                score = (shown - shown.mean()) / shown.std() + noise * own
            wanted[signal, statistic] = score
    request = make_request("signals", {"backend": "dlib"})
    store = Store(folder)
    store.add(request.key, request.fingerprint)
    shape = np.linspace(-1, 1, ROWS)
    shape /= shape.std()
    for place, clip in enumerate(clips):
        values = np.zeros((ROWS, len(COLUMNS)))
        for signal in SIGNALS:
            mean = wanted[signal, "mean"][place]
            sd = np.exp(0.3 * wanted[signal, "sd"][place])
            values[:, COLUMNS.index(signal)] = mean + sd * shape
        stream = Stream(time=np.arange(ROWS) / 5, values=values, columns=COLUMNS)
        store.record(request.key, store.write(request.key, clip.id, stream))
    store.settle(request.key)
    return Corpus("planted", "apparent", TARGETS, clips), store
