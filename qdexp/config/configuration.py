"""The complete, typed configuration of one training run.

Every field that changes a result is here, under the name that the field's literature uses. Values
are strict (``"8192"`` is not 8192), frozen, and valid from birth.
"""

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from qdexp.errors import ConfigurationError, nearest

Value = Any
"""A field's value as plain data: a number, a text, a truth value, a list of them, or None."""

Patch = Annotated[int, Field(ge=1, le=8)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown fields and loose types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelConfig(Section):
    """The quantized diffusion predictor."""

    latent_channels: int = Field(16, ge=1, le=256, description="Channels C of a latent.")
    num_embeddings: int = Field(8192, ge=2, le=262_144, description="Codes K in the codebook.")
    embedding_dim: int = Field(512, ge=1, le=4096, description="Dimensions of a code.")
    hidden_dim: int = Field(1024, ge=8, le=16_384, description="Width of the transformer.")
    num_layers: int = Field(12, ge=1, le=128, description="Transformer blocks.")
    num_heads: int = Field(16, ge=1, le=128, description="Attention heads; divides hidden_dim.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout probability in the blocks.")
    max_frames: int = Field(64, ge=1, le=4096, description="Most latent frames of one clip.")
    max_grid: int = Field(
        64, ge=1, le=4096, description="Most tokens along the height, and along the width."
    )
    patch_size: tuple[Patch, Patch, Patch] = Field(
        (1, 2, 2), strict=False, description="Latent frames, rows and columns in one token."
    )
    commitment_cost: float = Field(
        0.25, ge=0, le=100, description="Weight beta of the commitment term in vq_loss."
    )
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="Decay of the codebook's moving averages, per step."
    )
    dead_code_threshold: float = Field(
        0.0,
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
        1000, ge=10, le=10_000, description="Timesteps of the schedule; t = 0 has least noise."
    )
    min_step: int = Field(20, ge=0, le=9_999, description="Least timestep trained, inclusive.")
    max_step: int = Field(980, ge=0, le=9_999, description="Greatest timestep trained, inclusive.")
    beta_schedule: Literal["linear", "cosine"] = Field(
        "linear", description="linear (Ho et al., 2020) or cosine (Nichol and Dhariwal, 2021)."
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
        100, ge=1, le=1_000_000, description="Passes over the clips, unless max_steps is given."
    )
    max_steps: int | None = Field(
        None, ge=1, le=100_000_000, description="Optimizer steps; replaces num_epochs."
    )
    batch_size: int = Field(4, ge=1, le=65_536, description="Clips per micro-batch.")
    gradient_accumulation_steps: int = Field(
        2, ge=1, le=4096, description="Micro-batches per optimizer step."
    )
    learning_rate: float = Field(1e-4, gt=0, description="AdamW's rate after the warm-up.")
    warmup_steps: int = Field(
        1000, ge=0, le=10_000_000, description="Steps over which the rate rises linearly."
    )
    weight_decay: float = Field(0.01, ge=0, le=10, description="AdamW's decay, on matrices only.")
    max_grad_norm: float = Field(
        1.0, gt=0, description="The gradient is scaled down to this L2 norm."
    )
    quantization_weight: float = Field(
        0.1, ge=0, le=1000, description="Weight of vq_loss in loss, beside denoising_loss."
    )
    num_threads: int = Field(
        1, ge=1, le=1024, description="CPU threads of the computation; they change last bits."
    )
    log_every_steps: int = Field(
        10, ge=1, le=1_000_000, description="Steps over which train.* is averaged and recorded."
    )
    checkpoint_every_steps: int = Field(
        500, ge=1, le=1_000_000, description="Steps between two checkpoints."
    )


class DataConfig(Section):
    """The clips and the autoencoder that makes latents of them."""

    kind: Literal["moving_digits"] = Field("moving_digits", description="Where clips come from.")
    num_train_clips: int = Field(512, ge=1, le=10_000_000, description="Clips to train on.")
    num_eval_clips: int = Field(64, ge=1, le=100_000, description="Clips held out.")
    num_frames: int = Field(17, ge=1, le=1025, description="Frames of a clip, 1 + 4k.")
    height: int = Field(64, ge=32, le=2048, multiple_of=8, description="Rows of a frame, pixels.")
    width: int = Field(64, ge=32, le=2048, multiple_of=8, description="Columns, pixels.")
    seed: int = Field(0, ge=0, description="Which clips are generated; not the trial's seed.")
    autoencoder: Literal["pca3d"] = Field("pca3d", description="Pixels to latents and back.")

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

    num_clips: int = Field(64, ge=2, le=100_000, description="Held-out clips measured at the end.")
    num_levels: int = Field(
        16, ge=2, le=256, description="Noise levels, evenly spaced in log-SNR from -4 to 5."
    )
    curve_steps: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0, 50, 100, 150),
        strict=False,
        description="Steps at which eval.* is also measured, on a subset; later ones are ignored.",
    )
    curve_clips: int = Field(4, ge=1, le=100_000, description="Clips of that subset.")
    curve_levels: int = Field(4, ge=1, le=256, description="Noise levels of that subset.")
    codebook_tokens: int = Field(
        65_536, ge=1, description="Tokens over which codebook usage and perplexity are counted."
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
            raise ValueError(f"evaluation.curve_steps: expected rising steps, found {list(self.curve_steps)}")
        return self


class Configuration(Section):
    """Everything that decides the result of one training run, but its seed."""

    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.evaluation.num_clips > self.data.num_eval_clips:
            raise ValueError(
                "evaluation.num_clips: expected at most data.num_eval_clips, found "
                f"{self.evaluation.num_clips} and {self.data.num_eval_clips}"
            )
        latent = self.latent_shape
        for axis, size, patch in zip("thw", latent[1:], self.model.patch_size, strict=True):
            if size % patch:
                raise ValueError(
                    f"model.patch_size: expected a divisor of the size along {axis}, found {patch} "
                    f"for {size} (latents are {latent})"
                )
        limits = (self.model.max_frames, self.model.max_grid, self.model.max_grid)
        tokens = tuple(s // p for s, p in zip(latent[1:], self.model.patch_size, strict=True))
        if any(count > limit for count, limit in zip(tokens, limits, strict=True)):
            raise ValueError(
                f"expected a clip's tokens within model.max_frames, max_grid, max_grid, found {tokens} "
                f"for {limits}"
            )
        available = self.evaluation.num_clips * self.evaluation.num_levels * self.tokens_per_clip
        if self.evaluation.codebook_tokens > available:
            raise ValueError(
                "evaluation.codebook_tokens: expected at most num_clips x num_levels x tokens per "
                f"clip, found {self.evaluation.codebook_tokens} for {available}"
            )
        return self

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Shape (C, T, H, W) of a clip's latent."""
        frames = 1 + (self.data.num_frames - 1) // 4
        return (
            self.model.latent_channels,
            frames,
            self.data.height // 8,
            self.data.width // 8,
        )

    @property
    def tokens_per_clip(self) -> int:
        """Tokens, hence codes, of one clip."""
        _, frames, rows, columns = self.latent_shape
        t, h, w = self.model.patch_size
        return (frames // t) * (rows // h) * (columns // w)

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole training."""
        if self.training.max_steps is not None:
            return self.training.max_steps
        batch = self.training.batch_size * self.training.gradient_accumulation_steps
        return self.training.num_epochs * max(1, self.data.num_train_clips // batch)

    def fields(self) -> dict[str, Value]:
        """Returns every field under its dotted name, as plain JSON values."""
        return {
            f"{section}.{name}": value
            for section, values in self.model_dump(mode="json").items()
            for name, value in values.items()
        }

    def value(self, field: str) -> Value:
        """Returns the value of a dotted field.

        Raises:
            ConfigurationError: There is no such field.
        """
        section, name = split_field(field)
        return getattr(getattr(self, section), name)

    def replace(self, changes: dict[str, Value]) -> "Configuration":
        """Returns a configuration with the dotted fields in `changes` set, validated as a whole.

        Raises:
            ConfigurationError: A field is unknown or a value is not allowed.
        """
        values = self.model_dump()
        for field, value in changes.items():
            section, name = split_field(field)
            values[section][name] = value
        try:
            return Configuration.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(problem_of(error)) from None


def check_value(field: str, value: Value) -> Value:
    """Returns `value` as the dotted field holds it, checked against its type and range alone.

    Raises:
        ConfigurationError: The field is unknown or the value is not allowed.
    """
    section, name = split_field(field)
    kind = Configuration.model_fields[section].annotation
    assert kind is not None and issubclass(kind, Section)
    info = kind.model_fields[name]
    adapter = TypeAdapter(Annotated[info.annotation, info], config=Section.model_config)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problem = problem_of(error).lstrip(".: ")
        raise ConfigurationError(f"{field}: {problem}") from None


@cache
def field_names() -> tuple[str, ...]:
    """Returns the dotted name of every field."""
    return tuple(Configuration().fields())


def split_field(field: str) -> tuple[str, str]:
    """Splits a dotted field into its section and name.

    Raises:
        ConfigurationError: There is no such field; the message names the nearest.
    """
    if field not in field_names():
        raise ConfigurationError(
            f"expected a configuration field, found '{field}'{nearest(field, field_names())}"
        )
    section, _, name = field.partition(".")
    return section, name


def problem_of(error: ValidationError) -> str:
    """Says in one line what the first error of a validation expected and found."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        return f"expected a configuration field, found '{where}'{nearest(where, field_names())}"
    message = first["msg"].removeprefix("Input ").replace("should be", "expected", 1)
    return f"{where}: {message}, found {first['input']!r}"
