"""Conditions of one seed are paired: they differ in what their factors change, and in no chance."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.training.batches import Batch
from qdexp.training.course import draw_batch
from qdexp.training.training_state import initial_model

MakeConfig = Callable[..., Configuration]
CPU = torch.device("cpu")
CLIPS = torch.arange(8.0).reshape(8, 1, 1, 1, 1).expand(8, 16, 2, 4, 4)

FACTORS = [
    {"model__num_embeddings": 128},
    {"model__num_layers": 3},
    {"training__quantization_weight": 0.5},
    {"diffusion__min_step": 100, "diffusion__max_step": 900},
    {"diffusion__beta_schedule": "cosine"},
    {"training__learning_rate": 1e-2},
]


def drawn(config: Configuration, step: int, *, seed: int = 0) -> Batch:
    return draw_batch(config, seed, CLIPS, step)


@pytest.mark.parametrize("changes", FACTORS)
def test_conditions_see_the_same_clips_in_the_same_order_with_the_same_noise(
    make_config: MakeConfig, changes: dict[str, object]
) -> None:
    for step in range(4):
        one = drawn(make_config(), step)
        other = drawn(make_config(**changes), step)
        assert torch.equal(one.x_0, other.x_0)
        assert torch.equal(one.noise, other.noise)


def test_another_seed_sees_other_clips_noise_and_timesteps(make_config: MakeConfig) -> None:
    one, other = (drawn(make_config(), 0, seed=seed) for seed in (0, 1))

    assert not torch.equal(one.x_0, other.x_0)
    assert not torch.equal(one.noise, other.noise)
    assert not torch.equal(one.t, other.t)


def test_conditions_with_other_timestep_ranges_share_the_quantiles(make_config: MakeConfig) -> None:
    wide = make_config(diffusion__min_step=0, diffusion__max_step=999)
    narrow = make_config(diffusion__min_step=100, diffusion__max_step=199)

    for step in range(4):
        t, mapped = (drawn(c, step).t.double() for c in (wide, narrow))
        assert torch.equal(mapped - 100, (t / 10).floor())


def test_timesteps_are_equal_where_the_range_is(make_config: MakeConfig) -> None:
    one, other = make_config(), make_config(model__num_embeddings=128)

    assert torch.equal(drawn(one, 3).t, drawn(other, 3).t)


@pytest.mark.parametrize("changes", FACTORS)
def test_conditions_start_from_equal_values_in_every_parameter_whose_shape_they_share(
    make_config: MakeConfig, changes: dict[str, object]
) -> None:
    one = dict(initial_model(make_config(), 0, CPU).named_parameters())
    other = dict(initial_model(make_config(**changes), 0, CPU).named_parameters())
    shared = [n for n in one if n in other and one[n].shape == other[n].shape]

    assert len(shared) == len(one)
    assert all(torch.equal(one[name], other[name]) for name in shared)


def test_a_smaller_codebook_starts_as_the_beginning_of_a_larger_one(
    make_config: MakeConfig,
) -> None:
    small = initial_model(make_config(model__num_embeddings=64), 0, CPU).quantizer
    large = initial_model(make_config(model__num_embeddings=128), 0, CPU).quantizer

    assert isinstance(small, MovingAverageQuantizer)
    assert isinstance(large, MovingAverageQuantizer)
    assert torch.equal(small.codebook, large.codebook[:64])


def test_initial_weights_do_not_depend_on_the_global_generator(make_config: MakeConfig) -> None:
    torch.manual_seed(1)
    one = initial_model(make_config(), 0, CPU).state_dict()
    torch.manual_seed(2)
    other = initial_model(make_config(), 0, CPU).state_dict()

    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_start_with_their_deviation_and_modulations_at_zero(
    make_config: MakeConfig,
) -> None:
    weights = dict(initial_model(make_config(), 0, CPU).named_parameters())

    assert weights["blocks.0.feed_forward.0.weight"].std().item() == pytest.approx(0.25, rel=0.1)
    assert weights["row_positions"].std().item() == pytest.approx(0.02, rel=0.1)
    assert not weights["blocks.1.modulation.weight"].any()
    assert not weights["modulation.weight"].any()


def test_a_twin_sees_the_same_clips_in_another_order_with_the_same_noise(
    make_config: MakeConfig,
) -> None:
    steps = range(8)  # whole epochs, whatever the batch
    one = [drawn(make_config(), step) for step in steps]
    twin = [drawn(make_config(training__data_order=1), step) for step in steps]

    assert all(torch.equal(a.noise, b.noise) for a, b in zip(one, twin, strict=True))
    assert all(torch.equal(a.t, b.t) for a, b in zip(one, twin, strict=True))
    clips, of_twin = (torch.cat([batch.x_0[:, 0, 0, 0, 0] for batch in of]) for of in (one, twin))
    assert not torch.equal(clips, of_twin)
    assert torch.equal(clips.sort().values, of_twin.sort().values)
