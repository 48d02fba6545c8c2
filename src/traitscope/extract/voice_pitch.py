"""How high a voice is, every 16 ms: sound in, hertz and semitones out where there is a voice.

Tracker: SwiftF0 (Nieradzik 2025, https://arxiv.org/abs/2508.18440), the network in the package
``swift-f0`` (MIT). Rows without a voice are not valid, so that the mean over a clip is that of the
voice, its sd that of the melody, and coverage the share of the clip that is voiced. An octave is 12
semitones for a low voice and a high one alike, so sds of semitones compare people.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from traitscope.errors import ClipError, DataError
from traitscope.extract._speech import SAMPLE_RATE_HZ, SpeechConfig
from traitscope.extras import require
from traitscope.types import Inputs, Stream
from traitscope.weights import model_folder

VERSION = 1
NEEDS = ("audio",)
CONTRACT = {
    "extracts": "its tracker is fetched by the user; tests use a small one of the same form"
}

COLUMNS = ("f0_hz", "f0_semitones", "voicing")

_FRAME = 256
_AT_ONCE, _MARGIN = 2048, 32
"""Frames heard at once (half a minute), and beyond both ends: it looks at 16 to either side."""
_A1_HZ = 55.0
"""From which semitones count."""


class Config(SpeechConfig):
    """Settings of the tracker."""

    tracker: str = "pypi:swift-f0"
    """A package, or a folder with such a network's model.onnx."""
    low_hz: Annotated[float, Field(ge=47, le=2000)] = 65.0
    """The lowest pitch that is looked for; the default is of low men's voices."""
    high_hz: Annotated[float, Field(ge=50, le=2093)] = 500.0
    """The highest; the default is of children's and excited voices."""
    voiced: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How sure the tracker has to be that there is a voice."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz={self.low_hz} is not below high_hz={self.high_hz}")
        return self


class Extractor:
    """Track the pitch of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give (frames, 3): hertz, semitones above 55 Hz, and how sure the tracker is.

        Raises:
            ClipError: nobody is heard to speak, or the sound is too short.
        """
        assert inputs.waveform is not None
        pitch, voicing = self._tracked(inputs.waveform.samples, inputs.clip.id)
        valid = voicing >= self._config.voiced
        if not valid.any():
            raise ClipError(
                f"No voice was heard in clip {inputs.clip.id!r}. Leave the clip out, or lower "
                f"voice_pitch.voiced.",
                status="silent",
            )
        values = np.stack([pitch, 12 * np.log2(pitch / _A1_HZ), voicing], axis=1)
        values[~valid] = np.nan
        return Stream(
            time=np.arange(len(values)) * _FRAME / SAMPLE_RATE_HZ,
            values=values.astype(np.float32),
            valid=valid,
            columns=COLUMNS,
            info={"units": "Hz; semitones above 55 Hz; 0 to 1"},
        )

    def _tracked(
        self, samples: NDArray[np.float32], clip: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Hertz and voicing of each frame, some at a time: memory does not grow with the sound."""
        network = _opened(self._config.tracker)
        total = len(samples) // _FRAME
        if not total:
            raise ClipError(
                f"The sound of clip {clip!r} is shorter than a frame of 16 ms. Leave the clip out.",
                status="too_short",
            )
        ends = {"fmin": self._config.low_hz, "fmax": self._config.high_hz}
        fixed = {name: np.array(value, np.float32) for name, value in ends.items()}
        parts: list[list[NDArray[Any]]] = []
        for first in range(0, total, _AT_ONCE):
            begin, last = max(0, first - _MARGIN), min(total, first + _AT_ONCE)
            piece = samples[begin * _FRAME : min(total, last + _MARGIN) * _FRAME]
            given = {"audio": np.ascontiguousarray(piece, np.float32)[None], **fixed}
            heard = network.run(["pitch", "confidence"], given)
            parts.append([one[0][first - begin : last - begin] for one in heard])
        pitch, voicing = (np.concatenate(some).astype(float) for some in zip(*parts, strict=True))
        return pitch, voicing


@lru_cache(maxsize=1)
def _opened(name: str) -> Any:
    """The network, kept from clip to clip."""
    runtime = require("onnxruntime", extra="onnx", why="Tracking the pitch")
    path = Path(model_folder(name)) / "model.onnx"
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # clips are shared among processes
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        network = runtime.InferenceSession(path.read_bytes(), options)
        names = [one.name for one in network.get_inputs()]
    except Exception as error:  # whatever the runtime raises for a damaged file
        raise DataError(f"{path} cannot be read ({str(error)[:200]}). Fetch it anew.") from error
    if names != ["audio", "fmin", "fmax"]:
        raise DataError(f"{path} is no tracker of pitch: it asks for {', '.join(names)}.")
    return network
