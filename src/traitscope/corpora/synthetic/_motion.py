"""The movements of a synthetic clip: behaviours and voice in, one row per frame out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from traitscope.corpora.synthetic._voice import Voice

FloatArray = NDArray[np.float64]
_DROOP = 0.8
"""Lids hang the lower, the longer the eyes are closed: by this much of the share of time."""


@dataclass(frozen=True)
class Motion:
    """Movements, (frames,) each.

    Attributes:
        smile: 1 is the smile of the portrait, 0 a straight mouth.
        mouth: opening in [0, 1].
        lid: 0 open to 1 closed.
        brow: 1 raised, -1 lowered.
        pitch: head, degrees, positive looks down.
        yaw: head, degrees, positive turns to the viewer's right.
        roll: head, degrees.
        gaze: -1 to 1, positive looks to the viewer's right.
    """

    smile: FloatArray
    mouth: FloatArray
    lid: FloatArray
    brow: FloatArray
    pitch: FloatArray
    yaw: FloatArray
    roll: FloatArray
    gaze: FloatArray


def move(
    behaviours: Mapping[str, float],
    voice: Voice,
    *,
    seconds: float,
    fps: float,
    rng: np.random.Generator,
) -> Motion:
    """Turn the behaviours of a clip into movements over time."""
    time = np.arange(round(seconds * fps)) / fps
    controls = np.arange(len(voice.opening)) / voice.control_hz
    opening = np.interp(time, controls, voice.opening)
    return Motion(
        smile=behaviours["smile"] + 0.06 * _wave(time, 0.5, rng),
        mouth=np.clip(behaviours["mouth"] * opening, 0, 1.2),
        lid=np.maximum(_blinks(time, behaviours["blink"], rng), _DROOP * behaviours["blink"]),
        brow=behaviours["brow"] + 0.15 * _wave(time, 0.6, rng),
        pitch=behaviours["nod"] * _wave(time, 0.8, rng) + behaviours["bow"],
        # A head never faces the camera exactly, and hardly ever the same way twice.
        yaw=behaviours["turn"] * _wave(time, 0.45, rng) + rng.normal(0, 1.0),
        roll=1.0 * _wave(time, 0.3, rng) + behaviours["tilt"],
        # Eyes jump and rest: a wave that is cut flat, not one that sways.
        gaze=behaviours["gaze"] * np.tanh(4 * _wave(time, 0.55, rng)),
    )


def within(shown: Motion, calm: Motion, seconds: tuple[float, float], *, fps: float) -> Motion:
    """Move one way inside an interval and another way outside, with a glide between them."""
    time = np.arange(len(shown.smile)) / fps
    start, end = seconds
    # A face takes about a fifth of a second from one expression to the next.
    share = np.clip(np.minimum(time - start, end - time) / 0.2 + 0.5, 0, 1)
    return Motion(
        **{
            one.name: share * getattr(shown, one.name) + (1 - share) * getattr(calm, one.name)
            for one in fields(Motion)
        }
    )


def _wave(time: FloatArray, hertz: float, rng: np.random.Generator) -> FloatArray:
    """Make a slow wave of amplitude one with a rate and a phase of its own."""
    rate = hertz * rng.uniform(0.9, 1.1)
    return np.asarray(np.sin(2 * np.pi * (rate * time + rng.uniform())))


def _blinks(time: FloatArray, share: float, rng: np.random.Generator) -> FloatArray:
    """Close the eyes for a share of the time: more blinks and longer ones, evenly scattered."""
    seconds = float(time[-1]) + float(time[1] - time[0]) if len(time) > 1 else 1.0
    closed = share * seconds
    # Some 20 a minute, as people at rest do, and more where the eyes are closed for longer.
    number = max(1, round(0.35 * seconds + closed / 0.25))
    length = closed / number
    # Blinks are centred in the middle half of their parts of the clip: two never fall together.
    slots = (np.arange(number) + 0.5 + rng.uniform(-0.25, 0.25, number)) * seconds / number
    distance = np.abs(time[:, None] - slots[None, :])
    ramp = 0.04  # seconds in which a lid falls or rises
    lid = np.clip((length / 2 + ramp / 2 - distance) / ramp, 0, 1)
    return np.asarray(lid.max(axis=1))
