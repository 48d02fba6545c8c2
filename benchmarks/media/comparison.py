"""One file, read by us and by the ffmpeg program: where the two disagree."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.media.combinations import Combination, ffmpeg, run
from traitscope.media import read_frames, read_sound

RATE = 16000
TIME_SECONDS = 0.0021
"""Matroska rounds times to 1 ms, and MPEG's clocks to less."""

LENGTH_SECONDS = 0.1
"""Encoders fill their first and last frames, and not every version of a decoder cuts that off."""

LEVEL = 0.04

_SHOWN = re.compile(rb"pts_time:\s*(-?[\d.]+).*? s:(\d+)x(\d+)")


@dataclass(frozen=True)
class Reading:
    """What came out of a file.

    Attributes:
        times: of its pictures, in seconds from the first.
        size: width and height of the first; zeros without pictures.
        seconds: that its sound lasts from the first picture on.
        level: root mean square of the sound.
    """

    times: NDArray[np.float64]
    size: tuple[int, int]
    seconds: float
    level: float


def ours(one: Combination, path: Path) -> Reading:
    """Read a file with traitscope."""
    times, size = [], (0, 0)
    if one.has_video:
        for frame, _ in read_frames(path, rates=["native"]):
            times.append(frame.time)
            size = size if len(times) > 1 else frame.image.shape[1::-1]
    samples = np.zeros(0, np.float32)
    if one.has_audio:
        samples = read_sound(path, sample_rate_hz=RATE).waveform.samples
    return Reading(np.array(times), size, len(samples) / RATE, _level(samples))


def theirs(one: Combination, path: Path) -> Reading:
    """Read a file with the program."""
    times, size = np.zeros(0), (0, 0)
    source = ["-i", str(path)]
    if one.has_video:
        square = ["-vf", "scale=round(iw*sar):ih:flags=fast_bilinear,setsar=1,showinfo"]
        passed = ["-fps_mode", "passthrough", "-f", "null", "-"]
        told = ffmpeg(*source, "-map", one.video_map, *square, *passed).stderr
        shown = _SHOWN.findall(told)
        times = np.array([float(time) for time, _, _ in shown])
        size = (int(shown[0][1]), int(shown[0][2]))
    samples = np.zeros(0, np.float32)
    if one.has_audio:
        mono = ["-map", one.audio_map, "-af", one.mix, "-ac", "1", "-ar", str(RATE)]
        data = ffmpeg(*source, *mono, "-f", "s32le", "-c:a", "pcm_s32le", "-").stdout
        samples = (np.frombuffer(data, "<i4") / 2.0**31).astype(np.float32)
        samples = _from_first_picture(samples, _lead(one, path))
    return Reading(times - times[:1], size, len(samples) / RATE, _level(samples))


def disagreements(mine: Reading, other: Reading) -> list[str]:
    """Say in which of number, times and size of pictures, length and level of sound they differ."""
    faults = []
    if len(mine.times) != len(other.times):
        faults.append(f"{len(mine.times)} pictures, not {len(other.times)}")
    elif len(mine.times) and time_gap(mine, other) > TIME_SECONDS:
        faults.append(f"times differ by up to {time_gap(mine, other):.3f} s")
    if mine.size != other.size:
        faults.append(f"{mine.size[0]} x {mine.size[1]}, not {other.size[0]} x {other.size[1]}")
    if abs(mine.seconds - other.seconds) > LENGTH_SECONDS:
        faults.append(f"{mine.seconds:.3f} s of sound, not {other.seconds:.3f} s")
    if abs(mine.level - other.level) > LEVEL * max(mine.level, other.level):
        faults.append(f"sound of {mine.level:.4f}, not {other.level:.4f}")
    return faults


def time_gap(mine: Reading, other: Reading) -> float:
    """The largest difference between times of pictures, in seconds."""
    return float(np.abs(mine.times - other.times).max(initial=0.0))


def _level(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean())) if len(samples) else 0.0


def _lead(one: Combination, path: Path) -> float:
    """Seconds from the first picture to the first sound, as ffprobe says."""
    if not one.has_video:
        return 0.0
    starts = []
    for track in (one.video_map, one.audio_map):
        which = ["-v", "error", "-select_streams", track.removeprefix("0:")]
        asked = [*which, "-show_entries", "stream=start_time", "-of", "json", str(path)]
        answer = json.loads(run("ffprobe", *asked).stdout)
        starts.append(float(answer["streams"][0].get("start_time", 0)))
    return starts[1] - starts[0]


def _from_first_picture(samples: NDArray[np.float32], lead: float) -> NDArray[np.float32]:
    """Silence before sound that begins later; sound before the first picture is left out."""
    shift = round(lead * RATE)
    if shift < 0:
        return samples[-shift:]
    return np.concatenate([np.zeros(shift, np.float32), samples])
