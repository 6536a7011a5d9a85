"""`simvq`: frozen codes behind a learned linear map (SimVQ; Zhu et al., 2024, section 4).

A gradient on any code moves the map, and so all codes: none is left behind.

Axes: k codes, d dimensions of a code.
"""

# pyright: basic

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.gradient import LearnedCodebookQuantizer
from qdexp.model.quantizers.quantization import DrawCodes


class SimVQQuantizer(LearnedCodebookQuantizer):
    """A codebook that is the image of frozen codes."""

    frozen_codebook: Tensor

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__(config)
        self.transform = nn.Linear(dim, dim, bias=False)
        self.register_buffer("frozen_codebook", torch.zeros(config.num_embeddings, dim))

    @torch.no_grad()
    def initialise(self, draw: DrawCodes, cluster_size: float) -> None:  # noqa: ARG002
        """Freezes random codes."""
        self.frozen_codebook.copy_(
            draw(0, (len(self.frozen_codebook), self.frozen_codebook.shape[1]))
        )

    def codes(self) -> Float[Tensor, "k d"]:
        """Returns the codes' images."""
        return self.transform(self.frozen_codebook)
