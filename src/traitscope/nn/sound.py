"""What models share that hear a part of the waveform: how it is drawn, and its shape for a network.

In: a batch with the stream ``waveform``. Out: one channel of sound per clip.
"""

from einops import rearrange
from torch import Tensor

from traitscope.nn.series import to_length
from traitscope.types import Batch, Draw, Rows


def sound_draw(samples: int) -> Draw:
    """Draw a run of samples: a random one in training, the middle one in evaluation."""
    return Draw(train=Rows("window", samples), evaluate=Rows("center", samples))


def waveform_of(batch: Batch, samples: int) -> Tensor:
    """The waveform as one channel, silent where the clip is over: (clips, 1, samples).

    A clip that is shorter than ``samples`` gets the same silence alone as beside longer clips:
    its score must not depend on its company.
    """
    return rearrange(to_length(batch, "waveform", samples), "clips samples -> clips 1 samples")
