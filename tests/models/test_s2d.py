"""S2D: exact sizes, the equations word for word, what trains, starting from an image model."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.models.test_contracts import TARGETS, batch_of, shapes_of
from traitscope.data.examples import to_tensors
from traitscope.models.s2d import TINY, Config, Model, heatmaps, inputs
from traitscope.nn.mobilefacenet import MobileFaceNet
from traitscope.nn.pretrained import hold_frozen
from traitscope.nn.prompts import MultiViewPrompter, Prompt, TemporalAdapter
from traitscope.types import Target

SEVEN = [Target(f"t{i}", 0, 1, 1) for i in range(7)]


def count(module: torch.nn.Module, *, trainable: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def full(**settings: object) -> Model:
    config = Config.model_validate(settings)
    with torch.device("meta"):
        return Model(config, {}, SEVEN)


def test_the_whole_has_the_published_size() -> None:
    model = full(landmarks="network")
    network = count(model.network)
    assert count(model) - network == 95_055_571
    assert count(model, trainable=True) == 9_258_451


def test_the_landmark_network_has_the_published_size() -> None:
    with torch.device("meta"):
        network = MobileFaceNet()
    assert count(network) == 1_007_248
    assert count(network.trunk) == 565_888


def test_a_prompt_has_the_published_size() -> None:
    with torch.device("meta"):
        assert count(MultiViewPrompter()) == 19_217
        assert count(TemporalAdapter()) == 740_928
        prompt = Prompt(768, hidden=8, temporal=192, heads=8)
    assert count(prompt) - count(prompt.norm) == 760_145


def test_drawn_landmarks_need_a_smaller_projection() -> None:
    assert count(full(landmarks="network")) - count(full()) - 1_007_248 == (128 - 68) * 768


@pytest.mark.parametrize("patch", [8, 16])
def test_both_forms_of_112_pixels_can_be_built(patch: int) -> None:
    model = full(size=112, patch=patch)
    assert model.backbone.pos_embed.shape[1] == (112 // patch) ** 2 + 1


def literal_mcp(module: MultiViewPrompter, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """The equations of MCP, place by place."""
    out = torch.zeros_like(x)
    for frame in range(len(x)):
        u = torch.stack([module.image(place) for place in x[frame]])
        v = torch.stack([module.landmarks(place) for place in a[frame]])
        e = torch.exp(module.focus * u)
        for place in range(len(u)):
            out[frame, place] = module.out(e[place] / e.sum(dim=0) * u[place] + v[place])
    return out


def literal_tma(module: TemporalAdapter, x: torch.Tensor, time: int) -> torch.Tensor:
    """The equations of TMA, clip by clip, place by place, head by head."""
    out = torch.zeros_like(x)
    for clip in range(len(x) // time):
        rows = slice(clip * time, (clip + 1) * time)
        for place in range(x.shape[1]):
            h = functional.gelu(module.down(x[rows, place]))
            q, k, v = module.qkv(h).chunk(3, dim=-1)
            width = q.shape[1] // module.heads
            heads = []
            for head in range(module.heads):
                part = slice(head * width, (head + 1) * width)
                score = torch.softmax(q[:, part] @ k[:, part].T / width**0.5, dim=-1)
                heads.append(score @ v[:, part])
            y = module.up(module.project(torch.cat(heads, dim=-1)))
            z = functional.gelu(module.adapt_down(module.norm(y)))
            out[rows, place] = module.adapt_up(z)
    return out


def test_mcp_is_its_equations() -> None:
    torch.manual_seed(0)
    module = MultiViewPrompter(12, hidden=3)
    x, a = torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    torch.testing.assert_close(module(x, a), literal_mcp(module, x, a))


def test_tma_is_its_equations() -> None:
    torch.manual_seed(0)
    module = TemporalAdapter(12, hidden=8, heads=2)
    torch.nn.init.normal_(module.adapt_up.weight)
    x = torch.randn(6, 5, 12)
    got = module(x, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(got, literal_tma(module, x, 3))


def test_a_missing_frame_has_no_say_in_the_others() -> None:
    torch.manual_seed(0)
    module = TemporalAdapter(12, hidden=8, heads=2)
    torch.nn.init.normal_(module.adapt_up.weight)
    x = torch.randn(3, 5, 12)
    mask = torch.tensor([[True, True, False]])
    before = module(x, mask)[:2]
    x[2] += 10
    torch.testing.assert_close(module(x, mask)[:2], before)


def test_the_last_layer_of_tma_starts_at_zero_and_learns() -> None:
    model = Model(TINY, shapes_of(inputs(TINY)), TARGETS)
    last = model.prompts[0].time.adapt_up
    assert not last.weight.any()
    assert model.prompts[0].focus.focus.item() == 10
    batch = to_tensors(batch_of(inputs(TINY)))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    functional.mse_loss(model(batch).prediction, batch.targets).backward()
    optimizer.step()
    assert last.weight.any()


def test_a_frozen_backbone_keeps_everything_but_its_last_norm() -> None:
    model = Model(TINY, {}, TARGETS)
    training = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    assert training == {"norm.weight", "norm.bias"}
    free = Model(TINY.model_copy(update={"freeze_backbone": False}), {}, TARGETS)
    assert all(p.requires_grad for p in free.parameters())


def test_dropout_works_inside_frozen_blocks_in_training_alone() -> None:
    torch.manual_seed(0)
    model = Model(TINY.model_copy(update={"block_dropout": 0.5}), {}, TARGETS)
    batch = to_tensors(batch_of(inputs(TINY)))
    model.train()
    hold_frozen(model)  # as the loop does before each epoch
    one, other = (model(batch).features for _ in range(2))
    assert not torch.allclose(one, other)
    model.eval()
    torch.testing.assert_close(model(batch).features, model(batch).features)


def test_without_a_sigmoid_scores_may_leave_the_range() -> None:
    model = Model(TINY.model_copy(update={"sigmoid": False}), {}, TARGETS).eval()
    batch = to_tensors(batch_of(inputs(TINY)))
    with torch.no_grad():
        before = model(batch).prediction
        model.score.bias += 3
    torch.testing.assert_close(model(batch).prediction, before + 3)


def test_settings_of_stills_need_stills() -> None:
    with pytest.raises(ValueError, match="no effect without still=true"):
        Config(images=3)
    with pytest.raises(ValueError, match="13 prompts for 12 blocks"):
        Config(prompts=13)


def test_checkpointing_changes_memory_not_gradients() -> None:
    batch = to_tensors(batch_of(inputs(TINY)))
    gradients = []
    for on in (False, True):
        torch.manual_seed(0)
        model = Model(TINY.model_copy(update={"checkpointing": on}), {}, TARGETS)
        model(batch).prediction.sum().backward()
        gradients.append(model.landmarks.weight.grad)
    torch.testing.assert_close(*gradients)


def test_a_point_is_drawn_where_it_is() -> None:
    points = torch.tensor([[[0.25, 0.75], [float("nan"), 0.5]]])
    maps = heatmaps(points, torch.tensor([True]), 14)
    assert maps.shape == (1, 2, 14, 14)
    row, column = divmod(int(maps[0, 0].argmax()), 14)
    assert (row, column) == (10, 3)  # y .75 of 14 cells, x .25 of 14 cells
    assert maps[0, 0].max() == pytest.approx(1.0, abs=1e-6)
    assert not maps[0, 1].any()
    assert not heatmaps(points, torch.tensor([False]), 14).any()


def test_landmarks_have_a_say() -> None:
    torch.manual_seed(0)
    model = Model(TINY, {}, TARGETS).eval()
    batch = to_tensors(batch_of(inputs(TINY)))
    before = model(batch).prediction
    batch.streams["landmarks"].fill_(0.5)
    assert not torch.allclose(model(batch).prediction, before)


def test_the_order_of_frames_matters_and_clips_are_not_mixed() -> None:
    torch.manual_seed(0)
    model = Model(TINY, {}, TARGETS).eval()
    for prompt in model.prompts:
        torch.nn.init.normal_(prompt.time.adapt_up.weight)
    torch.nn.init.normal_(model.moment)
    batch = to_tensors(batch_of(inputs(TINY)))
    before = model(batch).prediction
    batch.streams["faces"][1] = batch.streams["faces"][1].flip(0)
    after = model(batch).prediction
    assert not torch.allclose(after[1], before[1], atol=1e-6)
    torch.testing.assert_close(after[[0, 2, 3]], before[[0, 2, 3]])


def test_an_image_model_lacks_only_what_time_needs() -> None:
    image = Model(TINY.model_copy(update={"frames": 1}), {}, TARGETS)
    clip = Model(TINY, {}, TARGETS)
    only = set(clip.state_dict()) - set(image.state_dict())
    assert only
    assert all(name == "moment" or ".time." in name for name in only)
    assert not set(image.state_dict()) - set(clip.state_dict())


def test_an_untrained_adapter_leaves_an_image_model_as_it_is() -> None:
    torch.manual_seed(0)
    image = Model(TINY.model_copy(update={"frames": 1}), {}, TARGETS).eval()
    clip = Model(TINY, {}, TARGETS).eval()
    clip.load_state_dict({**clip.state_dict(), **image.state_dict()})
    batch = to_tensors(batch_of(inputs(TINY)))
    together = clip(batch).features
    frames = [
        {"faces": batch.streams["faces"][:, [t]], "landmarks": batch.streams["landmarks"][:, [t]]}
        for t in range(3)
    ]
    masks = {name: mask[:, :1] for name, mask in batch.masks.items()}
    apart = [
        image(type(batch)(batch.clips, f, masks, batch.targets, batch.target_mask)).features
        for f in frames
    ]
    torch.testing.assert_close(together, torch.stack(apart).mean(dim=0))
    assert np.isfinite(together.detach().numpy()).all()
