"""The complete, typed configuration of one training run.

Every field that changes a result is here, under the name that the field's literature uses. Values
are strict (``"8192"`` is not 8192), frozen, and valid from birth.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Self

from pydantic import TypeAdapter, ValidationError, model_validator

from qdexp.config.data_config import DataConfig
from qdexp.config.model_config import ModelConfig
from qdexp.config.section import Section
from qdexp.config.sections import DiffusionConfig, EvaluationConfig
from qdexp.config.training_config import DistillationConfig, TrainingConfig
from qdexp.errors import ConfigurationError, nearest

Value = Any
"""A field's value as plain data: a number, a text, a truth value, a list of them, or None."""

LEAST_TRAIN_CLIPS = 6
"""Three parts of two clips: to fit features to, to compare samples with, to compare with those."""


class Configuration(Section):
    """Everything that decides the result of one training run, but its seed."""

    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    training: TrainingConfig = TrainingConfig()
    distillation: DistillationConfig = DistillationConfig()
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.evaluation.num_clips > self.data.num_eval_clips:
            raise ValueError(
                "evaluation.num_clips: expected at most data.num_eval_clips, found "
                f"{self.evaluation.num_clips} and {self.data.num_eval_clips}"
            )
        if self.model.quantizer_placement == "output" and self.diffusion.prediction_type != "x0":
            raise ValueError(
                "model.quantizer_placement: expected bottleneck unless the network predicts x0, "
                f"found output with diffusion.prediction_type {self.diffusion.prediction_type}"
            )
        least, greatest = self.score_range
        trained = (self.diffusion.min_step, self.diffusion.max_step)
        if not trained[0] <= least < greatest <= trained[1]:
            raise ValueError(
                "expected diffusion.min_step <= distillation.score_min_step < "
                "distillation.score_max_step <= diffusion.max_step, where both scores are trained, "
                f"found {trained[0]}, {least}, {greatest}, {trained[1]}"
            )
        return self

    @model_validator(mode="after")
    def _clips_fit_the_network(self) -> Self:
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
                "expected a clip's tokens within model.max_frames, max_grid, max_grid, found "
                f"{tokens} for {limits}"
            )
        available = self.evaluation.num_clips * self.evaluation.num_levels * self.tokens_per_clip
        if self.model.quantizer != "none" and self.evaluation.codebook_tokens > available:
            raise ValueError(
                "evaluation.codebook_tokens: expected at most num_clips x num_levels x tokens per "
                f"clip, found {self.evaluation.codebook_tokens} for {available}"
            )
        return self

    @model_validator(mode="after")
    def _samples_can_be_measured(self) -> Self:
        if self.evaluation.num_samples and self.data.num_train_clips < LEAST_TRAIN_CLIPS:
            raise ValueError(
                f"data.num_train_clips: expected at least {LEAST_TRAIN_CLIPS} for samples to be "
                f"compared with, found {self.data.num_train_clips}"
            )
        if self.evaluation.classifier == "digits" and self.data.kind != "moving_digits":
            raise ValueError(
                "evaluation.classifier: expected digits for data.kind moving_digits only, found it "
                f"for {self.data.kind}"
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
        """Optimizer steps of the whole training: of the student's, where there is one."""
        if self.training.objective == "dmd" and self.distillation.max_steps is not None:
            return self.distillation.max_steps
        if self.training.max_steps is not None:
            return self.training.max_steps
        return self.training.num_epochs * max(1, self.data.num_train_clips // self.clips_per_step)

    @property
    def learning_rate(self) -> float:
        """The rate after the warm-up: the student's, where there is one."""
        if self.training.objective == "dmd" and self.distillation.learning_rate is not None:
            return self.distillation.learning_rate
        return self.training.learning_rate

    @property
    def clips_per_step(self) -> int:
        """Clips in one optimizer step, over all its micro-batches."""
        return self.training.batch_size * self.training.gradient_accumulation_steps

    @property
    def score_range(self) -> tuple[int, int]:
        """Least and greatest timestep of DMD's score comparison, both inclusive."""
        own = (self.distillation.score_min_step, self.distillation.score_max_step)
        return (
            self.diffusion.min_step if own[0] is None else own[0],
            self.diffusion.max_step if own[1] is None else own[1],
        )

    def plain(self) -> dict[str, Value]:
        """Returns the whole as plain JSON values, section by section."""
        return self.model_dump(mode="json")

    def fields(self) -> dict[str, Value]:
        """Returns every field under its dotted name, as plain JSON values."""
        return {
            f"{section}.{name}": value
            for section, values in self.plain().items()
            for name, value in values.items()
        }

    def value(self, field: str) -> Value:
        """Returns the value of a dotted field.

        Raises:
            ConfigurationError: There is no such field.
        """
        section, name = split_field(field)
        return getattr(getattr(self, section), name)

    def replace(self, changes: Mapping[str, Value]) -> "Configuration":
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


_SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig,
    "diffusion": DiffusionConfig,
    "training": TrainingConfig,
    "distillation": DistillationConfig,
    "data": DataConfig,
    "evaluation": EvaluationConfig,
}


def check_value(field: str, value: Value) -> Value:
    """Returns `value` as the dotted field holds it, checked against its type and range alone.

    Raises:
        ConfigurationError: The field is unknown or the value is not allowed.
    """
    section, name = split_field(field)
    try:
        return _adapter(section, name).validate_python(value)
    except ValidationError as error:
        problem = problem_of(error).lstrip(".: ")
        raise ConfigurationError(f"{field}: {problem}") from None


def value_schema(field: str) -> dict[str, Any]:
    """Returns the JSON Schema of a dotted field's values, with its meaning.

    Raises:
        ConfigurationError: There is no such field.
    """
    schema = _adapter(*split_field(field)).json_schema()
    del schema["default"]  # a spec begins with a preset, not with defaults
    return schema


@cache
def _adapter(section: str, name: str) -> TypeAdapter[Any]:
    field = _SECTIONS[section].model_fields[name]
    annotated: Any = Annotated[field.annotation, field]  # pyright: ignore[reportInvalidTypeForm]
    return TypeAdapter(annotated, config=Section.model_config)


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
        return str(first.get("ctx", {})["error"])
    if first["type"] == "extra_forbidden":
        return f"expected a configuration field, found '{where}'{nearest(where, field_names())}"
    if first["type"] == "missing":
        return f"expected a value for '{where}', which has no default, found none"
    message = first["msg"].removeprefix("Input ").replace("should be", "expected", 1)
    return f"{where}: {message}, found {first['input']!r}"
