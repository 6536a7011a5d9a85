"""One optimizer step."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.errors import DivergedError
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.model.quantizers.quantization import CodeStatistics
from qdexp.training.batches import Batch
from qdexp.training.course import Course, learning_rate
from qdexp.training.denoising import denoising_losses
from qdexp.training.parallel import Ranks
from qdexp.training.train_step import train_step
from qdexp.training.training_state import TrainingState, num_parameters

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]


def test_four_micro_batches_are_one_big_batch_codebook_included(
    make_config: MakeConfig, start: Start
) -> None:
    """In float64, gradients unclipped: Adam and clipping would hide a wrong scale of them."""
    exact = {"model__dropout": 0.0, "training__precision": "fp64", "training__max_grad_norm": 1e9}
    big = start(
        make_config(training__batch_size=8, training__gradient_accumulation_steps=1, **exact)
    )
    small = start(
        make_config(training__batch_size=2, training__gradient_accumulation_steps=4, **exact)
    )
    for _ in range(2):
        one, other = train_step(*big), train_step(*small)
        assert one == pytest.approx(other, rel=1e-9)
        gradients = {n: p.grad for n, p in small[0].model.named_parameters()}
        for name, parameter in big[0].model.named_parameters():
            torch.testing.assert_close(
                parameter.grad, gradients[name], rtol=1e-8, atol=1e-12, msg=name
            )

    expected = small[0].model.state_dict()
    for name, value in big[0].model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_the_codebook_is_updated_once_for_each_optimizer_step(
    make_config: MakeConfig, start: Start, monkeypatch: pytest.MonkeyPatch, micro_batches: int
) -> None:
    config = make_config(
        training__gradient_accumulation_steps=micro_batches, model__dead_code_threshold=0.0
    )
    state, course = start(config)
    seen: list[float] = []
    update = MovingAverageQuantizer.update

    def counted(
        self: MovingAverageQuantizer, statistics: CodeStatistics, order: torch.Tensor
    ) -> None:
        update(self, statistics, order)
        seen.append(self.cluster_size.sum().item())

    assert isinstance(state.model.quantizer, MovingAverageQuantizer)
    state.model.quantizer.cluster_size.fill_(1)
    monkeypatch.setattr(MovingAverageQuantizer, "update", counted)
    train_step(state, course)

    tokens = 3 * micro_batches * 32
    assert seen == pytest.approx([0.9 * 64 + 0.1 * tokens])


def test_the_objective_is_the_weighted_sum_of_two_means(
    make_config: MakeConfig, start: Start
) -> None:
    state, course = start(make_config(model__dropout=0.0))
    batch = course.batch(0)
    losses = denoising_losses(state.model, course.parametrisation, batch, 0.3)
    x_t = course.parametrisation.schedule.add_noise(batch.x_0, batch.noise, batch.t)
    pred_x0 = state.model(x_t, batch.t).output

    parts = losses.parts
    torch.testing.assert_close(parts["train.denoising_loss"], (pred_x0 - batch.x_0).square().mean())
    weighted = parts["train.denoising_loss"] + 0.3 * parts["train.vq_loss"]
    torch.testing.assert_close(losses.loss, weighted)


def test_a_batch_splits_into_its_clips() -> None:
    x = torch.arange(6.0).reshape(6, 1, 1, 1, 1)
    parts = Batch(x_0=x, noise=-x, t=torch.arange(6)).split(4, Ranks())

    assert [part.t.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5]]
    assert torch.equal(parts[1].noise, -x[4:])


def test_a_step_whose_loss_is_not_finite_changes_nothing(
    make_config: MakeConfig, start: Start
) -> None:
    state, course = start(make_config())
    train_step(state, course)
    with torch.no_grad():
        state.model.output.weight[0] = torch.inf
    before = {name: value.clone() for name, value in state.model.state_dict().items()}

    with pytest.raises(DivergedError, match=r"is (inf|nan) at step 1"):
        train_step(state, course)
    assert state.step == 1
    assert all(torch.equal(v, before[name]) for name, v in state.model.state_dict().items())


def rates(config: Configuration, count: int) -> list[float]:
    return [learning_rate(config, 1.0, step) for step in range(count)]


def test_the_rate_rises_linearly_and_then_stays(make_config: MakeConfig) -> None:
    assert rates(make_config(training__warmup_steps=3), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_without_warm_up_the_rate_is_full_from_the_first_step(make_config: MakeConfig) -> None:
    assert rates(make_config(training__warmup_steps=0), 1) == [1.0]


def test_the_rate_falls_as_a_cosine_to_the_end(make_config: MakeConfig) -> None:
    config = make_config(training__warmup_steps=2, training__lr_schedule="cosine")
    falling = rates(config, 9)[2:]

    assert config.num_steps == 8
    expected = [1.0, 0.9330127, 0.75, 0.5, 0.25, 0.0669873, 0.0]
    assert falling == pytest.approx(expected, abs=1e-7)


def test_only_matrices_are_decayed(make_config: MakeConfig, start: Start) -> None:
    state, _ = start(make_config(model__quantizer="gradient", model__conditioning="additive"))
    named = {p: name for name, p in state.model.named_parameters()}
    decayed, others = (
        {named[p] for p in group["params"]} for group in state.learner.optimizer.param_groups
    )

    assert decayed | others == set(named.values())
    weights = {n for p, n in named.items() if n.endswith(".weight") and p.ndim > 1}
    assert decayed == weights
    assert {"frame_positions", "quantizer.codebook", "to_code.bias"} <= others
    weights = [group["weight_decay"] for group in state.learner.optimizer.param_groups]
    assert weights == [0.01, 0.0]


def test_parameters_are_counted_with_the_codebook(make_config: MakeConfig, start: Start) -> None:
    small, _ = start(make_config(model__num_embeddings=64))
    large, _ = start(make_config(model__num_embeddings=128))

    assert num_parameters(large.model) - num_parameters(small.model) == 64 * 8
