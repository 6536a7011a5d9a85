"""A configuration is right from birth, and the presets are what they claim."""

import json
from pathlib import Path

import pytest

from qdexp.config.configuration import Configuration, field_names
from qdexp.config.metrics import metric, names
from qdexp.config.presets import PRESETS, preset
from qdexp.errors import ConfigurationError

OF_THE_SYSTEM = {
    "model.latent_channels": 16, "model.num_embeddings": 8192, "model.embedding_dim": 512,
    "model.hidden_dim": 1024, "model.num_layers": 12, "model.num_heads": 16, "model.dropout": 0.1,
    "model.max_frames": 64, "diffusion.num_train_timesteps": 1000, "diffusion.min_step": 20,
    "diffusion.max_step": 980, "diffusion.beta_schedule": "linear", "training.num_epochs": 100,
    "training.batch_size": 4, "training.learning_rate": 1e-4,
    "training.gradient_accumulation_steps": 2, "training.warmup_steps": 1000,
    "training.quantization_weight": 0.1, "model.ema_decay": 0.99,
}  # fmt: skip


def test_medium_and_the_defaults_have_the_system_s_numbers() -> None:
    for configuration in (preset("medium"), Configuration()):
        fields = configuration.fields()
        assert {field: fields[field] for field in OF_THE_SYSTEM} == OF_THE_SYSTEM


@pytest.mark.parametrize("name", PRESETS)
def test_preset_survives_its_file(name: str) -> None:
    text = json.dumps(preset(name).model_dump(mode="json"))
    assert Configuration.model_validate_json(text) == preset(name)


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'medium'"):
        preset("medum")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.num_heads": 7}, "expected a divisor of model.hidden_dim, found 7 for 64"),
        ({"diffusion.min_step": 980}, "expected diffusion.min_step < diffusion.max_step"),
        ({"diffusion.max_step": 1000}, "found 20, 1000, 1000"),
        ({"data.num_frames": 16}, "the nearest are 13 and 17"),
        ({"data.num_frames": 2}, "the nearest are 1 and 5"),
        ({"model.patch_size": [1, 3, 1]}, "expected a divisor of the size along h, found 3 for 8"),
        (
            {"model.max_frames": 4},
            r"within model.max_frames, max_grid, max_grid, found \(5, 8, 8\)",
        ),
        ({"evaluation.curve_clips": 99}, "expected at most evaluation.num_clips, found 99"),
        ({"evaluation.num_clips": 99}, "expected at most data.num_eval_clips, found 99"),
        ({"evaluation.curve_steps": [5, 5]}, "expected rising steps"),
        ({"evaluation.codebook_tokens": 10**9}, "codebook_tokens: expected at most"),
        ({"training.learning_rate": float("nan")}, "expected a finite number"),
        ({"model.num_embeddings": 12.5}, "expected a valid integer, found 12.5"),
    ],
)
def test_values_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        preset("tiny").replace(change)


def test_every_field_has_a_description() -> None:
    schema = Configuration.model_json_schema()["$defs"]
    without = [
        f"{section}.{field}"
        for section, definition in schema.items()
        for field, facts in definition.get("properties", {}).items()
        if not facts.get("description")
    ]
    assert without == []


def test_number_of_steps_follows_from_epochs_unless_it_is_given() -> None:
    medium = preset("medium")
    per_epoch = medium.data.num_train_clips // 8
    assert medium.num_steps == 100 * per_epoch
    assert medium.replace({"training.max_steps": 5}).num_steps == 5


def test_metrics_are_defined_by_fields_that_exist() -> None:
    sections = {field.partition(".")[0] + ".*" for field in field_names()}
    for name in names():
        assert set(metric(name).defined_by) <= sections | set(field_names()), name


def test_loss_is_not_comparable_across_what_it_contains() -> None:
    assert metric("train.loss").is_defined_by("training.quantization_weight")
    for name in ("train.loss", "train.denoising_loss", "train.vq_loss"):
        assert metric(name).is_defined_by("diffusion.min_step")
    for field in ("training.quantization_weight", "model.num_embeddings", "diffusion.min_step"):
        assert not metric("eval.denoising_loss").is_defined_by(field)
    assert metric("eval.denoising_loss").is_defined_by("data.num_frames")


def test_presets_are_written_as_files(tmp_path: Path) -> None:
    from qdexp.cli.presets_command import write

    write(tmp_path / "configs")
    names = sorted(path.name for path in (tmp_path / "configs").iterdir())
    assert names == sorted(f"config_{name}.json" for name in PRESETS)
    text = (tmp_path / "configs" / "config_medium.json").read_text()
    assert Configuration.model_validate_json(text) == preset("medium")
