"""Changes of the perturbation audit: a picture or waveform and a step in, the changed one out.

Each change leaves the person as they are and alters how they were recorded. Steps are ordered, and
``neutral`` is the value at which nothing would change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Samples = NDArray[np.float32]
Mask = NDArray[np.float32]
"""(height, width): 1 on the person, 0 on the background."""

_QUIET = 1e-3  # root mean square, -60 dBFS: the level that noise refers to in a silent clip


@dataclass(frozen=True)
class Distortion:
    """One way to change a recording, in several steps.

    Attributes:
        about: what is done, in a few words.
        unit: of the steps.
        steps: in rising order.
        neutral: the step that would change nothing; None where there is none.
        of: what is changed; ``file`` re-encodes both.
        picture: (image (height, width, 3) RGB, step, mask) -> image.
        sound: (samples (n,), step, generator) -> samples.
        masked: the picture function takes the person's mask.
    """

    about: str
    unit: str
    steps: tuple[float, ...]
    neutral: float | None
    of: Literal["picture", "sound", "file"]
    picture: Callable[[Image, float, Mask | None], Image] | None = None
    sound: Callable[[Samples, float, np.random.Generator], Samples] | None = None
    masked: bool = False


def brightness(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Multiply by 2 ** step, as a camera's exposure would, and clip."""
    return _pixels(image.astype(np.float32) * 2.0**step)


def contrast(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Stretch around the mean of the picture."""
    # Around the picture's own mean, so that its brightness stays what it was.
    centre = float(image.mean())
    return _pixels((image.astype(np.float32) - centre) * step + centre)


def crop(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Keep the middle ``step`` percent of height and width."""
    # A tiny picture times a small step must not round to one without rows.
    height, width = (max(2, round(side * step / 100)) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def blur(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Gaussian of sd ``step`` percent of the height."""
    # In shares of the picture: one step is to blur a small video as much as a large one.
    sigma = image.shape[0] * step / 100
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigmaX=sigma), dtype=np.uint8)


def background(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Replace what is not the person by a grey of this level."""
    if mask is None:
        raise ValueError("A background is replaced around a mask.")
    share = mask[..., None]
    return _pixels(image * share + step * (1 - share))


def mirror(image: Image, step: float, mask: Mask | None = None) -> Image:
    """Swap left and right."""
    return np.ascontiguousarray(image[:, ::-1])


def gain(samples: Samples, step: float, rng: np.random.Generator) -> Samples:
    """Amplify by ``step`` dB, and clip as a recorder would."""
    louder: Samples = np.clip(samples * np.float32(10 ** (step / 20)), -1, 1)
    return louder


def noise(samples: Samples, step: float, rng: np.random.Generator) -> Samples:
    """Add white noise ``step`` dB below the sound's own level (its root mean square)."""
    level = max(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), _QUIET)
    added = rng.standard_normal(len(samples)) * level * 10 ** (-step / 20)
    return np.clip(samples + added, -1, 1).astype(np.float32)


DISTORTIONS: Mapping[str, Distortion] = {
    "brightness": Distortion(
        about="exposure",
        unit="stops",
        steps=(-1.0, -0.5, -0.25, 0.25, 0.5, 1.0),
        neutral=0.0,
        of="picture",
        picture=brightness,
    ),
    "contrast": Distortion(
        about="stretch around the mean",
        unit="factor",
        steps=(0.5, 0.75, 1.25, 1.5),
        neutral=1.0,
        of="picture",
        picture=contrast,
    ),
    "crop": Distortion(
        about="middle of the picture kept",
        unit="% of height and width",
        steps=(60.0, 75.0, 90.0),
        neutral=100.0,
        of="picture",
        picture=crop,
    ),
    "blur": Distortion(
        about="Gaussian blur",
        unit="sd, % of height",
        steps=(0.25, 0.5, 1.0),
        neutral=0.0,
        of="picture",
        picture=blur,
    ),
    "background": Distortion(
        about="plain grey behind the person",
        unit="grey level",
        steps=(0.0, 128.0, 255.0),
        # What stood behind the person was no grey: no level leaves the picture as it was.
        neutral=None,
        of="picture",
        picture=background,
        masked=True,
    ),
    "mirror": Distortion(
        about="left and right swapped",
        unit="mirrored",
        # A mirror has no measure: 1 is mirrored, 0 is not.
        steps=(1.0,),
        neutral=0.0,
        of="picture",
        picture=mirror,
    ),
    "re-encoding": Distortion(
        about="x264 at this quality, with AAC at 48 kbit/s",
        unit="CRF",
        steps=(23.0, 33.0, 43.0),
        # The lowest loss is still one: no quality leaves a file that was encoded before as it was.
        neutral=None,
        of="file",
    ),
    "gain": Distortion(
        about="louder or softer, clipped at full scale",
        unit="dB",
        steps=(-12.0, -6.0, 6.0, 12.0),
        neutral=0.0,
        of="sound",
        sound=gain,
    ),
    "noise": Distortion(
        about="white noise",
        unit="dB below the sound",
        steps=(5.0, 10.0, 20.0, 30.0),
        # No noise at all would be infinitely many dB below.
        neutral=None,
        of="sound",
        sound=noise,
    ),
}


def _pixels(values: NDArray[np.float32]) -> Image:
    # Rounded first: the cast cuts off, which would darken every picture by half a level.
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
