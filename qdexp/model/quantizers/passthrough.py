"""`none`: no quantization, the control of every ablation of it."""

# pyright: basic

import torch
from jaxtyping import Float
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.quantization import CodeStatistics, Quantization, Quantizer


class PassthroughQuantizer(Quantizer):
    """Tokens stay what they are, and have no codes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_embeddings = config.num_embeddings

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the tokens."""
        zero = tokens.new_zeros(())
        return Quantization(
            z_q=tokens,
            indices=torch.zeros(len(tokens), 0, dtype=torch.long, device=tokens.device),
            vq_loss=zero,
            commitment_loss=zero,
            codebook_loss=zero,
            statistics=CodeStatistics(
                counts=tokens.new_zeros(0, self.num_embeddings),
                sums=tokens.new_zeros(0, self.num_embeddings, 0),
                tokens=tokens.new_zeros(0, len(tokens), 0),
            ),
        )
