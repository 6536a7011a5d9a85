"""The quantized diffusion predictor: a noisy latent in, codes and the clean latent out.

Axes: b clips, c channels, t frames, h rows, w columns of a latent, n tokens, d width.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.sections import ModelConfig
from qdexp.errors import ConfigurationError
from qdexp.model.transformer_block import TransformerBlock, modulate
from qdexp.model.vector_quantizer import CodeStatistics, VectorQuantizer

NUM_FREQUENCIES = 128
"""Frequencies of the timestep embedding, from 1 down to 1/10,000 radians a step."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the predictor says about a batch.

    Args:
        pred_x0: The clean latents, decoded from codes.
        indices: The code of every token, over the token grid.
        vq_loss: The quantizer's loss.
        statistics: For the quantizer's update, after the optimizer's step.
    """

    pred_x0: Float[Tensor, "b c t h w"]
    indices: Int[Tensor, "b tt hh ww"]
    vq_loss: Float[Tensor, ""]
    statistics: CodeStatistics


class QuantizedDiffusionPredictor(nn.Module):
    """A transformer over the patches of a latent video, quantized before its output.

    `forward` is `project(quantizer(features(x_t, t)))`; the parts are public, so that the
    quantizer can be bypassed without running the transformer again.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.hidden_dim, config.patch_size
        self.input = nn.Conv3d(config.latent_channels, width, kernel_size=patch, stride=patch)
        self.frame_positions = nn.Parameter(torch.zeros(config.max_frames, width))
        self.row_positions = nn.Parameter(torch.zeros(config.max_grid, width))
        self.column_positions = nn.Parameter(torch.zeros(config.max_grid, width))
        self.time = nn.Sequential(
            nn.Linear(2 * NUM_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.modulation = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.to_code = nn.Linear(width, config.embedding_dim)
        self.quantizer = VectorQuantizer(config)
        self.output = nn.ConvTranspose3d(
            config.embedding_dim, config.latent_channels, kernel_size=patch, stride=patch
        )

    def forward(self, x_t: Float[Tensor, "b c t h w"], t: Int[Tensor, " b"]) -> Prediction:
        """Returns the clean latents behind `x_t`, noised to timesteps `t`."""
        quantized = self.quantizer(self.features(x_t, t))
        return Prediction(
            pred_x0=self.project(quantized.z_q),
            indices=quantized.indices,
            vq_loss=quantized.vq_loss,
            statistics=quantized.statistics,
        )

    def features(
        self, x_t: Float[Tensor, "b c t h w"], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b tt hh ww e"]:
        """Returns what the quantizer receives for every token of the (tt, hh, ww) grid.

        Raises:
            ConfigurationError: The latents have a size that the model was not built for.
        """
        self._check_size(x_t)
        grid = self.input(x_t).permute(0, 2, 3, 4, 1)  # (b, tt, hh, ww, d)
        tokens = (grid + self._positions(grid)).flatten(1, 3)
        condition = self.time(timestep_embedding(t))
        for block in self.blocks:
            tokens = block(tokens, condition)
        shift, scale = self.modulation(functional.silu(condition)).chunk(2, dim=-1)
        return self.to_code(modulate(self.norm(tokens), shift, scale)).unflatten(1, grid.shape[1:4])

    def project(self, z: Float[Tensor, "b tt hh ww e"]) -> Float[Tensor, "b c t h w"]:
        """Returns the latents that codes, or unquantized features, stand for."""
        return self.output(z.permute(0, 4, 1, 2, 3))

    def _positions(self, grid: Float[Tensor, "b tt hh ww d"]) -> Float[Tensor, "tt hh ww d"]:
        frames, rows, columns = grid.shape[1:4]
        return (
            self.frame_positions[:frames, None, None]
            + self.row_positions[:rows, None]
            + self.column_positions[:columns]
        )

    def _check_size(self, x_t: Float[Tensor, "b c t h w"]) -> None:
        limits = (self.config.max_frames, self.config.max_grid, self.config.max_grid)
        for axis, size, patch, limit in zip(
            ("frames", "rows", "columns"),
            x_t.shape[2:],
            self.config.patch_size,
            limits,
            strict=True,
        ):
            if size % patch or size > patch * limit:
                raise ConfigurationError(
                    f"expected latents whose {axis} are a multiple of {patch} and at most "
                    f"{patch * limit}, found {size}; choose another size, or train with another "
                    "model.patch_size, model.max_frames or model.max_grid"
                )


def timestep_embedding(t: Int[Tensor, " b"]) -> Float[Tensor, "b frequencies"]:
    """Returns sines and cosines of the timestep (Vaswani et al., 2017, section 3.5)."""
    exponents = torch.arange(NUM_FREQUENCIES, device=t.device) / NUM_FREQUENCIES
    angles = t[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def initial_deviation(name: str, parameter: Tensor) -> float:
    """Returns the standard deviation of a parameter's initial values; 0 where they are zeros.

    Biases and modulations start at zero (adaLN-zero), positions small, and every other weight
    keeps the variance of what it receives.
    """
    if parameter.ndim == 1 or "modulation" in name:
        return 0.0
    if name.endswith("positions"):
        return 0.02
    transposed = name == "output.weight"  # its shape is (in, out, *patch), its patches do not meet
    fan_in = parameter.shape[0] if transposed else parameter[0].numel()
    return fan_in**-0.5
