"""What others do with a clip, and bare decoding: each a function of a path, for a process pool."""

import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from traitscope.features.extraction import Extraction, extract_clip
from traitscope.features.pool import memory_of_children, settle_in
from traitscope.features.request import make_request
from traitscope.media import threads_of_children
from traitscope.types import Clip, Stream

RANDOM_FRAMES = 10


def decode_only(path: Path) -> int:
    """Decode all pictures, and do nothing with them; return how many there are."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def decode_with_threads(path: Path) -> int:
    """The same with two threads per process."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        return sum(1 for _ in container.decode(stream))


def dump_frames(path: Path) -> int:
    """Write every picture as JPEG with OpenCV, as pipelines that start from frames do."""
    with tempfile.TemporaryDirectory() as folder:
        capture, count = cv2.VideoCapture(str(path)), 0
        while True:
            there, image = capture.read()
            if not there:
                return count
            cv2.imwrite(f"{folder}/{count:05d}.jpg", image)
            count += 1


@lru_cache(maxsize=1)
def _dlib() -> tuple[Any, Any, Any]:
    import dlib

    from traitscope.tracking._dlib_models import predictor_path

    return (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(predictor_path("mesh"))),
        dlib.get_face_chip,
    )


def chips_by_seeking(path: Path) -> int:
    """Random frames by seeking, dlib's detector on the doubled picture, 68 points, dlib's chip."""
    detector, predictor, get_chip = _dlib()
    rng, chips = np.random.default_rng(0), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for place in rng.integers(0, stream.frames, RANDOM_FRAMES):
            target = int(place / stream.average_rate / stream.time_base)
            container.seek(target, stream=stream)
            for frame in container.decode(stream):
                if frame.pts >= target:
                    break
            image = frame.to_ndarray(format="rgb24")
            for box in detector(image, 1)[:1]:
                get_chip(image, predictor(image, box), size=224, padding=0.25)
                chips += 1
    return chips


@lru_cache(maxsize=1)
def _extraction() -> Extraction:
    return Extraction()


@dataclass(frozen=True)
class Pictures:
    """Our own extraction of pictures alone: no sound, no store.

    Attributes:
        requests: extractor and settings of each.
    """

    requests: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]

    def __call__(self, path: Path) -> int:
        """Extract one clip; return its number of chips."""
        requests = [make_request(name, dict(settings)) for name, settings in self.requests]
        streams = extract_clip(Clip("clip", path), requests, extraction=_extraction())
        for stream in streams.values():
            assert isinstance(stream, Stream), stream
        return int(streams[requests[0].key].mask.sum())  # type: ignore[union-attr]


class Pool:
    """Processes that are started before the clock, each with one processor as `prepare`'s are."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        with threads_of_children(1), memory_of_children():
            self._pool = get_context("spawn").Pool(processes, settle_in, (1,))

    def timed(self, work: Any, paths: list[Path], warm: Path) -> tuple[int, float]:
        """Do the work for all paths; return the sum of results and the seconds."""
        self._pool.map(work, [warm] * self._processes, chunksize=1)
        started = time.perf_counter()
        total = sum(self._pool.imap_unordered(work, paths, chunksize=1))
        return total, time.perf_counter() - started

    def close(self) -> None:
        """End the processes."""
        self._pool.terminate()
        self._pool.join()
