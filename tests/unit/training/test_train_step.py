"""One optimizer step."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.config.revision import RESULTS_REVISION
from qdexp.diffusion.schedule import noise_schedule
from qdexp.errors import DivergedError
from qdexp.evaluation.denoising_error import noise_levels
from qdexp.model.vector_quantizer import CodeStatistics, VectorQuantizer
from qdexp.training import measurement, randomness
from qdexp.training.denoising import Batch, denoising_losses
from qdexp.training.train_step import Course, draw_batch, learning_rate, train_step
from qdexp.training.training_state import TrainingState, initial_state, num_parameters

MakeConfig = Callable[..., Configuration]
CPU = torch.device("cpu")

GOLDEN_REVISION = 1
GOLDEN_LOSSES = [
    1.5213265419006348,
    1.4338666200637817,
    1.4193239212036133,
    1.5290617942810059,
    1.4467740058898926,
    1.4385828971862793,
]
GOLDEN_MEASUREMENT = {
    "eval.codebook_usage": 0.546875,
    "eval.perplexity": 23.391854201217633,
    "eval.denoising_loss": 1.3649161717231246,
    "eval.unquantized_loss": 1.532085232872123,
    "eval.pixel_error": 1.3649161717231246,
}


def started(config: Configuration) -> tuple[TrainingState, Course]:
    torch.set_num_threads(1)
    schedule = noise_schedule(config.diffusion.beta_schedule, config.diffusion.num_train_timesteps)
    clips = randomness.noise(99, step=0, shape=(8, 16, 2, 4, 4))
    course = Course(config=config, seed=0, schedule=schedule, clips=clips, device=CPU)
    return initial_state(config, 0, CPU), course


def test_the_golden_trajectory_moves_only_with_the_revision(make_config: MakeConfig) -> None:
    state, course = started(make_config())
    losses = [train_step(state, course)["train.loss"] for _ in range(6)]
    clips = randomness.noise(98, step=0, shape=(4, 16, 2, 4, 4))
    held_out = measurement.with_noise(clips, lambda latents: latents)
    measured = measurement.final_measurement(
        state.model,
        measurement.HeldOut(
            config=course.config,
            schedule=course.schedule,
            clips=held_out,
            levels=noise_levels(course.schedule, course.config.evaluation.num_levels),
        ),
    ).scalars

    assert GOLDEN_REVISION == RESULTS_REVISION, "commit the numbers of the new revision"
    assert losses == pytest.approx(GOLDEN_LOSSES, rel=1e-5), "raise RESULTS_REVISION"
    assert measured == pytest.approx(GOLDEN_MEASUREMENT, rel=1e-5), "raise RESULTS_REVISION"


def test_four_micro_batches_are_one_big_batch_codebook_included(make_config: MakeConfig) -> None:
    shape = {"model__dropout": 0.0}
    big = started(
        make_config(training__batch_size=8, training__gradient_accumulation_steps=1, **shape)
    )
    small = started(
        make_config(training__batch_size=2, training__gradient_accumulation_steps=4, **shape)
    )
    for _ in range(2):
        one, other = train_step(*big), train_step(*small)
        assert one == pytest.approx(other, rel=1e-4)

    expected = small[0].model.state_dict()
    for name, value in big[0].model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_the_codebook_is_updated_once_for_each_optimizer_step(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, micro_batches: int
) -> None:
    config = make_config(
        training__gradient_accumulation_steps=micro_batches, model__dead_code_threshold=0.0
    )
    state, course = started(config)
    seen: list[float] = []
    update = VectorQuantizer.update

    def counted(self: VectorQuantizer, statistics: CodeStatistics, order: torch.Tensor) -> None:
        update(self, statistics, order)
        seen.append(self.cluster_size.sum().item())

    state.model.quantizer.cluster_size.fill_(1)
    monkeypatch.setattr(VectorQuantizer, "update", counted)
    train_step(state, course)

    tokens = 3 * micro_batches * 32
    assert seen == pytest.approx([0.9 * 64 + 0.1 * tokens])


def test_the_objective_is_the_weighted_sum_of_two_means(make_config: MakeConfig) -> None:
    state, course = started(make_config(model__dropout=0.0))
    batch = draw_batch(course, 0)
    losses = denoising_losses(state.model, course.schedule, batch, 0.3)
    x_t = course.schedule.add_noise(batch.x_0, batch.noise, batch.t)
    pred_x0 = state.model(x_t, batch.t).pred_x0

    torch.testing.assert_close(losses.denoising_loss, (pred_x0 - batch.x_0).square().mean())
    torch.testing.assert_close(losses.loss, losses.denoising_loss + 0.3 * losses.vq_loss)


def test_a_batch_splits_into_its_clips() -> None:
    x = torch.arange(6.0).reshape(6, 1, 1, 1, 1)
    parts = Batch(x_0=x, noise=-x, t=torch.arange(6)).split(4)

    assert [part.t.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5]]
    assert torch.equal(parts[1].noise, -x[4:])


def test_a_step_whose_loss_is_not_finite_changes_nothing(make_config: MakeConfig) -> None:
    state, course = started(make_config())
    train_step(state, course)
    with torch.no_grad():
        state.model.output.weight[0] = torch.inf
    before = {name: value.clone() for name, value in state.model.state_dict().items()}

    with pytest.raises(DivergedError, match=r"is (inf|nan) at step 1"):
        train_step(state, course)
    assert state.step == 1
    assert all(torch.equal(v, before[name]) for name, v in state.model.state_dict().items())


def test_the_rate_rises_linearly_and_then_stays(make_config: MakeConfig) -> None:
    training = make_config(training__warmup_steps=3, training__learning_rate=1.0).training

    rates = [learning_rate(training, step) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_without_warm_up_the_rate_is_full_from_the_first_step(make_config: MakeConfig) -> None:
    assert learning_rate(make_config(training__warmup_steps=0).training, 0) == 1e-3


def test_only_matrices_are_decayed(make_config: MakeConfig) -> None:
    state, _ = started(make_config())
    matrices, vectors = state.optimizer.param_groups

    assert {p.ndim > 1 for p in matrices["params"]} == {True}
    assert {p.ndim for p in vectors["params"]} == {1}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.01, 0.0)


def test_parameters_are_counted_with_the_codebook(make_config: MakeConfig) -> None:
    small, _ = started(make_config(model__num_embeddings=64))
    large, _ = started(make_config(model__num_embeddings=128))

    assert num_parameters(large.model) - num_parameters(small.model) == 64 * 8
