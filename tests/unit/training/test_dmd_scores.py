"""What the networks of a distillation are asked, and how their answers move the student."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from qdexp.config.configuration import Configuration
from qdexp.model.predictor import Prediction
from qdexp.training.course import Course
from qdexp.training.dmd import dmd_step
from qdexp.training.training_state import TrainingState
from tests.unit.training.distillation import DMD, networks

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]


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
