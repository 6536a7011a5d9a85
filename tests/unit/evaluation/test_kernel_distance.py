"""How far samples are from real clips."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from qdexp.evaluation.kernel_distance import NUM_FEATURES, PixelFeatures, kernel_distance


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clips(seed: int, count: int, *, drift: float = 1.0) -> Tensor:
    """Bright squares that move along a row, each with its own place, pace and colour."""
    generator = torch.Generator().manual_seed(seed)
    place, pace, *colour = torch.rand(5, count, 1, 1, 1, 1, generator=generator)
    frame = torch.arange(3).reshape(1, 1, 3, 1, 1)
    row, column = torch.arange(16).reshape(16, 1), torch.arange(16)
    centre = 2 + 8 * place + drift * 2 * pace * frame
    shape = torch.exp(-((row - 8) ** 2 + (column - centre) ** 2) / 8)
    return torch.cat(colour, dim=1) * shape


def test_real_clips_have_a_mean_of_zero_and_a_mean_square_of_one_per_dimension() -> None:
    real = clips(0, 100)
    found = PixelFeatures.fit(real)(real)

    assert found.shape == (100, NUM_FEATURES)
    assert found.dtype == torch.float64
    assert found.mean(dim=0).abs().max() < 1e-12
    assert found.square().mean().item() == pytest.approx(1, rel=1e-12)


def test_features_are_uncorrelated_and_fall_in_variance_by_their_own_share() -> None:
    real = clips(0, 100)
    found = PixelFeatures.fit(real)(real)
    covariance = found.T @ found / 100

    assert (covariance - covariance.diag().diag()).abs().max() < 1e-9
    assert (covariance.diag().diff() <= 0).all()
    assert covariance[0, 0] > 100 * covariance[-1, -1], "they were whitened"


def test_features_are_the_principal_components_of_pooled_pixels() -> None:
    real, new = clips(0, 60), clips(1, 5)
    pooled, new_pooled = (
        each.double().reshape(-1, 3, 3, 4, 4, 4, 4).mean(dim=(4, 6)).flatten(1)
        for each in (real, new)
    )
    _, values, directions = torch.linalg.svd(pooled - pooled.mean(dim=0), full_matrices=False)
    expected = (new_pooled - pooled.mean(dim=0)) @ directions[:NUM_FEATURES].T
    expected /= (values[:NUM_FEATURES].square().mean() / 60).sqrt()

    # A component's sign is arbitrary.
    found = PixelFeatures.fit(real)(new)
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-4, atol=1e-5)


def test_clips_given_in_parts_have_the_same_features() -> None:
    real = clips(0, 50)
    whole, parts = PixelFeatures.fit(real), PixelFeatures.fit(part for part in real.split(7))

    torch.testing.assert_close(parts.directions, whole.directions, rtol=0, atol=0)
    torch.testing.assert_close(parts(real.split(20)), whole(real), rtol=0, atol=0)


def test_few_clips_have_as_many_features_as_they_vary_in() -> None:
    three = clips(0, 3)
    assert PixelFeatures.fit(three)(three).shape == (3, 2)
    repeated = torch.cat([three, three])
    assert PixelFeatures.fit(repeated)(repeated).shape == (6, 2)


@pytest.mark.parametrize("count", [1, 4])
def test_clips_that_are_all_alike_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"expected clips that differ, found {count} alike"):
        PixelFeatures.fit(clips(0, 1).repeat(count, 1, 1, 1, 1))


def test_a_side_that_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4, found 16 x 14"):
        PixelFeatures.fit(clips(0, 5)[..., :14])


def test_a_distance_follows_its_definition_on_numbers_small_enough_to_write_down() -> None:
    x, y = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[0.0], [1.0]]).double()
    # Within x: (1 * 2 + 1)^3; within y: (0 + 1)^3; across: 1, 8, 1, 27.
    assert kernel_distance(x, y) == pytest.approx(27 + 1 - 2 * 37 / 4)


def in_standard_errors(distances: list[float]) -> float:
    """Returns the mean, divided by its standard error."""
    found = torch.tensor(distances, dtype=torch.float64)
    return (found.mean() / found.std()).item() * math.sqrt(len(found))


def test_equal_distributions_have_a_mean_distance_of_zero() -> None:
    distances = [
        kernel_distance(normal(2 * seed, 20, 4), normal(2 * seed + 1, 30, 4)) for seed in range(400)
    ]
    assert abs(in_standard_errors(distances)) < 3
    assert min(distances) < 0, "an unbiased estimate of 0 is sometimes below it"


@pytest.mark.parametrize("count", [5, 50])
def test_the_mean_distance_does_not_depend_on_the_number_of_samples(count: int) -> None:
    # (xy + 1)^3 = 1 + 3xy + 3(xy)^2 + (xy)^3, and the first three moments of N(1, 1) are 1, 2, 4,
    # those of N(0, 1) are 0, 1, 0.
    expected = 3 * (1 - 0) ** 2 + 3 * (2 - 1) ** 2 + (4 - 0) ** 2
    excess = [
        kernel_distance(normal(2 * seed, count, 1) + 1, normal(2 * seed + 1, count, 1)) - expected
        for seed in range(1500)
    ]
    assert abs(in_standard_errors(excess)) < 3
    assert torch.tensor(excess).std() / math.sqrt(1500) < 0.15 * expected


def test_a_distance_to_the_clips_that_features_were_fitted_to_is_biased_and_to_others_not() -> None:
    """Why a measurement splits the real clips."""
    to_fitted, to_others = [], []
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        fitted, others, new = torch.rand(120, 3, 8, 8, 8, generator=generator).split(40)
        features = PixelFeatures.fit(fitted)
        to_fitted.append(kernel_distance(features(fitted), features(new)))
        to_others.append(kernel_distance(features(others), features(new)))

    assert abs(in_standard_errors(to_others)) < 3
    assert in_standard_errors(to_fitted) < -20


def test_clips_that_move_less_are_further_away_the_less_they_move() -> None:
    fitted, others = clips(0, 800).split(400)
    features = PixelFeatures.fit(fitted)
    distances = [
        kernel_distance(features(others), features(clips(1, 400, drift=drift)))
        for drift in (1.0, 0.6, 0.3, 0.0)
    ]
    assert distances == sorted(distances)
    assert distances[1] > 10 * abs(distances[0])


def test_further_distributions_have_a_larger_distance() -> None:
    x, y = normal(0, 100, 8), normal(1, 100, 8)
    shifted = [kernel_distance(x, y + shift) for shift in (0.0, 0.3, 0.6, 1.2)]
    shrunk = [kernel_distance(x, y * scale) for scale in (1.0, 0.8, 0.5, 0.0)]

    assert shifted == sorted(shifted)
    assert shrunk == sorted(shrunk)


@given(seed=st.integers(0, 10_000), sizes=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_neither_the_order_of_clips_nor_of_sets_matters(seed: int, sizes: tuple[int, int]) -> None:
    x, y = normal(seed, sizes[0], 3), normal(seed + 1, sizes[1], 3)
    expected = pytest.approx(kernel_distance(x, y), rel=1e-9, abs=1e-9)
    generator = torch.Generator().manual_seed(seed)
    order_x, order_y = (torch.randperm(size, generator=generator) for size in sizes)

    assert kernel_distance(x[order_x], y[order_y]) == expected
    assert kernel_distance(y, x) == expected


@pytest.mark.parametrize("sizes", [(1, 5), (5, 1), (0, 5)])
def test_sets_without_a_pair_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"found {sizes[0]} and {sizes[1]}"):
        kernel_distance(normal(0, sizes[0], 2), normal(1, sizes[1], 2))
