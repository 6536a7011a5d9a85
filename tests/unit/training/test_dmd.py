"""The DMD objective on the small model: what may move, what may not, and how often."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.errors import CheckpointError, DivergedError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training import dmd
from qdexp.training.course import Course
from qdexp.training.dmd import dmd_step
from qdexp.training.learner import Learner
from qdexp.training.run_trial import run_trial
from qdexp.training.training_state import TrainingState
from tests.unit.training.distillation import DMD, networks
from tests.unit.training.measured_numbers import numbers

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]
MakeTrial = Callable[..., Trial]


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_student_and_fake_score_start_as_the_teacher(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    state, fake, real = networks(start(make_config(**DMD), teacher=teacher)[0])
    known = dict(real.named_parameters())

    assert known.keys() == dict(fake.model.named_parameters()).keys()
    assert all(torch.equal(p, known[n]) for n, p in fake.model.named_parameters())
    assert all(torch.equal(p, known[n]) for n, p in state.model.named_parameters())
    assert state.model.quantizer.num_values == 64 * 8
    assert fake.model.quantizer.num_values == 0


def test_the_teacher_is_never_moved_and_the_others_are(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    started, course = start(make_config(**DMD), teacher=teacher)
    state, fake, real = networks(started)
    before = [values(model) for model in (real, fake.model, state.model)]
    for _ in range(3):
        dmd_step(state, course)

    assert are_equal(values(real), before[0])
    assert not are_equal(values(fake.model), before[1])
    assert not are_equal(values(state.model), before[2])
    assert not any(parameter.requires_grad for parameter in real.parameters())


def test_an_update_of_the_fake_score_leaves_the_student_and_its_codebook_alone(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    started, course = start(make_config(**DMD), teacher=teacher)
    state, fake, _ = networks(started)
    dmd_step(state, course)
    student, score = values(state.model), values(fake.model)
    for _ in range(3):
        dmd._update_fake(state, course, fake)  # pyright: ignore[reportPrivateUsage]

    assert are_equal(values(state.model), student)
    assert not are_equal(values(fake.model), score)


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_the_fake_score_is_updated_as_often_as_configured(
    make_config: MakeConfig,
    start: Start,
    teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
    ratio: int,
) -> None:
    config = make_config(**DMD | {"distillation__fake_updates": ratio})
    started, course = start(config, teacher=teacher)
    state, fake, _ = networks(started)
    taken: list[str] = []
    descend = Learner.descend

    def counted(self: Learner, learning_rate: float) -> None:
        taken.append("fake" if self is fake else "student")
        descend(self, learning_rate)

    monkeypatch.setattr(Learner, "descend", counted)
    for _ in range(3):
        dmd_step(state, course)

    assert taken == ([*["fake"] * ratio, "student"]) * 3
    assert (state.step, state.fake_updates) == (3, 3 * ratio)


def test_memory_that_runs_out_between_two_updates_repeats_none(
    make_config: MakeConfig, start: Start, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[TrainingState] = []
    for fails in (False, True):
        state, course = start(make_config(**DMD), teacher=teacher)
        if fails:
            with monkeypatch.context() as patch:
                patch.setattr(dmd, "_update_student", run_out)
                with pytest.raises(torch.OutOfMemoryError):
                    dmd_step(state, course)
            assert (state.step, state.fake_updates) == (0, 2)
        dmd_step(state, course)
        states.append(state)

    assert are_equal(values(states[0].model), values(states[1].model))
    assert states[0].fake_updates == states[1].fake_updates == 2


def run_out(*_: object) -> dict[str, float]:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_student_and_fake_score_have_rates_and_betas_of_their_own(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    rates = {
        "training__warmup_steps": 0,
        "distillation__learning_rate": 3e-4,
        "distillation__fake_learning_rate": 7e-4,
        "distillation__betas": [0.1, 0.9],
    }
    started, course = start(make_config(**DMD | rates), teacher=teacher)
    state, fake, _ = networks(started)
    dmd_step(state, course)

    for learner, rate in ((state.learner, 3e-4), (fake, 7e-4)):
        groups = learner.optimizer.param_groups
        assert {group["lr"] for group in groups} == {rate}
        assert {group["betas"] for group in groups} == {(0.1, 0.9)}


def test_a_student_diverges_as_any_trial_does(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    state, course = start(make_config(**DMD), teacher=teacher)
    with torch.no_grad():
        state.model.output.weight[0] = torch.inf

    with pytest.raises(DivergedError, match=r"lower distillation\.fake_learning_rate"):
        dmd_step(state, course)
    assert state.step == 0


def finished(trial: Trial, workspace: Workspace) -> Outcome:
    *_, outcome = run_trial(trial, workspace)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.usefixtures("report_every_step")
@pytest.mark.parametrize(
    "changes",
    [{}, {"model__quantizer": "none"}, {"model__codes_per_token": 2}],
    ids=["ema", "none", "residual"],
)
def test_a_distillation_closed_at_any_report_goes_on_bit_for_bit(
    make_trial: MakeTrial,
    latents_folder: Path,
    teacher: Path,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    trial = make_trial(
        **DMD
        | {
            "distillation__max_steps": 4,
            "training__ema_weights_decay": 0.9,
            "evaluation__num_samples": 3,
        }
        | changes
    )

    def workspace(name: str) -> Workspace:
        return Workspace(folder=tmp_path / name, latents=latents_folder, teacher=teacher)

    expected = numbers(finished(trial, workspace("in one go")))
    for count in range(1, 6):
        stopped = run_trial(trial, workspace(f"{count}"))
        for _ in range(count):
            next(stopped)
        stopped.close()
        outcome = finished(trial, workspace(f"{count}"))

        assert outcome.provenance["resumed_from_step"] == count - 1
        assert numbers(outcome) == expected


def test_without_a_teacher_nothing_begins(
    make_trial: MakeTrial, make_workspace: Callable[..., Workspace]
) -> None:
    with pytest.raises(CheckpointError, match="expected the final checkpoint of a teacher"):
        next(run_trial(make_trial(**DMD), make_workspace("a")))
