"""MobileFaceNet for 68 facial landmarks: its 128 x 14 x 14 map is what S2D reads of a face.

Paper: Chen et al., "MobileFaceNets", 2018, https://arxiv.org/abs/1804.07573. 1,007,248 parameters
in all, 565,888 up to the map; the weights are a third-party file that the user brings.
"""

from torch import Tensor, nn

from traitscope import weights
from traitscope.errors import DataError
from traitscope.nn.pretrained import frozen
from traitscope.nn.tensor_files import read_tensors

FILE = "landmark_network.pth"
"""What `weights` calls its tensors."""

MAP_CHANNELS = 128
INPUT_SIZE = 112


def _convolution(
    inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    # The 7 x 7 kernel stands on a map of 7 x 7 places and leaves one; all others keep the size.
    padding = size // 2 if size < 7 else 0
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.PReLU(outputs)) if act else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """1 x 1 up, 3 x 3 depthwise, 1 x 1 down, with a shortcut when nothing changes size."""

    def __init__(self, inputs: int, outputs: int, expand: int, *, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(inputs, expand, 1),
            _convolution(expand, expand, 3, stride=stride, groups=expand),
            _convolution(expand, outputs, 1, act=False),
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, image: Tensor) -> Tensor:
        """(images, inputs, height, width) -> (images, outputs, height / stride, width / stride)."""
        changed: Tensor = self.layers(image)
        return image + changed if self.shortcut else changed


class MobileFaceNet(nn.Module):
    """The landmark network; S2D uses it up to ``landmark_map``, frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _convolution(3, 64, 3, stride=2),
            _convolution(64, 64, 3, groups=64),
            Bottleneck(64, 64, 128, stride=2),
            *[Bottleneck(64, 64, 128) for _ in range(4)],
            Bottleneck(64, 128, 256, stride=2),
            *[Bottleneck(128, 128, 256) for _ in range(6)],
        )
        # Not used by S2D; kept because the published file holds its tensors, too.
        self.points = nn.Sequential(
            Bottleneck(128, 128, 512, stride=2),
            *[Bottleneck(128, 128, 256) for _ in range(2)],
            _convolution(128, 512, 1),
            _convolution(512, 512, 7, groups=512, act=False),
            _convolution(512, 136, 1, act=False),
        )

    def landmark_map(self, faces: Tensor) -> Tensor:
        """(images, 3, 112, 112) -> (images, 128, 14, 14), without gradient."""
        # Also while S2D trains: its statistics are of faces at large, not of ours.
        with frozen(self.trunk):
            features: Tensor = self.trunk(faces)
        return features

    def forward(self, faces: Tensor) -> Tensor:
        """(images, 3, 112, 112) -> (images, 136): x and y of 68 points."""
        return self.points(self.trunk(faces)).flatten(1)


def load_landmark_network(network: MobileFaceNet) -> None:
    """Give the network its published tensors.

    Names differ from file to file, the order of the layers does not: tensors are taken one after
    the other, and each has to have the shape of its place.

    Raises:
        MissingError: nobody has put the file where `weights` looks.
        DataError: it is not this network.
    """
    path = weights.find(FILE)
    tensors, own = read_tensors(path), network.state_dict()
    # All that differ are counted: one shape may fit by chance, a hundred do not.
    wrong = [
        f"{theirs} {tuple(tensors[theirs].shape)} for {name} {tuple(tensor.shape)}"
        for theirs, (name, tensor) in zip(tensors, own.items(), strict=False)
        if tensors[theirs].shape != tensor.shape
    ]
    if wrong or len(tensors) != len(own):
        first = f", first {wrong[0]}" if wrong else ""
        raise DataError(
            f"{path} is not the landmark network of 68 points: {len(tensors)} tensors for "
            f"{len(own)}, {len(wrong)} of another shape{first}. Bring the file that S2D names."
        )
    network.load_state_dict(dict(zip(own, tensors.values(), strict=True)))
