"""Clips per second of `prepare` and `predict` once they are under way, and sound of any length."""

import csv
import json
import tempfile
import time
import wave
from pathlib import Path

import av
import numpy as np

from traitscope.corpora import load_corpus
from traitscope.features.preparation import prepare
from traitscope.prediction.clips import predict
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train as fit
from traitscope.types import Clip, Corpus

FITTED = 15
FRAMES_PER_SECOND = 16000


def of_height(clip: Path, height: int, folder: Path) -> Path:
    """A clip with smaller pictures and the same sound; itself where it has that height."""
    with av.open(str(clip)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        if video.height == height:
            return clip
        path = folder / f"{clip.stem}_{height}.mp4"
        with av.open(str(path), "w") as target:
            small = target.add_stream("libx264", rate=video.average_rate)
            small.width, small.height = 2 * round(video.width * height / video.height / 2), height
            copy = target.add_stream_from_template(sound)
            for packet in container.demux(video, sound):
                if packet.stream is sound and packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)
                elif packet.stream is video:
                    for frame in packet.decode():
                        target.mux(small.encode(frame))
            target.mux(small.encode())
    return path


def train(
    folder: Path, media: list[Path], backend: str, *settings_of_signals: str, seconds: float = 2.0
) -> Path:
    """Train a run on signals and sound of the first seconds of a few clips; returns its folder."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "path", "split", "end", "openness"])
        for number in range(FITTED):  # a short part of each: what is learnt does not matter here
            split = "validation" if number % 5 == 4 else "train"
            path = media[number % len(media)]
            score = round(rng.uniform(0.2, 0.8), 3)
            writer.writerow([f"c{number:03d}", path, split, seconds, score])
    target = {"openness": {"low": 0, "high": 1, "direction": 1}}
    facts = {"name": "benchmark", "kind": "apparent", "targets": target}
    (folder / "clips.yaml").write_text(json.dumps(facts))
    address = f"table:{folder / 'clips.csv'}"
    settings = [f"features.signals.backend={backend}", "model.penalties=[1.0]"]
    settings += [f"features.signals.{one}" for one in settings_of_signals]
    requests = requests_for("functionals", settings)
    prepare(load_corpus(address), requests, store=folder / "store", workers=0)
    data = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    return fit("functionals", [*data, *settings], to=folder / "run")


def preparing(run: Path, paths: list[Path], workers: int) -> float:
    """Clips per second of `prepare`, of the features that a run reads."""
    checkpoint, times = load(run), list[float]()
    clips = tuple(Clip(f"c{number:03d}", path) for number, path in enumerate(paths))
    with tempfile.TemporaryDirectory() as store:
        summary = prepare(
            Corpus("benchmark", "apparent", checkpoint.facts.targets, clips),
            list(checkpoint.facts.requests.values()),
            store=store,
            workers=workers,
            hook=lambda done, total, name: times.append(time.perf_counter()),
        )
    assert not summary.failed, summary.failures[:3]
    return _rate(times, workers)


def predicting(run: Path, paths: list[Path], workers: int) -> float:
    """Clips per second of `predict`."""
    times: list[float] = []

    def hook(done: int, total: int, name: str) -> None:
        if done:
            times.append(time.perf_counter())

    predictions = predict(run, *paths, workers=workers, hook=hook)
    assert all(p.status == "ok" for p in predictions), predictions[:3]
    return _rate(times, workers)


def _rate(times: list[float], workers: int) -> float:
    """Clips per second after the first ones, which each process needs to get under way."""
    warm = min(2 * max(1, workers), len(times) - 1)
    return (len(times) - warm) / (times[-1] - times[warm - 1])


def write_noise(path: Path, minutes: int) -> Path:
    """Write minutes of noise as WAV, second by second."""
    rng = np.random.default_rng(0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(FRAMES_PER_SECOND)
        for _ in range(60 * minutes):
            noise = rng.integers(-9000, 9000, FRAMES_PER_SECOND, dtype=np.int16)
            file.writeframes(noise.tobytes())
    return path
