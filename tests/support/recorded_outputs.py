"""What extractors, trackers and decoders gave when their VERSION was last raised, and give now.

Extractors are fed what no processor computes: a stored picture, stored faces, sound and words made
here. So their outputs may be held to one in a hundred. What is found in a picture, and what a codec
makes of a file, differs between processors and is held to what they differ by.

Record anew, after VERSION was raised, with: python -m tests.support.recorded_outputs faces signals
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traitscope import registry, weights
from traitscope.features.request import Request, make_request
from traitscope.media import read_frames, read_sound
from traitscope.tracking import BACKENDS, open_tracker
from traitscope.types import Clip, Face, Frame, Inputs, Stream, Waveform

FOLDER = Path(__file__).parents[1] / "features" / "recorded"
GIVEN = FOLDER / "given"
"""The picture, the faces that trackers found in it, and a clip: made once, not made again."""

EXTRACTORS = [
    name
    for name in registry.names("extract")
    if "extracts" not in getattr(registry.load("extract", name), "CONTRACT", {})
]
"""Those that give rows with their defaults and nothing else; the others say why they do not."""

DLIB, MEDIAPIPE = {"backend": "dlib"}, {"backend": "mediapipe"}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "faces": [DLIB, {**MEDIAPIPE, "size": 48}, {"backend": "haar", "size": 64}],
    "landmarks": [DLIB, MEDIAPIPE, {**MEDIAPIPE, "points": 478, "space": "picture"}],
    "drawings": [DLIB, {**MEDIAPIPE, "size": 64}],
    "signals": [DLIB, MEDIAPIPE],
    "people": [DLIB, MEDIAPIPE],
    "frames": [{}, {"size": 96}],
    "face_embedding": [{"faces": {**DLIB, "rate": 2}}],
    "embedding": [{"model": "resnet10t", "pretrained": False, "size": 64, "faces": DLIB}],
    "filterbank": [{"rows": 175}],
}
"""What is recorded of an extractor; its defaults when it does not stand here."""

SECONDS = 1.8
WORDS = "So, what do I do? I talk, and I talk. You know, 3 people, friends, are happy."
MEDIA = "media"
"""The record of what a stored clip is decoded to."""


def portrait() -> np.ndarray:
    """The stored picture (256, 256, 3)."""
    return np.asarray(cv2.imread(str(GIVEN / "portrait.png"), cv2.IMREAD_COLOR_RGB))


def outputs(name: str) -> Iterator[tuple[dict[str, Any], Stream]]:
    """An extractor's settings and what it gives with them."""
    for settings in SETTINGS.get(name, [{}]):
        yield settings, _output(make_request(name, settings))


def _output(request: Request) -> Stream:
    """Show the stored clip to an extractor and what it reads, without decoder and tracker."""
    extractor = registry.load("extract", request.name).Extractor(request.config)
    if hasattr(extractor, "see"):
        for frame, faces in zip(_frames(), _faces(request.backend), strict=True):
            extractor.see(frame, faces)
    rate = getattr(request.config, "sample_rate_hz", 16000)
    inputs = Inputs(
        clip=Clip("talking", transcript=WORDS, attributes={"age": 34.0, "gender": "Female"}),
        waveform=Waveform(voice(rate), rate),
        streams={below.short_name: _output(below) for below in request.upstream},
    )
    if hasattr(extractor, "finish_all"):
        (stream,) = extractor.finish_all([inputs])
    else:
        stream = extractor.finish(inputs)
    assert isinstance(stream, Stream)
    return stream


def voice(rate: int) -> np.ndarray:
    """Something like a voice (samples,): a gliding tone with overtones, breath, and a pause."""
    time = np.arange(round(SECONDS * rate)) / rate
    phase = 2 * np.pi * (120 * time + 6 * np.sin(2 * np.pi * 1.3 * time))
    tones = sum(np.sin(order * phase) / order for order in range(1, 9))
    loudness = np.where((time > 0.8) & (time < 1.1), 0.0, 0.2 + 0.1 * np.sin(5 * time))
    # Breath keeps every band above its floor, where rounding would be all that is left to compare.
    breath = np.random.default_rng(0).uniform(-0.01, 0.01, len(time))
    return (loudness * tones + breath).astype(np.float32)


def _frames() -> list[Frame]:
    return [
        Frame(number / 5, np.ascontiguousarray(np.roll(portrait(), 3 * number, axis=1)))
        for number in range(9)
    ]


def _faces(backend: str) -> list[tuple[Face, ...]]:
    """Faces of the frames: one that moves its features, missing once, and once not alone."""
    stored = json.loads((GIVEN / "faces.json").read_text()).get(backend)
    if stored is None:
        return [()] * 9
    first = Face(**{**stored, "landmarks": np.array(stored["landmarks"], np.float32)})
    seen = [(_moved(first, number),) for number in range(9)]
    seen[3] = ()
    seen[5] += (replace(_moved(first, -20), track=1, box=(2.0, 2.0, 60.0, 60.0)),)
    return seen


def _moved(face: Face, number: int) -> Face:
    """A face further right, its points a little off, its expression and rotation changed."""
    points = face.landmarks.copy()
    if len(points):
        points[:, 0] += 3 * number
        points[:, 1] += number * (np.arange(len(points)) * 37 % 11 - 5) / 20
    left, top, right, bottom = face.box
    turned = face.rotation and tuple(angle + 0.02 * number for angle in face.rotation)
    return replace(
        face,
        box=(left + 3 * number, top, right + 3 * number, bottom),
        landmarks=points,
        blendshapes={n: min(1.0, v * (1 + number / 4)) for n, v in face.blendshapes.items()},
        rotation=turned,
    )


def summary(stream: Stream) -> dict[str, Any]:
    """How many rows, how many are there, and mean and sd of up to 80 columns, or the words."""
    shape: dict[str, Any] = {"rows": len(stream.time), "valid": int(stream.mask.sum())}
    shape["seconds"] = round(float(stream.time.mean()), 4)
    if stream.images is not None:
        rows = thumbnails([image for image in stream.images if image])
    elif stream.values is not None and stream.values.dtype.kind not in "fiu":
        return {**shape, "words": stream.values[stream.mask].tolist()}
    else:
        assert stream.values is not None
        rows = stream.values[stream.mask].reshape(shape["valid"], -1).astype(np.float64)
    shape["columns"] = rows.shape[1]
    if rows.shape[1] > 80:
        rows = rows[:, np.linspace(0, rows.shape[1] - 1, 80).astype(int)]
    rows = np.nan_to_num(rows)
    return shape | {"mean": _digits(rows.mean(axis=0)), "sd": _digits(rows.std(axis=0))}


def thumbnails(images: list[bytes]) -> np.ndarray:
    """JPEGs as rows of 4 x 4 colours, and their sides."""
    pictures = [cv2.imdecode(np.frombuffer(image, np.uint8), 1) for image in images]
    return np.array(
        [
            [*cv2.resize(p, (4, 4), interpolation=cv2.INTER_AREA).ravel().tolist(), *p.shape[:2]]
            for p in pictures
        ],
        np.float64,
    )


def _digits(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def decoded() -> dict[str, Any]:
    """What the stored clip is decoded to: moments, 4 x 4 pictures, loudness of tenths of it."""
    path = GIVEN / "talking.mp4"
    frames = [frame for frame, _ in read_frames(path, rates=[5.0])]
    small = [cv2.resize(f.image, (4, 4), interpolation=cv2.INTER_AREA) for f in frames]
    record: dict[str, Any] = {"times": [round(frame.time, 3) for frame in frames]}
    record["colours"] = np.mean(small, axis=0).ravel().round(1).tolist()
    for rate in (16000, 4000):
        sound = read_sound(path, sample_rate_hz=rate).waveform
        parts = np.array_split(sound.samples.astype(np.float64), 10)
        record[f"samples_{rate}"] = len(sound.samples)
        record[f"loudness_{rate}"] = _digits(np.array([np.sqrt((p**2).mean()) for p in parts]))
    return record


def tracked(backend: str) -> dict[str, Any]:
    """The face that a backend finds in the stored picture: box and points in pixels."""
    tracker = open_tracker(backend)
    try:
        (face,) = tracker.track(Frame(0.0, portrait()))
    finally:
        tracker.close()
    return {
        "box": [round(float(side), 1) for side in face.box],
        "points": np.asarray(face.landmarks)[::7, :2].round(1).tolist(),
        "rotation": face.rotation and [round(float(angle), 3) for angle in face.rotation],
    }


def record_of(name: str) -> dict[str, Any]:
    """What is kept of an extractor, of a tracker (``tracking.dlib``), or of the decoders."""
    if name == MEDIA:
        return decoded()
    room, _, entry = name.rpartition(".")
    module = registry.load(room or "extract", entry)
    if room == "tracking":
        return {"version": module.VERSION, "face": tracked(entry)}
    cases = [{"settings": settings, **summary(stream)} for settings, stream in outputs(name)]
    return {"version": module.VERSION, "cases": cases}


def recorded(name: str) -> Any:
    """What was kept; None if nothing was."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def main(names: list[str]) -> None:
    """Record what is named, or everything, and say what changed."""
    there = [b for b in BACKENDS if b != "mediapipe" or weights.locate("face_landmarker.task")]
    for name in names or [*EXTRACTORS, *(f"tracking.{backend}" for backend in there), MEDIA]:
        # One list of numbers a line: a change then shows which list changed.
        text = re.sub(r"\[[^][{}]*\]", _in_one_line, json.dumps(record_of(name), indent=1))
        path = FOLDER / f"{name}.json"
        if not path.is_file() or path.read_text() != text + "\n":
            path.write_text(text + "\n")
            print(f"recorded {name}")


def _in_one_line(numbers: re.Match[str]) -> str:
    return re.sub(r"\s+", " ", numbers.group()).replace("[ ", "[").replace(" ]", "]")


if __name__ == "__main__":
    main(sys.argv[1:])
