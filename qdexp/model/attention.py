"""Self-attention over all tokens of a clip, over those of a frame, or over those of a place.

Axes: b clips, tt hh ww the token grid, d width, s sequences, n tokens of one, e width of a head.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.positions import rotate

Attended = Literal["all", "space", "time"]
"""The tokens that a token attends to: of its clip, of its frame, or of its place."""


class SelfAttention(nn.Module):
    """Multi-head self-attention, with the queries and keys turned if positions are rotary."""

    def __init__(self, config: ModelConfig, attended: Attended = "all") -> None:
        super().__init__()
        self.attended: Attended = attended
        self.num_heads = config.num_heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.hidden_dim, 3 * config.hidden_dim)
        self.out = nn.Linear(config.hidden_dim, config.hidden_dim)

    def forward(
        self,
        x: Float[Tensor, "b tt hh ww d"],
        rotation: Float[Tensor, "2 tt hh ww p"] | None = None,
    ) -> Float[Tensor, "b tt hh ww d"]:
        """Returns what every token gathers from those that it attends to."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)) for part in self.qkv(x).chunk(3, dim=-1)
        )
        if rotation is not None:
            # Before the grid is folded: within a sequence the angles of other axes cancel.
            q, k = rotate(q, rotation), rotate(k, rotation)
        q, k, v = (sequences_from_grid(part, self.attended) for part in (q, k, v))
        dropout = self.dropout if self.training else 0.0
        gathered = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.out(grid_from_sequences(gathered, self.attended, x.shape[:4]))


def sequences_from_grid(
    x: Float[Tensor, "b tt hh ww heads e"], attended: Attended
) -> Float[Tensor, "s heads n e"]:
    """Returns the sequences within which tokens attend to each other."""
    if attended == "time":
        return x.permute(0, 2, 3, 4, 1, 5).flatten(0, 2)
    sequences = x.flatten(1, 3) if attended == "all" else x.flatten(0, 1).flatten(1, 2)
    return sequences.transpose(1, 2)


def grid_from_sequences(
    x: Float[Tensor, "s heads n e"], attended: Attended, grid: torch.Size
) -> Float[Tensor, "b tt hh ww d"]:
    """Returns the tokens of these sequences in their places, the heads side by side.

    Args:
        x: What the heads gathered.
        attended: How the sequences were made.
        grid: Clips, and frames, rows and columns in tokens.
    """
    clips, frames, rows, columns = grid
    joined = x.transpose(1, 2).flatten(2)
    if attended == "time":
        return joined.reshape(clips, rows, columns, frames, -1).permute(0, 3, 1, 2, 4)
    return joined.reshape(clips, frames, rows, columns, -1)
