"""The DMD objective on the small model: what may move, what may not, and how often."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.config.metrics import metric
from qdexp.errors import CheckpointError, DivergedError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.model.predictor import Prediction
from qdexp.results.outcome import Outcome
from qdexp.training import dmd
from qdexp.training import run_trial as module
from qdexp.training.course import Course
from qdexp.training.dmd import dmd_step
from qdexp.training.learner import Learner
from qdexp.training.run_trial import run_trial
from qdexp.training.training_state import TrainingState

MakeConfig = Callable[..., Configuration]
MakeTrial = Callable[..., Trial]
Start = Callable[..., tuple[TrainingState, Course]]

DMD: dict[str, Any] = {
    "training__objective": "dmd",
    "diffusion__sampling_steps": 3,
    "distillation__fake_updates": 2,
}


@pytest.fixture(scope="module")
def teacher(
    make_trial: MakeTrial, latents_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The final checkpoint of an unquantized network after a few steps."""
    folder = tmp_path_factory.mktemp("teacher")
    trial = make_trial(model__quantizer="none")
    *_, outcome = run_trial(trial, Workspace(folder=folder, latents=latents_folder))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "completed"
    return folder / "final_checkpoint.pt"


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def networks(state: TrainingState) -> tuple[TrainingState, Learner, torch.nn.Module]:
    assert state.fake is not None
    assert state.teacher is not None
    return state, state.fake, state.teacher


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


def test_the_regression_pulls_towards_the_teachers_own_samples(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    one_step = DMD | {"diffusion__sampling_steps": 1, "training__warmup_steps": 0}
    pulled = one_step | {"distillation__regression_weight": 10.0}
    last: list[float] = []
    for changes in (pulled, pulled | {"training__learning_rate": 1e-12}):
        state, course = start(make_config(**changes), teacher=teacher)
        losses = [dmd_step(state, course)["train.regression_loss"] for _ in range(12)]
        last.append(sum(losses[-4:]))

    assert 0 < last[0] < 0.9 * last[1]


class Seen:
    """What the networks of a distillation are asked, and what they are told to answer."""

    def __init__(self, state: TrainingState) -> None:
        _, fake, teacher = networks(state)
        self.judged: list[torch.Tensor] = []
        self.fake_judged: list[torch.Tensor] = []
        self.fake_trained: list[torch.Tensor] = []
        self.samples: list[torch.Tensor] = []
        self.student_gradients: list[torch.Tensor] = []
        self.student_calls: list[tuple[bool, bool]] = []
        teacher.register_forward_hook(self._answer_of_the_teacher)
        fake.model.register_forward_hook(self._answer_of_the_fake_score)
        state.model.register_forward_hook(self._answer_of_the_student)

    def _answer_of_the_teacher(
        self, _: object, asked: tuple[torch.Tensor, torch.Tensor], answer: Prediction
    ) -> Prediction:
        self.judged.append(asked[1])
        return replace(answer, output=torch.full_like(answer.output, 2.0))

    def _answer_of_the_fake_score(
        self,
        fake: torch.nn.Module,
        asked: tuple[torch.Tensor, torch.Tensor],
        answer: Prediction,
    ) -> Prediction:
        if fake.training:
            self.fake_trained.append(asked[1])
            return answer
        self.fake_judged.append(asked[1])
        return replace(answer, output=torch.full_like(answer.output, 5.0))

    def _answer_of_the_student(
        self,
        student: torch.nn.Module,
        _: object,
        answer: Prediction,
    ) -> None:
        self.student_calls.append((student.training, torch.is_grad_enabled()))
        if answer.output.requires_grad:
            self.samples.append(answer.output.detach())
            answer.output.register_hook(self.student_gradients.append)


def test_the_student_is_moved_from_the_fake_score_to_the_teacher(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    """The gradient at its output is g / numel, g = (fake - real) / mean|x - real| by sample."""
    state, course = start(make_config(**DMD), teacher=teacher)
    seen = Seen(state)
    dmd_step(state, course)

    assert len(seen.samples) == len(seen.student_gradients) == 2
    for x, gradient in zip(seen.samples, seen.student_gradients, strict=True):
        size = (x - 2.0).abs().flatten(1).mean(1)[:, None, None, None, None]
        expected = (5.0 - 2.0) / size / x.numel() / 2  # half of a step's two micro-batches
        torch.testing.assert_close(gradient, expected.expand_as(gradient))


def test_the_student_drops_nothing_but_where_it_learns(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    state, course = start(make_config(**DMD), teacher=teacher)
    seen = Seen(state)
    dmd_step(state, course)

    assert set(seen.student_calls) == {(False, False), (True, True)}
    assert seen.student_calls.count((True, True)) == 2


def test_scores_are_compared_in_their_own_range_and_the_fake_learns_over_the_whole(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    ranges = {"distillation__score_min_step": 400, "distillation__score_max_step": 410}
    state, course = start(make_config(**DMD | ranges), teacher=teacher)
    seen = Seen(state)
    for _ in range(3):
        dmd_step(state, course)
    judged, fake_judged, trained = (
        torch.cat(each) for each in (seen.judged, seen.fake_judged, seen.fake_trained)
    )

    assert 400 <= judged.min() <= judged.max() <= 410
    assert torch.equal(judged, fake_judged)
    assert 20 <= trained.min() < 300
    assert 600 < trained.max() <= 980


def test_without_a_range_of_their_own_scores_are_compared_in_the_denoisers(
    make_config: MakeConfig, start: Start, teacher: Path
) -> None:
    bounds = {"diffusion__min_step": 300, "diffusion__max_step": 310}
    state, course = start(make_config(**DMD | bounds), teacher=teacher)
    seen = Seen(state)
    dmd_step(state, course)

    for each in (seen.judged, seen.fake_trained):
        assert all(300 <= t.min() <= t.max() <= 310 for t in each)


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


def numbers(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.status,
        {k: v for k, v in outcome.measurements.items() if not metric(k).is_timing},
        {k: v for k, v in outcome.history.items() if not metric(k).is_timing},
        outcome.arrays,
    )


def finished(trial: Trial, workspace: Workspace) -> Outcome:
    *_, outcome = run_trial(trial, workspace)
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.fixture
def report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", -1.0)


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
