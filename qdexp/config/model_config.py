"""The model's section: every field with its type, range, default and meaning."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qdexp.config.section import Section

Patch = Annotated[int, Field(ge=1, le=8)]

ROPE_LEAST_DIM = 6
"""Dimensions of a head that rotate: a pair for each of frame, row and column."""


class ModelConfig(Section):
    """The quantized diffusion predictor."""

    latent_channels: int = Field(default=16, ge=1, le=256, description="Channels C of a latent.")
    num_embeddings: int = Field(
        default=8192, ge=2, le=262_144, description="Codes K in the codebook."
    )
    embedding_dim: int = Field(default=512, ge=1, le=4096, description="Dimensions of a code.")
    hidden_dim: int = Field(default=1024, ge=8, le=16_384, description="Width of the transformer.")
    num_layers: int = Field(default=12, ge=1, le=128, description="Transformer blocks.")
    num_heads: int = Field(
        default=16, ge=1, le=128, description="Attention heads; divides hidden_dim."
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="Dropout probability in the blocks."
    )
    max_frames: int = Field(
        default=64, ge=1, le=4096, description="Most latent frames of one clip."
    )
    max_grid: int = Field(
        default=64, ge=1, le=4096, description="Most tokens along the height, and along the width."
    )
    patch_size: tuple[Patch, Patch, Patch] = Field(
        default=(1, 2, 2), strict=False, description="Latent frames, rows and columns in one token."
    )
    commitment_cost: float = Field(
        default=0.25, ge=0, le=100, description="Weight beta of the commitment term in vq_loss."
    )
    ema_decay: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the codebook's moving averages, per step."
    )
    dead_code_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="A code whose moving count falls below this share of a uniform code's is "
        "replaced by a token of the batch; 0 replaces none.",
    )

    quantizer: Literal["ema", "cosine", "gradient", "simvq", "fsq", "lfq", "none"] = Field(
        default="ema",
        description="ema: moving averages (van den Oord et al., 2017, appendix A.1); cosine: the "
        "same on the unit sphere; gradient: codebook loss; simvq, fsq, lfq: those papers; none: "
        "the control without quantization.",
    )
    quantizer_placement: Literal["bottleneck", "output"] = Field(
        default="bottleneck",
        description="bottleneck: pred_x0 is decoded from codes; output: pred_x0 comes first and "
        "its patches are quantized.",
    )
    codes_per_token: int = Field(
        default=1, ge=1, le=16, description="Codes of one token, each quantizing what is left."
    )
    gradient_estimator: Literal["straight_through", "rotation"] = Field(
        default="straight_through",
        description="How the gradient passes the code search; rotation: Fifty et al., 2024.",
    )
    codebook_init: Literal["random", "kmeans"] = Field(
        default="random",
        description="Where the codes of ema and cosine begin; kmeans: at clusters of the tokens "
        "before training. Others begin in their own way.",
    )
    entropy_loss_weight: float = Field(
        default=0.1, ge=0, le=100, description="Weight of lfq's entropy loss in vq_loss."
    )
    attention: Literal["full", "factorised"] = Field(
        default="full",
        description="full: over all tokens; factorised: over space and over time, in turn.",
    )
    conditioning: Literal["adaln_zero", "additive"] = Field(
        default="adaln_zero",
        description="How blocks learn the timestep; adaln_zero: Peebles and Xie, 2023.",
    )
    positions: Literal["learned", "rope"] = Field(
        default="learned",
        description="How tokens learn their frame, row and column; rope: Su et al., 2021, in 3D.",
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_dim % self.num_heads:
            raise ValueError(
                "model.num_heads: expected a divisor of model.hidden_dim, found "
                f"{self.num_heads} for {self.hidden_dim}"
            )
        if self.positions == "rope" and self.hidden_dim // self.num_heads < ROPE_LEAST_DIM:
            raise ValueError(
                f"model.positions: expected at least {ROPE_LEAST_DIM} dimensions in a head for "
                f"rope, found {self.hidden_dim // self.num_heads}; lower model.num_heads"
            )
        if self.quantizer == "fsq" and not fsq_levels(self.num_embeddings):
            raise ValueError(
                "model.num_embeddings: expected a product of numbers from 3 to 8 for fsq, found "
                f"{self.num_embeddings}; powers of two from 4 on are"
            )
        if self.quantizer == "lfq" and self.num_embeddings.bit_count() != 1:
            raise ValueError(
                "model.num_embeddings: expected a power of two for lfq, found "
                f"{self.num_embeddings}"
            )
        if self.codes_per_token > 1 and self.quantizer in ("cosine", "fsq", "lfq"):
            raise ValueError(
                f"model.codes_per_token: expected 1 for {self.quantizer}, found "
                f"{self.codes_per_token}: what a code leaves of a token has another scale there"
            )
        if self.attention == "factorised" and self.num_layers == 1:
            raise ValueError(
                "model.num_layers: expected at least 2 for factorised attention, found 1: one "
                "block attends over space, the next over time"
            )
        return self


def fsq_levels(num_embeddings: int) -> tuple[int, ...]:
    """Returns the fewest levels from 3 to 8 whose product is `num_embeddings`, or none.

    So a finite scalar quantizer has as many codes as the codebooks that it is compared with.
    """
    if num_embeddings == 1:
        return ()
    found = [
        (level, *rest)
        for level in range(8, 2, -1)
        if num_embeddings % level == 0
        and ((rest := fsq_levels(num_embeddings // level)) or num_embeddings == level)
    ]
    return min(found, key=len, default=())
