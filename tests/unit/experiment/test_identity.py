"""A trial is what affects its result, and nothing else."""

from collections.abc import Mapping

import pytest

from qdexp.config import revision
from qdexp.config.configuration import Value, field_names
from qdexp.config.presets import preset
from qdexp.experiment import identity
from qdexp.experiment.trial import Trial

TINY = preset("tiny")

OTHER = {
    "model.latent_channels": 8, "model.num_embeddings": 64, "model.embedding_dim": 3,
    "model.hidden_dim": 32, "model.num_layers": 5, "model.num_heads": 2, "model.dropout": 0.5,
    "model.max_frames": 32, "model.max_grid": 16, "model.patch_size": [5, 1, 1],
    "model.commitment_cost": 0.5, "model.ema_decay": 0.5, "model.dead_code_threshold": 0.9,
    "diffusion.num_train_timesteps": 2000, "diffusion.min_step": 3, "diffusion.max_step": 900,
    "diffusion.beta_schedule": "cosine", "training.num_epochs": 3, "training.max_steps": 7,
    "training.batch_size": 3, "training.gradient_accumulation_steps": 7,
    "training.learning_rate": 0.5, "training.warmup_steps": 3, "training.weight_decay": 0.5,
    "training.max_grad_norm": 0.5, "training.quantization_weight": 0.5,
    "training.num_threads": 3, "training.data_order": 1, "training.log_every_steps": 3,
    "training.checkpoint_every_steps": 3, "data.num_train_clips": 100,
    "data.num_eval_clips": 100, "data.num_frames": 21, "data.height": 72, "data.width": 72,
    "data.seed": 5, "data.kind": "video_folder", "data.path": "elsewhere", "data.fps": 12.5,
    "data.stride": 2, "data.overlap": 3, "data.fit": "letterbox", "data.held_out_share": 0.3,
    "data.autoencoder": "wan", "data.autoencoder_path": "elsewhere",
    "evaluation.num_clips": 20, "evaluation.num_levels": 17,
    "evaluation.curve_steps": [1], "evaluation.curve_clips": 3, "evaluation.curve_levels": 3,
    "evaluation.codebook_tokens": 100, "evaluation.num_samples": 3,
    "evaluation.backbone": "i3d", "evaluation.backbone_path": "there.pt",
    "evaluation.backbone_sha256": "0" * 64, "evaluation.classifier": "digits",
    "evaluation.classifier_path": "there.pt", "evaluation.classifier_sha256": "0" * 64,
    "evaluation.classifier_splits": 2,
    "evaluation.shown_clips": 1,
    "model.quantizer": "gradient", "model.quantizer_placement": "output",
    "model.codes_per_token": 2, "model.gradient_estimator": "rotation",
    "model.codebook_init": "kmeans", "model.entropy_loss_weight": 0.5,
    "model.attention": "factorised", "model.conditioning": "additive", "model.positions": "rope",
    "diffusion.zero_terminal_snr": True, "diffusion.prediction_type": "v",
    "diffusion.sampling_steps": 3, "diffusion.sampling_eta": 0.5, "training.objective": "dmd",
    "training.lr_schedule": "cosine", "training.ema_weights_decay": 0.5,
    "training.precision": "bf16", "training.compile": True,
    "training.activation_checkpointing": True, "training.parallelism": "fsdp",
    "training.num_workers": 2, "distillation.max_steps": 5, "distillation.learning_rate": 0.5,
    "distillation.fake_learning_rate": 0.5, "distillation.fake_updates": 2,
    "distillation.betas": [0.5, 0.9], "distillation.score_min_step": 50,
    "distillation.score_max_step": 900, "distillation.regression_weight": 0.5,
}  # fmt: skip
VIDEOS = {"data.kind": "video_folder", "data.path": "here"}
WAN = {"data.autoencoder": "wan", "data.autoencoder_path": "here"}
FITTING = {
    "model.patch_size": {"evaluation.codebook_tokens": 100},
    "data.autoencoder_path": WAN,
    "data.autoencoder": {"data.autoencoder_path": "here"},
} | dict.fromkeys(
    ("data.kind", "data.path", "data.fps", "data.stride", "data.overlap", "data.fit",
     "data.held_out_share"), VIDEOS,
)  # fmt: skip
FILES = {"evaluation.backbone": "i3d", "evaluation.classifier": "c3d"} | {
    f"evaluation.{what}_{part}": "1" * 64
    for what in ("backbone", "classifier")
    for part in ("path", "sha256")
}
"""Networks in files, without which the fields that say more of them fit nothing."""
DMD = {"training.objective": "dmd"}
UNQUANTIZED = {"model.quantizer": "none"}


def trial(**changes: object) -> Trial:
    facts = {"configuration": TINY, "seed": 0, "data_fingerprint": "d"} | changes
    return Trial(**facts)  # pyright: ignore[reportArgumentType]


def changed(field: str, **others: object) -> Trial:
    changes = FITTING.get(field, {}) | others | {field: OTHER[field]}
    return trial(configuration=TINY.replace(changes))


def based_on(others: Mapping[str, Value]) -> Trial:
    return trial(configuration=TINY.replace(others))


def test_every_field_that_can_change_is_tried_here() -> None:
    assert set(OTHER) == set(field_names())


@pytest.mark.parametrize("field", OTHER)
def test_field_is_part_of_identity_unless_it_changes_no_result(field: str) -> None:
    others = DMD if field.startswith("distillation.") else {}
    if field == "model.entropy_loss_weight":
        others = {"model.quantizer": "lfq"}
    if field.startswith("evaluation.") and field.endswith(("_path", "_sha256")):
        others = FILES
    base = FITTING.get(field, {}) | others
    if field in ("model.patch_size", "data.kind", "data.autoencoder"):  # what fits only the other
        base = others
    is_same = changed(field, **others).trial_id == based_on(base).trial_id
    assert is_same == (field in identity.WITHOUT_EFFECT)


@pytest.mark.parametrize("field", [f for f in OTHER if f.startswith("distillation.")])
def test_what_distillation_says_is_no_part_of_a_diffusion_trial(field: str) -> None:
    assert changed(field).trial_id == trial().trial_id


@pytest.mark.parametrize("field", sorted(identity.QUANTIZER_FIELDS))
def test_what_a_quantizer_is_told_is_no_part_of_a_trial_without_one(field: str) -> None:
    lfq = {"model.quantizer": "lfq"} if field == "model.entropy_loss_weight" else {}
    assert changed(field, **lfq).trial_id != based_on(lfq).trial_id
    assert changed(field, **UNQUANTIZED).trial_id == based_on(UNQUANTIZED).trial_id


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("gradient", "model.ema_decay"),
        ("simvq", "model.dead_code_threshold"),
        ("lfq", "model.gradient_estimator"),
        ("ema", "model.entropy_loss_weight"),
        ("fsq", "model.codebook_init"),
        ("fsq", "model.commitment_cost"),
    ],
)
def test_what_a_kind_of_quantizer_does_not_read_is_no_part_of_its_trial(
    kind: str, field: str
) -> None:
    others = {"model.quantizer": kind}
    assert changed(field, **others).trial_id == based_on(others).trial_id


def test_fsq_reads_the_weights_of_losses_where_it_has_some() -> None:
    others = {"model.quantizer": "fsq", "model.quantizer_placement": "output"}
    assert changed("model.commitment_cost", **others).trial_id != based_on(others).trial_id


@pytest.mark.parametrize("what", ["backbone", "classifier"])
def test_where_a_network_is_does_not_matter_but_whether_it_is_there(what: str) -> None:
    here, elsewhere, nowhere = (
        based_on(FILES | {f"evaluation.{what}_path": path}) for path in ("here", "there", None)
    )
    assert here.trial_id == elsewhere.trial_id != nowhere.trial_id
    assert here.trajectory_id == nowhere.trajectory_id


def test_which_clips_are_made_is_no_part_of_a_trial_on_videos() -> None:
    assert changed("data.seed", **VIDEOS).trial_id == based_on(VIDEOS).trial_id


def test_the_order_that_there_always_was_leaves_identities_as_they_were() -> None:
    assert "training.data_order" not in identity.effective(TINY.fields())
    assert "training.data_order" in identity.effective(changed("training.data_order").ours.fields())


def test_a_twin_shares_the_teacher_of_its_seed() -> None:
    twin, student = changed("training.data_order", **DMD), based_on(DMD)
    assert twin.trial_id != student.trial_id
    assert twin.teacher == student.teacher


def test_seed_data_and_trainable_are_part_of_identity() -> None:
    ids = {
        trial().trial_id,
        trial(seed=1).trial_id,
        trial(data_fingerprint="e").trial_id,
        trial(trainable="m:f").trial_id,
    }
    assert len(ids) == 4


def test_revision_is_part_of_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trial().trial_id
    monkeypatch.setattr(identity, "RESULTS_REVISION", revision.RESULTS_REVISION + 1)
    assert trial().trial_id != before


@pytest.mark.parametrize(
    "field", ["training.max_steps", "evaluation.num_levels", "diffusion.sampling_steps"]
)
def test_length_and_evaluation_leave_the_trajectory_as_it_is(field: str) -> None:
    assert changed(field).trajectory_id == trial().trajectory_id


def test_a_rate_that_falls_to_the_end_makes_a_longer_training_another_one() -> None:
    cosine = {"training.lr_schedule": "cosine"}
    assert changed("training.max_steps", **cosine).trajectory_id != based_on(cosine).trajectory_id


def test_a_students_steps_are_its_own_length_and_sampling_steps_what_it_is_trained_for() -> None:
    student = DMD | {"distillation.max_steps": 9}
    short = based_on(student)

    assert changed("distillation.max_steps", **DMD).trajectory_id == short.trajectory_id
    for field in ("diffusion.sampling_steps", "training.max_steps"):
        assert changed(field, **student).trajectory_id != short.trajectory_id


@pytest.mark.parametrize("field", ["training.learning_rate", "model.ema_decay", "data.seed"])
def test_training_changes_the_trajectory(field: str) -> None:
    assert changed(field).trajectory_id != trial().trajectory_id


def test_trial_survives_its_journey_as_json() -> None:
    there = changed("model.patch_size")
    back = Trial.from_json(there.to_json())
    assert back == there
    assert back.trial_id == there.trial_id
