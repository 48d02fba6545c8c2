"""A network that tells voices apart: mono sound at 16 kHz in, 256 numbers per stretch out.

The speaker encoder of GE2E (Wan et al. 2018, https://arxiv.org/abs/1710.10467): three LSTM layers
over 40 mel bands, of which the last state goes through a dense layer and onto the unit sphere.
Published tensors: the package Resemblyzer (Apache-2.0), taught on LibriSpeech and VoxCeleb.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from traitscope.errors import DataError
from traitscope.nn.tensor_files import read_tensors

Array = NDArray[np.float64]

SAMPLE_RATE_HZ = 16_000
STEP = 160
"""Samples from one spectrum to the next: 10 ms."""
SPECTRA = 160
"""Of a stretch: 1.6 s, as it was taught on."""
WIDTH = 256
FILE = "pretrained.pt"
_WINDOW, _BANDS = 400, 40
_LEVEL = 10 ** (-30 / 20)
"""Of quieter sound the mean level is raised to this; louder sound stays as it is."""


class VoiceEncoder(nn.Module):
    """Mel spectra of stretches -> where their voices lie on the unit sphere."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, WIDTH, num_layers=3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, spectra: Tensor) -> Tensor:
        """(stretches, spectra, 40) -> (stretches, 256) of length 1."""
        _, (last, _) = self.lstm(spectra)
        return nn.functional.normalize(torch.relu(self.linear(last[-1])), dim=1, eps=1e-5)


def read_voice_encoder(folder: Path) -> VoiceEncoder:
    """Read the published tensors from a folder; nothing else of the file is used.

    Raises:
        DataError: it holds another network.
    """
    path = folder / FILE
    tensors = read_tensors(path)
    network = VoiceEncoder()
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        other = tensors.get(name)
        shape = tuple(getattr(other, "shape", ()))
        if shape != tuple(tensor.shape):
            raise DataError(
                f"{path} is no encoder of voices: {name} is {shape or 'not there'}, not "
                f"{tuple(tensor.shape)}. Fetch it with: traitscope weights fetch pypi:resemblyzer"
            )
    network.load_state_dict({name: tensors[name] for name in wanted})
    return network.eval()


def amplified(samples: NDArray[np.float32]) -> float:
    """The factor that brings quiet sound to the level that the network knows."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    return max(1.0, _LEVEL / level) if level > 0 else 1.0


def mel_spectra(samples: NDArray[np.float32], first: int, count: int) -> NDArray[np.float32]:
    """Power in mel bands around each step; beyond both ends of the sound there is silence.

    Args:
        samples: (samples,) at 16 kHz.
        first: number of the first spectrum, whose middle is sample ``first * STEP``.
        count: how many.

    Returns:
        (count, 40), not logarithms.
    """
    begin = first * STEP - _WINDOW // 2
    end = begin + (count - 1) * STEP + _WINDOW
    piece = np.zeros(end - begin)
    inside = samples[max(0, begin) : max(0, min(end, len(samples)))]
    piece[max(0, -begin) : max(0, -begin) + len(inside)] = inside
    windows = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW)[::STEP]
    # The periodic form, of which the next window would go on where this one ends.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    spectrum = np.fft.rfft(windows * hann, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) @ _triangles().T
    return np.asarray(power, np.float32)


@lru_cache(maxsize=1)
def _triangles() -> Array:
    """(40, bins) of equal area on Slaney's scale: even to 1 kHz, then 6.4 times in 27 steps."""

    def hz(mel: Array) -> Array:
        return np.where(mel < 15, 200 / 3 * mel, 1000 * 6.4 ** ((mel - 15) / 27))

    top = 15 + 27 * np.log(SAMPLE_RATE_HZ / 2 / 1000) / np.log(6.4)
    corners = hz(np.linspace(0, top, _BANDS + 2))
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _WINDOW // 2 + 1)
    low, middle, high = (corners[n : n + _BANDS, None] for n in range(3))
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low))
