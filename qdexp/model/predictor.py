"""The quantized diffusion predictor: a noisy latent in, codes and what follows from them out.

Axes: b clips, c channels, t frames, h rows, w columns of a latent, tt hh ww the token grid,
d width, e dimensions of a feature, q codes of a token.
"""

# pyright: basic

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from qdexp.config.model_config import ModelConfig
from qdexp.errors import ConfigurationError
from qdexp.model.patches import latents_from_patches, patches_from_latents, values_per_patch
from qdexp.model.positions import rotations
from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.quantization import CodeStatistics
from qdexp.model.transformer_block import (
    Attended,
    TransformerBlock,
    modulate,
    normalisation,
    over_grid,
)

NUM_FREQUENCIES = 128
"""Frequencies of the timestep embedding, from 1 down to 1/10,000 radians a step."""

GRAPHS_OF_A_BLOCK = 64
"""For each size, with gradients and without, over space and over time; all blocks share them."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the predictor says about a batch.

    Args:
        output: What sampling uses: the clean latents, the noise or v.
        quantized_output: The same through the codes, on whatever path sampling is.
        indices: The codes of every token, over the token grid.
        vq_loss: The quantizer's loss: what is trained.
        commitment_loss: Its part that moves the tokens to their codes, unweighted.
        codebook_loss: Its part that moves the codes to their tokens, unweighted.
        statistics: For the quantizer's update, after the optimizer's step.
    """

    output: Float[Tensor, "b c t h w"]
    quantized_output: Float[Tensor, "b c t h w"]
    indices: Int[Tensor, "b tt hh ww q"]
    vq_loss: Float[Tensor, ""]
    commitment_loss: Float[Tensor, ""]
    codebook_loss: Float[Tensor, ""]
    statistics: CodeStatistics


class QuantizedDiffusionPredictor(nn.Module):
    """A transformer over the patches of a latent video, quantized before or at its output.

    `forward` is `decide(features(x_t, t))`; the parts are public, so that the quantizer can be
    bypassed without running the transformer again. It calls their private bodies: FSDP2 puts hooks
    around what is public, and they are not made to nest.

    Args:
        config: The model's section.

    Attributes:
        checkpoint_activations: Whether a training recomputes what happens inside of the blocks
            instead of keeping it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_activations = False
        width, patch = config.hidden_dim, config.patch_size
        self.input = nn.Conv3d(config.latent_channels, width, kernel_size=patch, stride=patch)
        if config.positions == "learned":
            self.frame_positions = nn.Parameter(torch.zeros(config.max_frames, width))
            self.row_positions = nn.Parameter(torch.zeros(config.max_grid, width))
            self.column_positions = nn.Parameter(torch.zeros(config.max_grid, width))
        self.time = nn.Sequential(
            nn.Linear(2 * NUM_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(config, attended_by_block(config, number))
            for number in range(config.num_layers)
        )
        is_modulated = config.conditioning == "adaln_zero"
        self.modulation = nn.Linear(width, 2 * width) if is_modulated else None
        self.norm = normalisation(config)
        self.to_code = nn.Linear(width, config.embedding_dim)
        is_bottleneck = config.quantizer_placement == "bottleneck"
        patch_values = values_per_patch(config.latent_channels, patch)
        self.quantizer = build_quantizer(
            config, config.embedding_dim if is_bottleneck else patch_values
        )
        self.output = nn.ConvTranspose3d(
            config.embedding_dim, config.latent_channels, kernel_size=patch, stride=patch
        )

    def forward(self, x_t: Float[Tensor, "b c t h w"], t: Int[Tensor, " b"]) -> Prediction:
        """Returns what is behind `x_t`, noised to timesteps `t`."""
        return self._decide(self._features(x_t, t))

    def features(
        self, x_t: Float[Tensor, "b c t h w"], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b tt hh ww e"]:
        """Returns what the transformer makes of every token of the (tt, hh, ww) grid.

        Raises:
            ConfigurationError: The latents have a size that the model was not built for.
        """
        return self._features(x_t, t)

    def decide(self, z: Float[Tensor, "b tt hh ww e"]) -> Prediction:
        """Returns the output that features stand for, and the codes."""
        return self._decide(z)

    def bypass(self, z: Float[Tensor, "b tt hh ww e"]) -> Float[Tensor, "b c t h w"]:
        """Returns the output that features stand for without the quantizer."""
        return self._project(z)

    def tokens(self, z: Float[Tensor, "b tt hh ww e"]) -> Float[Tensor, "b tt hh ww d"]:
        """Returns what the quantizer receives: features, or patches of the output."""
        if self.config.quantizer_placement == "bottleneck":
            return z
        return patches_from_latents(self._project(z), self.config.patch_size)

    def compile_blocks(self) -> None:
        """Compiles every block, each as one graph; parameters keep their names.

        What was compiled in this process before is forgotten: its sizes would decide which of this
        network's sizes get graphs of their own, and so the last bits of its numbers.
        """
        torch.compiler.reset()
        for block in self.blocks:
            block.compile(fullgraph=True, recompile_limit=GRAPHS_OF_A_BLOCK)

    def _features(
        self, x_t: Float[Tensor, "b c t h w"], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b tt hh ww e"]:
        self._check_size(x_t)
        # In the parameters' type from here on, also where autocast narrows the products.
        dtype = self.input.weight.dtype
        # Contiguous: of permuted tokens Inductor returns wrong gradients (torch 2.13, CPU).
        tokens = self.input(x_t).permute(0, 2, 3, 4, 1).to(dtype).contiguous()
        condition = self.time(timestep_embedding(t, dtype))
        rotation = None
        if self.config.positions == "learned":
            tokens = tokens + self._positions(tokens)
        else:
            head_dim = self.config.hidden_dim // self.config.num_heads
            rotation = rotations(tokens.shape[1:4], head_dim, like=tokens)
        if self.config.conditioning == "additive":
            tokens = tokens + over_grid(condition)
        for block in self.blocks:
            if self.checkpoint_activations and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, condition, rotation, use_reentrant=False)
            else:
                tokens = block(tokens, condition, rotation)
        tokens = self.norm(tokens)
        if self.modulation is not None:
            shift, scale = self.modulation(functional.silu(condition)).chunk(2, dim=-1)
            tokens = modulate(tokens, shift, scale)
        return self.to_code(tokens)

    def _decide(self, z: Float[Tensor, "b tt hh ww e"]) -> Prediction:
        if self.config.quantizer_placement == "bottleneck":
            quantization = self.quantizer(z)
            output = quantized = self._project(quantization.z_q)
        else:
            output = self._project(z)
            quantization = self.quantizer(patches_from_latents(output, self.config.patch_size))
            quantized = latents_from_patches(quantization.z_q, self.config.patch_size)
        return Prediction(
            output=output,
            quantized_output=quantized,
            indices=quantization.indices,
            vq_loss=quantization.vq_loss,
            commitment_loss=quantization.commitment_loss,
            codebook_loss=quantization.codebook_loss,
            statistics=quantization.statistics,
        )

    def _project(self, z: Float[Tensor, "b tt hh ww e"]) -> Float[Tensor, "b c t h w"]:
        return self.output(z.permute(0, 4, 1, 2, 3))

    def _positions(self, tokens: Float[Tensor, "b tt hh ww d"]) -> Float[Tensor, "tt hh ww d"]:
        frames, rows, columns = tokens.shape[1:4]
        return (
            self.frame_positions[:frames, None, None]
            + self.row_positions[:rows, None]
            + self.column_positions[:columns]
        )

    def _check_size(self, x_t: Float[Tensor, "b c t h w"]) -> None:
        config = self.config
        if x_t.shape[1] != config.latent_channels:
            raise ConfigurationError(
                f"expected latents of {config.latent_channels} channels, found {x_t.shape[1]}; "
                "use the autoencoder that the model was trained with, or train with another "
                "model.latent_channels"
            )
        limits = (config.max_frames, config.max_grid, config.max_grid)
        for axis, size, patch, limit in zip(
            ("frames", "rows", "columns"), x_t.shape[2:], config.patch_size, limits, strict=True
        ):
            if size % patch or not 0 < size <= patch * limit:
                raise ConfigurationError(
                    f"expected latents whose {axis} are a multiple of {patch} and at most "
                    f"{patch * limit}, found {size}; choose another size, or train with another "
                    "model.patch_size, model.max_frames or model.max_grid"
                )


def attended_by_block(config: ModelConfig, number: int) -> Attended:
    """Returns what a block, counted from 0, attends to.

    Factorised blocks take turns, space before time (Latte; Ma et al., 2024, variant 1).
    """
    if config.attention == "full":
        return "all"
    return "time" if number % 2 else "space"


def timestep_embedding(
    t: Int[Tensor, " b"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "b frequencies"]:
    """Returns sines and cosines of the timestep (Vaswani et al., 2017, section 3.5)."""
    precise = torch.promote_types(dtype, torch.float32)
    exponents = torch.arange(NUM_FREQUENCIES, device=t.device, dtype=precise) / NUM_FREQUENCIES
    angles = t[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1).to(dtype)


def initial_deviation(name: str, parameter: Tensor) -> float:
    """Returns the standard deviation of a parameter's initial values; 0 where they are zeros.

    Biases, scales (less 1) and modulations start at zero (adaLN-zero), positions small, and every
    other weight keeps the variance of what it receives.
    """
    if parameter.ndim <= 1 or "modulation" in name:
        return 0.0
    if name.endswith("positions"):
        return 0.02
    transposed = name == "output.weight"  # its shape is (in, out, *patch), its patches do not meet
    fan_in = parameter.shape[0] if transposed else parameter[0].numel()
    return fan_in**-0.5
