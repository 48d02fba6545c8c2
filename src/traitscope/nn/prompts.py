"""S2D's prompts: modules between the blocks of a frozen image transformer (see ``s2d``).

MCP lets landmark features say where in the face to look; TMA lets every place of the face look at
itself over time.
"""

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional


class MultiViewPrompter(nn.Module):
    """MCP: weigh image features by their own focus, add landmark features (19,217 parameters).

    u = conv(X), v = conv(A), w = softmax over places of lambda u, g = w u + v, p = conv(g).
    """

    def __init__(self, dim: int = 768, *, hidden: int = 8) -> None:
        super().__init__()
        self.image = nn.Linear(dim, hidden)  # a 1 x 1 convolution, on tokens
        self.landmarks = nn.Linear(dim, hidden)
        self.out = nn.Linear(hidden, dim)
        # As published: with 1 the softmax over 196 places would be nearly flat.
        self.focus = nn.Parameter(torch.tensor(10.0))

    def forward(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Two (frames, places, dim) -> (frames, places, dim)."""
        seen, marked = self.image(image), self.landmarks(landmarks)
        # Over places, in each of the eight channels by itself.
        weight = torch.softmax(self.focus * seen, dim=1)
        prompt: Tensor = self.out(weight * seen + marked)
        return prompt


class TemporalAdapter(nn.Module):
    """TMA: attention over time at each place, then a bottleneck (740,928 parameters).

    Only the last layer starts at zero, so that an untrained adapter changes nothing.
    """

    def __init__(self, dim: int = 768, *, hidden: int = 192, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.down = nn.Linear(dim, hidden)
        # Without bias, as published: 740,928 parameters count on it.
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.project = nn.Linear(hidden, hidden)
        self.up = nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)
        self.adapt_down = nn.Linear(dim, hidden)
        self.adapt_up = nn.Linear(hidden, dim)
        nn.init.zeros_(self.adapt_up.weight)
        nn.init.zeros_(self.adapt_up.bias)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(clips x time, places, dim) and a (clips, time) mask -> (clips x time, places, dim)."""
        clips = mask.shape[0]
        # Each place looks along time at itself alone: 196 short series per clip.
        series = rearrange(tokens, "(b t) n d -> (b n) t d", b=clips)
        hidden = functional.gelu(self.down(series))
        series = self.up(self.project(self._attend(hidden, mask, series.shape[0] // clips)))
        tokens = rearrange(series, "(b n) t d -> (b t) n d", b=clips)
        adapted: Tensor = self.adapt_up(functional.gelu(self.adapt_down(self.norm(tokens))))
        return adapted

    def _attend(self, hidden: Tensor, mask: Tensor, places: int) -> Tensor:
        query, key, value = rearrange(
            self.qkv(hidden), "s t (three h d) -> three s h t d", three=3, h=self.heads
        )
        # A frame that is not there is not looked at. To ask first whether any is missing would be
        # to wait for the device, and no exporter could follow.
        keys = repeat(mask, "b t -> (b n) 1 1 t", n=places)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=keys)
        return rearrange(attended, "s h t d -> s t (h d)")


class Prompt(nn.Module):
    """What stands before one block: a norm, MCP and, over time, TMA (760,145 + the norm)."""

    def __init__(self, dim: int, *, hidden: int, temporal: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.focus = MultiViewPrompter(dim, hidden=hidden)
        self.time = TemporalAdapter(dim, hidden=temporal, heads=heads) if temporal else None

    def forward(self, image: Tensor, landmarks: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Patch tokens, normalised landmark tokens and a mask -> changed tokens, and the prompt."""
        # Both prompts see the same normed tokens; what they find is added to the plain ones.
        normed = self.norm(image)
        prompt = self.focus(normed, landmarks)
        image = image + prompt
        if self.time is not None:
            image = image + self.time(normed, mask)
        return image, prompt
