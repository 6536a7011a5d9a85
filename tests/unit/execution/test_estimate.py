"""An estimate follows from what trials of the same shape took, and says how sure it is."""

from dataclasses import replace

import pytest

from qdexp.config.configuration import Value
from qdexp.config.presets import preset
from qdexp.execution.estimate import (
    Capacity,
    Estimate,
    Measured,
    Measurements,
    capacity_of,
    estimate,
)
from qdexp.execution.shape import INDIFFERENT, shape_of
from qdexp.experiment.plan import Known, make_plan
from qdexp.experiment.spec import Resources
from qdexp.experiment.trial import Trial

FIELD = "model.num_embeddings"
ONE_AT_A_TIME = Capacity(side_by_side=1, gpus_per_trial=0)
TOOK = Measured(
    source="trial",
    step_seconds=2.0,
    fastest=1.0,
    slowest=4.0,
    num_steps=50,
    other_seconds=10.0,
    peak_memory_bytes=1000,
    disk_bytes=500,
)


def trial(seed: int = 0, /, **changes: object) -> Trial:
    fields = {"training.max_steps": 100} | {k.replace("__", "."): v for k, v in changes.items()}
    return Trial(configuration=preset("tiny").replace(fields), seed=seed, data_fingerprint="d")


def known_of(*taken: Measured) -> Measurements:
    shape = shape_of(trial())
    return Measurements(steps={shape.steps: taken}, whole={shape.whole: taken})


def estimated(
    trials: list[Trial],
    measured: Measurements,
    capacity: Capacity = ONE_AT_A_TIME,
    known: dict[str, Known] | None = None,
) -> Estimate:
    asked = [(each, {FIELD: 1}) for each in trials]
    return estimate(make_plan("e", asked, known or {}, []), measured, capacity)


def test_a_trial_takes_its_steps_and_the_rest() -> None:
    found = estimated([trial()], known_of(TOOK, replace(TOOK, step_seconds=4.0)))
    assert found.worker_seconds is not None
    assert (found.worker_seconds.low, found.worker_seconds.expected) == (210.0, 310.0)
    assert found.worker_seconds.high == 410.0
    assert (found.peak_memory_bytes, found.disk_bytes) == (1000, 500)
    assert "2 past trials of the same shape" in found.sources[0]


def test_a_single_trial_s_range_is_that_of_its_own_steps() -> None:
    found = estimated([trial()], known_of(TOOK))
    assert found.worker_seconds is not None
    assert (found.worker_seconds.low, found.worker_seconds.high) == (110.0, 410.0)
    assert "one past trial" in found.sources[0]


def test_steps_that_a_checkpoint_has_are_not_taken_again() -> None:
    begun = {trial().trial_id: Known(step=90)}
    found = estimated([trial()], known_of(TOOK), known=begun)
    assert found.worker_seconds is not None
    assert found.worker_seconds.expected == 30.0


def test_trials_side_by_side_end_earlier_and_hold_gpus_as_long() -> None:
    trials = [trial(seed) for seed in range(5)]
    found = estimated(trials, known_of(TOOK), Capacity(side_by_side=2, gpus_per_trial=0.5))
    assert found.wall_seconds is not None
    assert found.worker_seconds is not None
    assert found.gpu_hours is not None
    assert found.wall_seconds.expected == 3 * 210.0
    assert found.worker_seconds.expected == 5 * 210.0
    assert found.gpu_hours.expected == pytest.approx(5 * 210.0 * 0.5 / 3600)


def test_stages_wait_for_each_other() -> None:
    short, long = trial(), trial(training__max_steps=200)
    assert short.trajectory_id == long.trajectory_id
    found = estimated([short, long], known_of(TOOK), Capacity(side_by_side=2, gpus_per_trial=0))
    assert found.wall_seconds is not None
    assert found.wall_seconds.expected == 210.0 + 410.0


def test_shape_that_was_never_measured_is_in_no_sum() -> None:
    other = trial(model__num_embeddings=64)
    found = estimated([trial(), other], known_of(TOOK))
    assert found.unknown == (other.trial_id,)
    assert found.worker_seconds is not None
    assert found.worker_seconds.expected == 210.0
    nothing = estimated([other], known_of(TOOK))
    assert (nothing.wall_seconds, nothing.gpu_hours, nothing.sources) == (None, None, ())


def test_other_evaluation_is_said_where_it_is_all_that_is_known() -> None:
    other = trial(evaluation__num_clips=4, evaluation__codebook_tokens=1000)
    found = estimated([other], known_of(TOOK))
    assert found.worker_seconds is not None
    assert any("measure something else" in each for each in found.sources)
    assert not any(
        "measure something else" in s for s in estimated([trial()], known_of(TOOK)).sources
    )


def test_a_probe_says_that_it_was_alone() -> None:
    found = estimated([trial()], known_of(replace(TOOK, source="probe", num_steps=8)))
    assert "a probe of 8 steps in all, alone on this machine" in found.sources[0]


@pytest.mark.parametrize(
    ("field", "value", "is_same"),
    [
        ("training.learning_rate", 1e-5, True),
        ("training.max_steps", 7, True),
        ("diffusion.min_step", 30, True),
        ("data.num_train_clips", 64, True),
        ("evaluation.num_clips", 25, True),
        ("model.num_embeddings", 64, False),
        ("training.batch_size", 8, False),
        ("data.height", 128, False),
        ("model.quantizer", "none", False),
        ("training.precision", "bf16", False),
        ("training.activation_checkpointing", True, False),
    ],
)
def test_shape_is_what_decides_the_cost_of_a_step(field: str, value: Value, is_same: bool) -> None:  # noqa: FBT001
    other = trial(**{field: value})
    assert (shape_of(other).steps == shape_of(trial()).steps) == is_same


def test_fields_that_decide_nothing_exist() -> None:
    assert set(preset("tiny").fields()) >= INDIFFERENT


def test_a_student_s_steps_depend_on_how_it_is_sampled() -> None:
    student = {"training.objective": "dmd", "diffusion.sampling_steps": 4}
    two, four = (trial(**(student | {"diffusion.sampling_steps": n})) for n in (2, 4))
    assert shape_of(two).steps != shape_of(four).steps
    assert shape_of(trial(diffusion__sampling_steps=9)).steps == shape_of(trial()).steps


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "side_by_side", "gpus_per_trial"),
    [
        (Resources(), 2, 0, 2, 0.0),
        (Resources(cpus=2), 3, 0, 1, 0.0),
        (Resources(cpus=4), 2, 0, 1, 0.0),
        (Resources(), 16, 4, 4, 1.0),
        (Resources(gpus=0.5), 16, 4, 8, 0.5),
        (Resources(gpus=0.4), 16, 4, 8, 0.4),
        (Resources(gpus=2), 16, 5, 2, 2.0),
        (Resources(gpus=0), 16, 4, 16, 0.0),
    ],
)
def test_capacity_is_what_fits_a_machine(
    resources: Resources, cpus: int, gpus: int, side_by_side: int, gpus_per_trial: float
) -> None:
    found = capacity_of(resources, cpus=cpus, gpus=gpus)
    assert found == Capacity(side_by_side=side_by_side, gpus_per_trial=gpus_per_trial)
