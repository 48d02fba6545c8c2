"""CR-Net and extra-trees: what a trained CR-Net makes of 32 moments of a clip, regressed by trees.

Paper: Li et al., "CR-Net: A Deep Classification-Regression Network for Multimodal Apparent
Personality Analysis", 2020, https://doi.org/10.1007/s11263-020-01309-y.

A target's feature is 7/15 of the frame's, 5/15 of the face's and 3/15 of the sound's, averaged over
the moments. ``train crnet_etr --from runs/crnet`` takes the network of that run, with its settings,
streams and targets, into the new run, so that prediction needs nothing else. A path among the
settings would be a fact of one machine, and would break when the first run is moved.

Where we differ: the trees of a target see the feature of that target, and of its labelled clips; a
leaf holds five clips or more, without which the trees of 6000 clips would fill a gigabyte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.data.batches import to_tensors
from traitscope.learners.folds import inside, labels_of
from traitscope.learners.graphs import Graph, add_forest, add_inside
from traitscope.learners.trees import ExtraTrees, Forest, damaged, grow_extra
from traitscope.models import crnet as _crnet
from traitscope.nn.heads import masked_mean
from traitscope.nn.sound import waveform_of
from traitscope.types import Batch, Draw, Rows, Target

Array = NDArray[np.float64]

STARTS_FROM = "crnet"
"""The model whose trained network this one stands on; its settings are those of that run."""

SHARES = {"frames": 7 / 15, "faces": 5 / 15, "waveform": 3 / 15}
"""How much each branch says; trees care for no common factor, so that a missing one is no harm."""


class Config(BaseConfig):
    """The network's settings, how often it looks, how trees are grown."""

    crnet: _crnet.Config = _crnet.Config()
    """Of the network; taken from the run that is started from."""
    moments: PositiveInt = 32
    """Evenly spaced frames, with the faces in them, that are averaged."""
    trees: ExtraTrees = ExtraTrees()
    """How trees are grown."""
    seed: NonNegativeInt = 0
    """Of the trees."""


TINY = Config(crnet=_crnet.TINY, moments=2, trees=ExtraTrees(trees=7, per_leaf=2))


def inputs(config: Config) -> dict[str, Draw]:
    """What the network takes, at more moments and never at random."""
    rows = Rows("even", config.moments)
    return {
        name: draw if name == "waveform" else replace(draw, train=rows, evaluate=rows)
        for name, draw in _crnet.inputs(config.crnet).items()
    }


class Estimator:
    """A CR-Net that no longer learns, and trees on what it sees."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = _crnet.Model(config.crnet, {}, targets).eval()
        self._forest: Forest | None = None

    def reduce(self, batch: Batch) -> Array:
        """Describe each clip by the network's features.

        Args:
            batch: ``frames`` and ``faces`` (clips, moments, 3, side, side), ``waveform``
                (clips, samples), as far as the network takes them.

        Returns:
            (clips, targets x width), as exact in 32 bits: trees are grown with no more.
        """
        self.network.to("cuda" if torch.cuda.is_available() else "cpu")
        # Clip by clip: the last digit of a sum in a batch depends on who else is in it.
        rows = [self._feature(batch, clip) for clip in range(len(batch.clips))]
        return np.stack(rows).astype(np.float64)

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Grow the trees.

        Args:
            batch: what ``reduce`` takes, or ``features`` (clips, targets x width) that it gave.
            groups: (clips,) sources; nothing is held out, so they have no say.

        Raises:
            DataError: a target has fewer than two labels.
        """
        labels = labels_of(batch, self.targets)
        # Each target has features of its own: those that its ranges have weighed.
        tables = np.split(self._features(batch), len(self.targets), axis=1)
        self._forest = grow_extra(tables, labels, self.config.trees, seed=self.config.seed)

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        assert self._forest is not None
        scores = self._forest.predict(self._features(batch), len(self.targets))
        return inside(scores, self.targets)

    def seeing(self) -> nn.Module:
        """What of it is a network: a batch of tensors -> (clips, targets x width)."""
        return Seeing(self.network, self.config.crnet.samples)

    def graph(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Build what ``predict`` does of operators, behind the network's features."""
        assert self._forest is not None
        features = graph.cast(inputs["features"], np.float64)
        scores = add_forest(graph, features, self._forest, len(self.targets))
        return add_inside(graph, scores, self.targets)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Tensors of the network and arrays of the trees."""
        assert self._forest is not None
        tensors = self.network.state_dict().items()
        arrays = {f"network/{name}": tensor.cpu().numpy() for name, tensor in tensors}
        return arrays | self._forest.state("trees"), {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        tensors = {
            name.removeprefix("network/"): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith("network/")
        }
        try:
            self.network.load_state_dict(tensors)
        except RuntimeError as error:
            raise damaged("network", str(error)) from error
        targets = len(self.targets)
        columns = targets * self.network.num_features
        self._forest = Forest.restore(arrays, "trees", columns=columns, outputs=targets)

    def _features(self, batch: Batch) -> Array:
        reduced = batch.streams.get("features")
        return self.reduce(batch) if reduced is None else np.asarray(reduced, dtype=np.float64)

    def _feature(self, batch: Batch, clip: int) -> NDArray[np.float32]:
        """One clip at a time: 32 moments fill a processor, and company changes no last digit."""
        streams = {name: array[clip : clip + 1] for name, array in batch.streams.items()}
        masks = {name: array[clip : clip + 1] for name, array in batch.masks.items()}
        alone = replace(batch, streams=streams, masks=masks)
        with torch.inference_mode():
            features = self.seeing()(to_tensors(alone, self.network.score.weight.device))
        values: NDArray[np.float32] = features.flatten().cpu().numpy()
        return values


class Seeing(nn.Module):
    """The network without its last layer: what each clip looks and sounds like."""

    def __init__(self, network: nn.Module, samples: int) -> None:
        super().__init__()
        self.network, self.samples = network, samples

    def forward(self, batch: Batch) -> Tensor:
        """Weighted features (clips, targets x width)."""
        network: Any = self.network
        total = torch.zeros((), device=network.score.weight.device)
        for name, branch in network.branches.items():
            if name == "waveform":
                features = branch(waveform_of(batch, self.samples))[1].flatten(1)
            else:
                mask = batch.masks[name]
                rows = branch(rearrange(batch.streams[name], "b m ... -> (b m) ..."))[1]
                rows = rearrange(rows, "(b m) t w -> b m (t w)", b=mask.shape[0])
                features = masked_mean(rows, mask)
            total = total + SHARES[name] * features
        return total
