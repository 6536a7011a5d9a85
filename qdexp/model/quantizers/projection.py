"""Quantizers without a codebook: every number of a small projection is rounded on its own.

Axes: n tokens, d dimensions of a token, c numbers that are rounded.
"""

# pyright: basic

from abc import abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.code_search import code_counts
from qdexp.model.quantizers.estimator import straight_through
from qdexp.model.quantizers.quantization import Quantization, Quantizer


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """Rounded numbers.

    Args:
        values: The numbers, with an estimated gradient.
        indices: Which of the k possible rows of numbers each is.
        commitment_loss: What moves the numbers to their rounded values, unweighted.
        loss: What is trained.
    """

    values: Float[Tensor, "n c"]
    indices: Int[Tensor, " n"]
    commitment_loss: Float[Tensor, ""]
    loss: Float[Tensor, ""]


class ProjectedQuantizer(Quantizer):
    """Linear maps to the numbers that are rounded, and back.

    At a bottleneck the maps learn from what follows. At the output nothing follows: there they
    learn to reconstruct the tokens, and tokens are committed to their reconstruction.
    """

    def __init__(self, config: ModelConfig, dim: int, num_rounded: int) -> None:
        super().__init__()
        self.num_embeddings = config.num_embeddings
        self.commitment_cost = config.commitment_cost
        self.is_at_output = config.quantizer_placement == "output"
        self.project_in = nn.Linear(dim, num_rounded)
        self.project_out = nn.Linear(num_rounded, dim)

    @abstractmethod
    def rounded(self, x: Float[Tensor, "n c"]) -> Rounding:
        """Returns projected tokens rounded."""

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the tokens' rounded projections, mapped back."""
        if self.is_at_output:
            return self._reconstruct(tokens)
        found = self.rounded(self.project_in(tokens))
        return Quantization(
            z_q=self.project_out(found.values),
            indices=found.indices[:, None],
            vq_loss=found.loss,
            commitment_loss=found.commitment_loss.detach(),
            codebook_loss=tokens.new_zeros(()),
            statistics=code_counts(tokens, found.indices, self.num_embeddings),
        )

    def _reconstruct(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        found = self.rounded(self.project_in(tokens.detach()))
        z_q = self.project_out(found.values)
        commitment = functional.mse_loss(tokens, z_q.detach())
        codebook_loss = functional.mse_loss(z_q, tokens.detach())
        return Quantization(
            z_q=straight_through(tokens, z_q),
            indices=found.indices[:, None],
            vq_loss=found.loss + self.commitment_cost * commitment + codebook_loss,
            commitment_loss=commitment.detach(),
            codebook_loss=codebook_loss.detach(),
            statistics=code_counts(tokens, found.indices, self.num_embeddings),
        )
