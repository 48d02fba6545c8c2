"""What models share that hear: how waveforms are drawn, and streams of sound of one length.

In: a batch with a stream of sound. Out: one channel of sound per clip, or rows and their mask.
"""

from einops import rearrange
from torch import Tensor
from torch.nn import functional

from traitscope.types import Batch, Draw, Rows


def sound_draw(samples: int) -> Draw:
    """Draw a run of samples: a random one in training, the middle one in evaluation."""
    return Draw(train=Rows("window", samples), evaluate=Rows("center", samples))


def waveform_of(batch: Batch, samples: int) -> Tensor:
    """The waveform as one channel, silent where the clip is over: (clips, 1, samples).

    A clip that is shorter than ``samples`` gets the same silence alone as beside longer clips:
    its score must not depend on its company.
    """
    sound, mask = of_length(batch, "waveform", samples)
    return rearrange(sound * mask, "clips samples -> clips 1 samples")


def of_length(batch: Batch, stream: str, rows: int) -> tuple[Tensor, Tensor]:
    """Fill a stream (clips, fewer rows, ...) up with rows that are not there, and its mask."""
    values, mask = batch.streams[stream], batch.masks[stream]
    lacking = max(0, rows - mask.shape[1])
    # Pad counts from the last axis on: the rows' is the second of all.
    widths = [0, 0] * (values.ndim - 2)
    return functional.pad(values, [*widths, 0, lacking]), functional.pad(mask, (0, lacking))
