"""A transformer block whose normalisations are steered by the timestep.

Axes: b clips, n tokens of a clip, d width.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.sections import ModelConfig


def modulate(
    x: Float[Tensor, "b n d"], shift: Float[Tensor, "b d"], scale: Float[Tensor, "b d"]
) -> Float[Tensor, "b n d"]:
    """Returns `x` scaled and shifted, clip by clip (adaLN; Peebles and Xie, 2023)."""
    return x * (1 + scale[:, None]) + shift[:, None]


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens of a clip."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.hidden_dim, 3 * config.hidden_dim)
        self.out = nn.Linear(config.hidden_dim, config.hidden_dim)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Returns what every token gathers from the others."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (b, heads, n, d / heads)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        gathered = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.out(gathered.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Pre-LayerNorm attention and a 4x feed-forward network, each behind a gate.

    The gates start at zero (adaLN-zero; Peebles and Xie, 2023, section 3.2): a new block is the
    identity.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.hidden_dim
        self.modulation = nn.Linear(width, 6 * width)
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "b n d"], condition: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b n d"]:
        """Returns the tokens after one round of mixing, given the timestep's embedding."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(
            functional.silu(condition)
        ).chunk(6, dim=-1)
        mixed = self.attention(modulate(self.attention_norm(x), shift_1, scale_1))
        x = x + gate_1[:, None] * self.dropout(mixed)
        mapped = self.feed_forward(modulate(self.feed_forward_norm(x), shift_2, scale_2))
        return x + gate_2[:, None] * self.dropout(mapped)
