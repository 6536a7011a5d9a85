"""A student's teacher: the same network without codes, shared by all students of a seed."""

import pytest

from qdexp.config.presets import preset
from qdexp.experiment.trial import Trial

STUDENT = preset("tiny").replace(
    {"training.objective": "dmd", "diffusion.sampling_steps": 4, "distillation.max_steps": 9}
)


def trial(**changes: object) -> Trial:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return Trial(configuration=STUDENT.replace(named), seed=1, data_fingerprint="d")


def teacher(**changes: object) -> Trial:
    found = trial(**changes).teacher
    assert found is not None
    return found


def test_a_diffusion_trial_has_no_teacher() -> None:
    assert trial(training__objective="diffusion").teacher is None
    assert teacher().teacher is None


def test_a_teacher_is_the_unquantized_denoiser_of_the_same_seed_and_data() -> None:
    made, own = teacher(), trial()

    assert (made.seed, made.data_fingerprint, made.trainable) == (1, "d", own.trainable)
    assert made.ours.training.objective == "diffusion"
    assert made.ours.model.quantizer == "none"
    assert made.configuration.num_steps == 300
    assert own.configuration.num_steps == 9
    for field in ("model.hidden_dim", "training.learning_rate", "diffusion.max_step"):
        assert made.ours.value(field) == own.ours.value(field)


@pytest.mark.parametrize(
    "changes",
    [
        {"model__num_embeddings": 4096},
        {"model__quantizer": "fsq"},
        {"model__quantizer": "none"},
        {"model__codes_per_token": 2, "training__quantization_weight": 0.5},
        {"diffusion__sampling_steps": 2},
        {"evaluation__num_samples": 64},
        {"distillation__max_steps": 5, "distillation__learning_rate": 1e-5},
        {"distillation__fake_updates": 1, "distillation__score_min_step": 100},
    ],
)
def test_one_teacher_serves_all_that_does_not_act_on_it(changes: dict[str, object]) -> None:
    assert trial(**changes).trial_id != trial().trial_id
    assert teacher(**changes).trial_id == teacher().trial_id


@pytest.mark.parametrize(
    "changes",
    [
        {"model__embedding_dim": 8},
        {"training__max_steps": 200},
        {"training__learning_rate": 1e-5},
        {"diffusion__max_step": 900},
    ],
)
def test_what_acts_on_the_teacher_makes_another_one(changes: dict[str, object]) -> None:
    assert teacher(**changes).trial_id != teacher().trial_id


def test_the_same_network_as_a_condition_is_the_teachers_training() -> None:
    condition = trial(training__objective="diffusion", model__quantizer="none")

    assert condition.trajectory_id == teacher().trajectory_id
    assert condition.trial_id != teacher().trial_id, "it is sampled in other steps"
    as_sampled = {"diffusion__sampling_steps": 50}
    same = trial(training__objective="diffusion", model__quantizer="none", **as_sampled)
    assert same.trial_id == teacher().trial_id


def test_a_teacher_of_a_narrow_range_is_sampled_in_as_many_steps_as_there_are() -> None:
    narrow = {"diffusion__min_step": 900, "diffusion__max_step": 909}

    assert teacher(**narrow).ours.diffusion.sampling_steps == 10
