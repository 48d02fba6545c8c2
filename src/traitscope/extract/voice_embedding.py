"""Whose voice it is, as 256 numbers: sound in, a row for each 1.6 s in which somebody speaks.

Network: the speaker encoder of GE2E, see `voice_encoder`; rows overlap by half. Rows of one voice
point the same way (cosines above .8 as a rule), those of two less so; the mean over a clip tells
voices apart better than any row. What is quieter by 30 dB than the loudest stretch is not valid:
nobody speaks there.

As `face_embedding`, it knows who speaks and little of how: a model that gains by it on clips of
people it was fitted on, and not on new people, has learnt the people.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.extract._speech import SAMPLE_RATE_HZ, SpeechConfig
from traitscope.extras import require
from traitscope.types import Inputs, Stream
from traitscope.weights import model_folder

if TYPE_CHECKING:
    from traitscope.nn.voice_encoder import VoiceEncoder

VERSION = 1
NEEDS = ("audio",)
CONTRACT = {"extracts": "its encoder is fetched by the user; tests use a small random one"}

COLUMNS = tuple(f"voice_{number}" for number in range(256))

_AT_ONCE = 32
"""Stretches computed at once: half a minute of sound."""
_QUIET = 10 ** (-30 / 20)


class Config(SpeechConfig):
    """Settings of the voice numbers."""

    encoder: str = "pypi:resemblyzer"
    """A package, or a folder with such a network's pretrained.pt."""


class Extractor:
    """Describe the voice of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give (rows, 256); quiet rows are NaN and not valid. A shorter sound is one row.

        Raises:
            ClipError: there is no sound in the track.
        """
        require("torch", extra="train", why="Describing voices")
        from traitscope.nn import voice_encoder as voices

        assert inputs.waveform is not None
        samples = inputs.waveform.samples
        spectra = max(voices.SPECTRA, 1 + len(samples) // voices.STEP)
        step = voices.SPECTRA // 2
        firsts = np.arange(0, spectra - voices.SPECTRA + 1, step)
        loud = _levels(samples, firsts * voices.STEP, voices.SPECTRA * voices.STEP)
        valid = (loud > 0) & (loud >= _QUIET * loud.max())
        if not valid.any():
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is silence, so it has no voice.",
                status="silent",
            )
        values = np.full((len(firsts), len(COLUMNS)), np.nan, np.float32)
        factor = voices.amplified(samples) ** 2  # of power
        places = np.flatnonzero(valid)
        for begin in range(0, len(places), _AT_ONCE):
            some = places[begin : begin + _AT_ONCE]
            heard = [voices.mel_spectra(samples, first, voices.SPECTRA) for first in firsts[some]]
            values[some] = _described(self._config.encoder, np.stack(heard) * np.float32(factor))
        return Stream(
            time=(firsts + voices.SPECTRA / 2) * voices.STEP / SAMPLE_RATE_HZ,
            values=values,
            valid=valid,
            columns=COLUMNS,
            info={"units": "directions of a voice; cosines tell voices apart"},
        )


def _levels(
    samples: NDArray[np.float32], starts: NDArray[np.intp], length: int
) -> NDArray[np.float64]:
    """Root mean square of each stretch."""
    stretches = (samples[start : start + length] for start in starts.tolist())
    power = [float(np.mean(np.square(s, dtype=np.float64))) if len(s) else 0.0 for s in stretches]
    return np.asarray(np.sqrt(power))


def _described(name: str, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        rows: NDArray[np.float32] = _opened(name)(torch.from_numpy(spectra)).numpy()
    return rows


@lru_cache(maxsize=1)
def _opened(name: str) -> "VoiceEncoder":
    """The encoder, kept from clip to clip."""
    from traitscope.nn.voice_encoder import read_voice_encoder

    return read_voice_encoder(model_folder(name))
