"""A transformer block, and how it learns the timestep.

Axes: b clips, tt hh ww the token grid, d width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.attention import Attended, SelfAttention


class AffineLayerNorm(nn.Module):
    """A LayerNorm whose scale is 1 + a parameter, so that all its parameters start at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "*tokens d"]) -> Float[Tensor, "*tokens d"]:
        """Returns every token with mean 0 and variance 1, then scaled and shifted."""
        return functional.layer_norm(x, self.scale.shape, 1 + self.scale, self.shift)


def normalisation(config: ModelConfig) -> nn.Module:
    """Returns a LayerNorm: affine, unless the timestep scales and shifts instead."""
    if config.conditioning == "additive":
        return AffineLayerNorm(config.hidden_dim)
    return nn.LayerNorm(config.hidden_dim, elementwise_affine=False)


def modulate(
    x: Float[Tensor, "b tt hh ww d"], shift: Float[Tensor, "b d"], scale: Float[Tensor, "b d"]
) -> Float[Tensor, "b tt hh ww d"]:
    """Returns `x` scaled and shifted, clip by clip (adaLN; Peebles and Xie, 2023)."""
    # 1 + scale in the type of x: a narrower one would round small scales away.
    return x * (1 + over_grid(scale).to(x.dtype)) + over_grid(shift)


def over_grid(x: Float[Tensor, "b d"]) -> Float[Tensor, "b 1 1 1 d"]:
    """Returns a vector for each clip as one that all tokens of the clip share."""
    return x[:, None, None, None]


class TransformerBlock(nn.Module):
    """Pre-LayerNorm attention and a 4x feed-forward network, each added to its input.

    With adaLN-zero the timestep modulates what both receive, and gates what they add. The gates
    start at zero (Peebles and Xie, 2023, section 3.2): a new block is the identity. With additive
    conditioning the tokens carry the timestep, and nothing is gated.
    """

    def __init__(self, config: ModelConfig, attended: Attended = "all") -> None:
        super().__init__()
        width = config.hidden_dim
        is_modulated = config.conditioning == "adaln_zero"
        self.modulation = nn.Linear(width, 6 * width) if is_modulated else None
        self.attention_norm = normalisation(config)
        self.attention = SelfAttention(config, attended)
        self.feed_forward_norm = normalisation(config)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "b tt hh ww d"],
        condition: Float[Tensor, "b d"],
        rotation: Float[Tensor, "2 tt hh ww p"] | None = None,
    ) -> Float[Tensor, "b tt hh ww d"]:
        """Returns the tokens after one round of mixing.

        Args:
            x: The tokens.
            condition: The timestep's embedding.
            rotation: The cosines and sines of rotary positions, if positions are rotary.
        """
        if self.modulation is None:
            x = x + self.dropout(self.attention(self.attention_norm(x), rotation))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(
            functional.silu(condition)
        ).chunk(6, dim=-1)
        mixed = self.attention(modulate(self.attention_norm(x), shift_1, scale_1), rotation)
        x = x + over_grid(gate_1) * self.dropout(mixed)
        mapped = self.feed_forward(modulate(self.feed_forward_norm(x), shift_2, scale_2))
        return x + over_grid(gate_2) * self.dropout(mapped)
