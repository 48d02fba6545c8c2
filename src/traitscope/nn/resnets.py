"""Residual networks over pictures (2-D) and over sound (1-D), as the audio-visual systems use them.

The basic block is He et al.'s, https://arxiv.org/abs/1512.03385; the one-dimensional form is that
of Deep Impression (Gucluturk et al., 2016, https://arxiv.org/abs/1609.05119): kernels of 9 samples
where a picture has 3 x 3, strides of 4 where it has 2, a stem of 49 samples.
"""

from collections.abc import Sequence

from torch import Tensor, nn

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class Block(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, sound: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(inputs, outputs, stride=stride, sound=sound),
            norm(outputs, sound=sound),
            nn.ReLU(inplace=True),
            convolution(outputs, outputs, stride=1, sound=sound),
            norm(outputs, sound=sound),
        )
        # Nothing to do where sizes agree: an empty sequence passes its input on.
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            kind = nn.Conv1d if sound else nn.Conv2d
            self.shortcut.append(kind(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(norm(outputs, sound=sound))
        self.last = nn.ReLU(inplace=True)

    def forward(self, signal: Tensor) -> Tensor:
        """(n, inputs, ...) -> (n, outputs, ... / stride)."""
        out: Tensor = self.last(self.layers(signal) + self.shortcut(signal))
        return out


def resnet(depth: int, channels: Sequence[int], *, sound: bool) -> nn.Sequential:
    """A residual network without pooling and classifier.

    Args:
        depth: 18 or 34.
        channels: of the four groups of blocks.
        sound: over (n, 1, samples) instead of (n, 3, height, width).
    """
    first, step = channels[0], 4 if sound else 2
    stem: list[nn.Module]
    if sound:
        # 49 samples where a picture has 7 x 7: 3 ms of sound, a stride of a quarter of one.
        stem = [nn.Conv1d(1, first, 49, 4, 24, bias=False), norm(first, sound=True)]
        stem += [nn.ReLU(inplace=True), nn.MaxPool1d(9, 4, 4)]
    else:
        stem = [nn.Conv2d(3, first, 7, 2, 3, bias=False), norm(first, sound=False)]
        stem += [nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    layers, before = stem, first
    for group, (count, width) in enumerate(zip(DEPTHS[depth], channels, strict=True)):
        for place in range(count):
            stride = step if group and not place else 1
            layers.append(Block(before, width, stride=stride, sound=sound))
            before = width
    return nn.Sequential(*layers)


def convolution(inputs: int, outputs: int, *, stride: int, sound: bool) -> nn.Module:
    """Nine weights per pair of channels: 9 samples, or 3 x 3 places."""
    if sound:
        return nn.Conv1d(inputs, outputs, 9, stride, 4, bias=False)
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def norm(channels: int, *, sound: bool) -> nn.Module:
    """Batch normalisation of the right kind."""
    return nn.BatchNorm1d(channels) if sound else nn.BatchNorm2d(channels)
