"""VGG16's convolutions with batch normalisation, as the DAN systems use them.

Paper: Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556.
"""

import torch
from torch import nn

from traitscope.nn.pretrained import timm_backbone

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions; a max-pool follows each block."""
PUBLISHED = "vgg16_bn.tv_in1k"
"""Name of its weights from ImageNet in timm."""


def vgg16(width: int = 1) -> list[nn.Sequential]:
    """Make the 18 layers: 13 convolutions (convolution, norm, ReLU) and 5 poolings, in order.

    Args:
        width: divides the channels, for small machines and tests.
    """
    layers, before = [], 3
    for block in BLOCKS:
        for channels in (count // width for count in block):
            convolution = nn.Conv2d(before, channels, 3, padding=1)
            layers.append(
                nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
            )
            before = channels
        layers.append(nn.Sequential(nn.MaxPool2d(2)))
    return layers


def fill_vgg16(layers: nn.Module) -> None:
    """Take ImageNet's tensors from the local cache, in order: both lists have the same layers.

    Raises:
        MissingError: they are not in the cache.
    """
    published = timm_backbone(PUBLISHED, pretrained=True).features.state_dict()
    with torch.no_grad():
        own = layers.state_dict()
        for tensor, source in zip(own.values(), published.values(), strict=True):
            tensor.copy_(source)
