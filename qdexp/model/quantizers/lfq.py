"""`lfq`: lookup-free quantization, a bit for each number (Yu et al., 2023, section 3.1).

Axes: n tokens, c bits of a token, k = 2^c codes.
"""

# pyright: basic

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.estimator import straight_through
from qdexp.model.quantizers.projection import ProjectedQuantizer, Rounding

INVERSE_TEMPERATURE = 100.0
"""Of the code distribution in the entropy loss, as in the public implementations."""

LEAST_PROBABILITY = 1e-20
"""Of a code, inside of a logarithm."""


class LFQQuantizer(ProjectedQuantizer):
    """Every number becomes its sign; an entropy loss makes tokens decided and codes used."""

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__(config, dim, config.num_embeddings.bit_length() - 1)
        self.entropy_loss_weight = config.entropy_loss_weight

    def rounded(self, x: Float[Tensor, "n c"]) -> Rounding:
        """Returns numbers of -1 and 1; the first is the highest bit of the index."""
        is_one = x > 0
        signs = torch.where(is_one, 1.0, -1.0).to(x.dtype)
        places = torch.arange(x.shape[1] - 1, -1, -1, device=x.device)
        commitment = functional.mse_loss(x, signs)
        return Rounding(
            values=straight_through(x, signs),
            indices=(is_one.long() << places).sum(dim=1),
            commitment_loss=commitment,
            loss=self.commitment_cost * commitment + self.entropy_loss_weight * entropy_loss(x),
        )


def entropy_loss(x: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
    """Returns the mean entropy of a token's code less that of the batch's (eq. 5).

    A token's code c has the probability softmax(2 x.c / temperature), in which bits are
    independent: P(bit = 1) = sigmoid(4 x / temperature).
    """
    logits = 4 * INVERSE_TEMPERATURE * x
    doubt = logits.abs()
    # The entropy of a bit, written so that nothing cancels where it is decided.
    of_bits = functional.softplus(-doubt) + doubt * torch.sigmoid(-doubt)
    mean = mean_code_distribution(logits)
    of_batch = -(mean * mean.clamp(min=LEAST_PROBABILITY).log()).sum()
    return of_bits.sum(dim=1).mean() - of_batch


def mean_code_distribution(logits: Float[Tensor, "n c"]) -> Float[Tensor, " k"]:
    """Returns the probability of every code, averaged over tokens whose bits are independent.

    A code's probability is that of its first bits times that of its last. Their mean over tokens is
    one matrix product of halves: exact, without a number for each token and code.
    """
    middle = logits.shape[1] // 2
    first, last = pattern_distribution(logits[:, :middle]), pattern_distribution(logits[:, middle:])
    return (first.T @ last / len(logits)).flatten()


def pattern_distribution(logits: Float[Tensor, "n bits"]) -> Float[Tensor, "n patterns"]:
    """Returns the probability of every pattern of independent bits, the first bit the highest."""
    distribution = logits.new_ones(len(logits), 1)
    for logit in logits.unbind(dim=1):
        bit = torch.sigmoid(torch.stack([-logit, logit], dim=1))
        distribution = (distribution[:, :, None] * bit[:, None, :]).flatten(1)
    return distribution
