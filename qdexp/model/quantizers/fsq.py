"""`fsq`: finite scalar quantization (Mentzer et al., 2023, section 3 and appendix A.1).

Axes: n tokens, c numbers of a token that are rounded, each to levels of its own.
"""

# pyright: basic

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qdexp.config.model_config import ModelConfig, fsq_levels
from qdexp.model.quantizers.estimator import straight_through
from qdexp.model.quantizers.projection import ProjectedQuantizer, Rounding

MARGIN = 1e-3
"""Share by which the bounds lie beyond the outermost levels, so that these can be reached."""


class FSQQuantizer(ProjectedQuantizer):
    """Every number is bounded, and rounded to one of its few levels; there is no loss."""

    def __init__(self, config: ModelConfig, dim: int) -> None:
        self.levels = fsq_levels(config.num_embeddings)
        super().__init__(config, dim, len(self.levels))

    def rounded(self, x: Float[Tensor, "n c"]) -> Rounding:
        """Returns numbers in -1..1, evenly spaced."""
        bounded = self.bounded(x)
        half_widths = self._numbers([level // 2 for level in self.levels], like=x)
        values = straight_through(bounded, bounded.round()) / half_widths
        zero = x.new_zeros(())
        return Rounding(
            values=values,
            indices=self.indices_from_values(values.detach()),
            commitment_loss=zero,
            loss=zero,
        )

    def bounded(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        """Returns numbers that round to the levels; 0 stays in the middle of one."""
        halves = [(level - 1) * (1 + MARGIN) / 2 for level in self.levels]
        offsets = [0.5 if level % 2 == 0 else 0.0 for level in self.levels]
        shifts = [math.atanh(offset / half) for offset, half in zip(offsets, halves, strict=True)]
        half, offset, shift = (self._numbers(each, like=x) for each in (halves, offsets, shifts))
        return (x + shift).tanh() * half - offset

    def indices_from_values(self, values: Float[Tensor, "n c"]) -> Int[Tensor, " n"]:
        """Returns which of all rows of levels each row is; the first number varies fastest."""
        half_widths = self._numbers([level // 2 for level in self.levels], like=values)
        # A number that is none has a digit too: its loss, not its index, says that it diverged.
        digits = (values * half_widths + half_widths).nan_to_num().round().long()
        return (digits * torch.tensor(self._bases(), device=values.device)).sum(dim=1)

    def values_from_indices(self, indices: Int[Tensor, " n"]) -> Float[Tensor, "n c"]:
        """Returns the rows of levels with these numbers."""
        bases = torch.tensor(self._bases(), device=indices.device)
        levels = torch.tensor(self.levels, device=indices.device)
        digits = indices[:, None] // bases % levels
        return (digits - levels // 2) / (levels // 2)

    def _bases(self) -> list[int]:
        return [math.prod(self.levels[:number]) for number in range(len(self.levels))]

    def _numbers(self, numbers: list[float] | list[int], *, like: Tensor) -> Float[Tensor, " c"]:
        return torch.tensor(numbers, dtype=like.dtype, device=like.device)
