"""Streams: functions of seed, stream and key."""

import numpy as np
import pytest
import torch

from qdexp.training import randomness


def test_seeds_streams_and_keys_are_told_apart() -> None:
    seeds = {
        randomness.derived_seed(0, "noise", 1),
        randomness.derived_seed(1, "noise", 1),
        randomness.derived_seed(0, "timestep", 1),
        randomness.derived_seed(0, "noise", 2),
        randomness.derived_seed(0, "noise"),
        randomness.derived_seed(0, "noise", 1, 1),
    }
    assert len(seeds) == 6


def test_a_derived_seed_is_the_same_on_every_machine() -> None:
    assert randomness.derived_seed(0, "noise", 1) == 63987398445591025629683971394930019159


def test_every_epoch_shows_every_clip_once_in_another_order() -> None:
    num_clips, batch = 12, 5
    clips = torch.cat(
        [
            randomness.clip_indices(3, step=step, batch=batch, num_clips=num_clips)
            for step in range(24)
        ]
    ).reshape(-1, num_clips)

    assert all(sorted(epoch) == list(range(num_clips)) for epoch in clips.tolist())
    assert len({tuple(epoch) for epoch in clips.tolist()}) == len(clips)


def test_a_batch_larger_than_the_data_goes_round() -> None:
    clips = randomness.clip_indices(0, step=0, batch=7, num_clips=3)
    assert sorted(clips[:3].tolist()) == sorted(clips[3:6].tolist()) == [0, 1, 2]


def test_timesteps_cover_their_range_and_both_of_its_ends() -> None:
    found = {
        t
        for step in range(200)
        for t in randomness.timesteps(0, step=step, batch=8, trained=(5, 9)).tolist()
    }
    assert found == {5, 6, 7, 8, 9}


@pytest.mark.parametrize("step", [0, 7])
def test_ranges_share_their_quantiles(step: int) -> None:
    narrow = randomness.timesteps(0, step=step, batch=64, trained=(100, 199)).double()
    wide = randomness.timesteps(0, step=step, batch=64, trained=(0, 999)).double()

    assert torch.equal(narrow - 100, (wide / 10).floor())


def test_a_smaller_codebook_is_the_beginning_of_a_larger_one() -> None:
    small = randomness.initial_codes(0, codebook=0, shape=(100, 7))
    large = randomness.initial_codes(0, codebook=0, shape=(1000, 7))

    assert torch.equal(small, large[:100])
    assert not torch.equal(small, randomness.initial_codes(0, codebook=1, shape=(100, 7)))


def test_tokens_replace_dead_codes_in_an_order_of_their_own_at_each_step() -> None:
    first = randomness.replacement_order(0, step=4, num_tokens=100)

    assert torch.equal(first, randomness.replacement_order(0, step=4, num_tokens=100))
    assert not torch.equal(first, randomness.replacement_order(0, step=5, num_tokens=100))
    assert first.sort().values.tolist() == list(range(100))


def test_initial_values_belong_to_name_and_shape() -> None:
    values = randomness.initial_values(0, name="a", shape=(3, 4))

    assert torch.equal(values, randomness.initial_values(0, name="a", shape=(3, 4)))
    assert not torch.equal(values, randomness.initial_values(0, name="b", shape=(3, 4)))
    assert not torch.equal(values, randomness.initial_values(1, name="a", shape=(3, 4)))


def test_noise_is_standard_normal() -> None:
    noise = randomness.noise(0, step=0, shape=(100, 1000)).double()

    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)


def test_evaluation_noise_depends_on_the_clip_only() -> None:
    first = randomness.evaluation_noise(clip=0, shape=(2, 3))

    assert torch.equal(first, randomness.evaluation_noise(clip=0, shape=(2, 3)))
    assert not torch.equal(first, randomness.evaluation_noise(clip=1, shape=(2, 3)))


def test_dropout_masks_are_a_function_of_seed_and_step() -> None:
    def mask(seed: int, step: int, rank: int = 0) -> list[float]:
        with randomness.dropout_masks(seed, key=step, rank=rank, device=torch.device("cpu")):
            return torch.nn.functional.dropout(torch.ones(64), 0.5).tolist()

    torch.manual_seed(5)
    first = mask(0, 3)
    torch.manual_seed(6)
    before = torch.get_rng_state()
    assert mask(0, 3) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert mask(0, 4) != first
    assert mask(1, 3) != first
    assert mask(0, 3, rank=1) != first


def test_drawing_leaves_the_global_generators_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    randomness.noise(0, step=0, shape=(4,))
    randomness.clip_indices(0, step=0, batch=2, num_clips=4)

    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state  # noqa: NPY002
