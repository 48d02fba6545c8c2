"""A network as a function of tensors."""

import torch

from tests.models.test_contracts import batch_of, build
from traitscope.data.batches import to_tensors
from traitscope.runs.checkpoint import predict_batch
from traitscope.runs.tensors import Flat


def test_a_flat_network_gives_what_the_network_gives() -> None:
    _, network, draws = build("resnet_lstm")
    batch = batch_of(draws)
    network.eval()
    tensors = to_tensors(batch)
    flat = Flat(network, tensors)
    assert flat.names == ("faces", "short_term", "faces_mask", "short_term_mask")
    with torch.inference_mode():
        scores = flat(*flat.tensors(tensors))
    assert torch.allclose(scores.double(), torch.from_numpy(predict_batch(network, batch)))
    shown = [*flat.tensors(tensors)]
    shown[2] = shown[2].clone()
    shown[2][0, 1:] = False  # a mask is an input like any other
    with torch.inference_mode():
        assert not torch.equal(flat(*shown)[0], scores[0])
