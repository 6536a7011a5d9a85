"""`gradient`: a codebook that is a parameter, with a loss (van den Oord et al., 2017, eq. 3).

Axes: n tokens, k codes, d dimensions of a code.
"""

# pyright: basic

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.code_search import code_counts, nearest_codes
from qdexp.model.quantizers.estimator import estimator
from qdexp.model.quantizers.quantization import DrawCodes, Quantization, Quantizer


class LearnedCodebookQuantizer(Quantizer):
    """A codebook that the optimizer moves towards the tokens, by the codebook loss."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.commitment_cost = config.commitment_cost
        self.estimate = estimator(config.gradient_estimator)

    @abstractmethod
    def codes(self) -> Float[Tensor, "k d"]:
        """Returns the codebook, with its gradient."""
        ...

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the nearest codes, with the codebook loss in what is trained."""
        codebook = self.codes()
        indices = nearest_codes(tokens.detach(), codebook.detach())
        codes = codebook[indices]
        commitment = functional.mse_loss(tokens, codes.detach())
        codebook_loss = functional.mse_loss(codes, tokens.detach())
        return Quantization(
            z_q=self.estimate(tokens, codes),
            indices=indices[:, None],
            vq_loss=self.commitment_cost * commitment + codebook_loss,
            commitment_loss=commitment.detach(),
            codebook_loss=codebook_loss.detach(),
            statistics=code_counts(tokens, indices, len(codebook)),
        )


class GradientQuantizer(LearnedCodebookQuantizer):
    """A codebook whose codes are parameters themselves."""

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__(config)
        self.codebook = nn.Parameter(torch.zeros(config.num_embeddings, dim))

    @torch.no_grad()
    def initialise(self, draw: DrawCodes, cluster_size: float) -> None:  # noqa: ARG002
        """Starts the codebook at random codes."""
        self.codebook.copy_(draw(0, (len(self.codebook), self.codebook.shape[1])))

    def codes(self) -> Float[Tensor, "k d"]:
        """Returns the codebook."""
        return self.codebook
