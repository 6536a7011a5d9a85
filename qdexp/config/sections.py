"""The sections of a configuration: every field with its type, range, default and meaning."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Patch = Annotated[int, Field(ge=1, le=8)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown fields and loose types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_dim % self.num_heads:
            raise ValueError(
                "model.num_heads: expected a divisor of model.hidden_dim, found "
                f"{self.num_heads} for {self.hidden_dim}"
            )
        return self


class DiffusionConfig(Section):
    """The forward process and the timesteps that are trained."""

    num_train_timesteps: int = Field(
        default=1000,
        ge=10,
        le=10_000,
        description="Timesteps of the schedule; t = 0 has least noise.",
    )
    min_step: int = Field(
        default=20, ge=0, le=9_999, description="Least timestep trained, inclusive."
    )
    max_step: int = Field(
        default=980, ge=0, le=9_999, description="Greatest timestep trained, inclusive."
    )
    beta_schedule: Literal["linear", "cosine"] = Field(
        default="linear",
        description="linear (Ho et al., 2020) or cosine (Nichol and Dhariwal, 2021).",
    )

    @model_validator(mode="after")
    def _range_is_inside_the_schedule(self) -> Self:
        if not self.min_step < self.max_step < self.num_train_timesteps:
            raise ValueError(
                "expected diffusion.min_step < diffusion.max_step < diffusion.num_train_timesteps, "
                f"found {self.min_step}, {self.max_step}, {self.num_train_timesteps}"
            )
        return self


class TrainingConfig(Section):
    """The optimisation."""

    num_epochs: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="Passes over the clips, unless max_steps is given.",
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=100_000_000, description="Optimizer steps; replaces num_epochs."
    )
    batch_size: int = Field(default=4, ge=1, le=65_536, description="Clips per micro-batch.")
    gradient_accumulation_steps: int = Field(
        default=2, ge=1, le=4096, description="Micro-batches per optimizer step."
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="AdamW's rate after the warm-up.")
    warmup_steps: int = Field(
        default=1000, ge=0, le=10_000_000, description="Steps over which the rate rises linearly."
    )
    weight_decay: float = Field(
        default=0.01, ge=0, le=10, description="AdamW's decay, on matrices only."
    )
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="The gradient is scaled down to this L2 norm."
    )
    quantization_weight: float = Field(
        default=0.1, ge=0, le=1000, description="Weight of vq_loss in loss, beside denoising_loss."
    )
    num_threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="CPU threads of the computation; they change last bits.",
    )
    log_every_steps: int = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description="Steps over which train.* is averaged and recorded.",
    )
    checkpoint_every_steps: int = Field(
        default=500, ge=1, le=1_000_000, description="Steps between two checkpoints."
    )


class DataConfig(Section):
    """The clips and the autoencoder that makes latents of them."""

    kind: Literal["moving_digits"] = Field(
        default="moving_digits", description="Where clips come from."
    )
    num_train_clips: int = Field(default=512, ge=1, le=10_000_000, description="Clips to train on.")
    num_eval_clips: int = Field(default=64, ge=1, le=100_000, description="Clips held out.")
    num_frames: int = Field(default=17, ge=1, le=1025, description="Frames of a clip, 1 + 4k.")
    height: int = Field(
        default=64, ge=32, le=2048, multiple_of=8, description="Rows of a frame, pixels."
    )
    width: int = Field(default=64, ge=32, le=2048, multiple_of=8, description="Columns, pixels.")
    seed: int = Field(
        default=0, ge=0, description="Which clips are generated; not the trial's seed."
    )
    autoencoder: Literal["pca3d"] = Field(
        default="pca3d", description="Pixels to latents and back."
    )

    @model_validator(mode="after")
    def _frames_fit_the_autoencoder(self) -> Self:
        if self.num_frames % 4 != 1:
            below = self.num_frames - (self.num_frames - 1) % 4
            raise ValueError(
                f"data.num_frames: expected 1 + 4k, found {self.num_frames}; the nearest are "
                f"{below} and {below + 4}"
            )
        return self


class EvaluationConfig(Section):
    """What is measured on held-out clips, and how much of it."""

    num_clips: int = Field(
        default=64, ge=2, le=100_000, description="Held-out clips measured at the end."
    )
    num_levels: int = Field(
        default=16, ge=2, le=256, description="Noise levels, evenly spaced in log-SNR from -4 to 5."
    )
    curve_steps: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 50, 100, 150),
        strict=False,
        description="Steps at which eval.* is also measured, on a subset; later ones are ignored.",
    )
    curve_clips: int = Field(default=4, ge=1, le=100_000, description="Clips of that subset.")
    curve_levels: int = Field(default=4, ge=1, le=256, description="Noise levels of that subset.")
    codebook_tokens: int = Field(
        default=65_536,
        ge=1,
        description="Tokens over which codebook usage and perplexity are counted.",
    )

    @model_validator(mode="after")
    def _subset_is_contained(self) -> Self:
        for part, whole in (("curve_clips", "num_clips"), ("curve_levels", "num_levels")):
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(
                    f"evaluation.{part}: expected at most evaluation.{whole}, found "
                    f"{getattr(self, part)} and {getattr(self, whole)}"
                )
        if list(self.curve_steps) != sorted(set(self.curve_steps)):
            raise ValueError(
                f"evaluation.curve_steps: expected rising steps, found {list(self.curve_steps)}"
            )
        return self
