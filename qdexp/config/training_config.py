"""The training's sections: every field with its type, range, default and meaning."""

from typing import Annotated, Literal

from pydantic import Field

from qdexp.config.section import Section

Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Section):
    """The optimisation."""

    objective: Literal["diffusion", "dmd"] = Field(
        default="diffusion",
        description="diffusion: denoise; dmd: distil a teacher into few steps (Yin et al., 2024).",
    )
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
    lr_schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="The rate after the warm-up; cosine falls to 0 at the end."
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
    ema_weights_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of the weights' moving average, which is then measured and sampled.",
    )
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = Field(
        default="fp32",
        description="Of the computation; weights stay fp32 (but with fp64, which is for proofs).",
    )
    compile: bool = Field(default=False, description="Compile the transformer's blocks.")
    activation_checkpointing: bool = Field(
        default=False, description="Recompute the blocks' activations: less memory, more time."
    )
    parallelism: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="How several processes share one training."
    )
    num_workers: int = Field(
        default=0, ge=0, le=64, description="Threads that make the next batches."
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
    data_order: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Which order of the clips; another one is another training of the same kind.",
    )
    checkpoint_every_steps: int = Field(
        default=500, ge=1, le=1_000_000, description="Steps between two checkpoints."
    )


class DistillationConfig(Section):
    """Distribution matching distillation; only `training.objective: dmd` reads it.

    The other sections say how its teacher is trained, and what both have in common.
    """

    max_steps: int | None = Field(
        default=None,
        ge=1,
        description="The student's optimizer steps; None: as many as training's.",
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="The student's rate; None: training's."
    )
    fake_learning_rate: float | None = Field(
        default=None, gt=0, description="The fake score's rate; None: the student's."
    )
    fake_updates: int = Field(
        default=5, ge=1, le=100, description="Updates of the fake score for one of the student's."
    )
    betas: tuple[Beta, Beta] = Field(
        default=(0.0, 0.999), strict=False, description="Adam's, of the student and the fake score."
    )
    score_min_step: int | None = Field(
        default=None, ge=0, description="Least timestep of the score comparison; None: diffusion's."
    )
    score_max_step: int | None = Field(
        default=None, ge=0, description="Greatest timestep of it; None: diffusion's."
    )
    regression_weight: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="Weight of the distance to the teacher's own DDIM samples of the same noise.",
    )
