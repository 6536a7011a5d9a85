"""The Frechet distance between fitted normal distributions."""

import pytest
import torch
from torch import Tensor

from qdexp.evaluation.frechet_distance import frechet_distance


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_normal_distributions_have_the_distance_of_the_closed_form() -> None:
    """Members made to have a mean and a covariance exactly; the covariances commute."""
    deviations_x, deviations_y = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([3.0, 1.0, 0.5])
    mean = torch.tensor([1.0, -2.0, 0.0]).double()
    # Six points on the axes, sqrt(5 / 2) away, have the identity as their covariance.
    unit = torch.cat([torch.eye(3), -torch.eye(3)]).double() * (5 / 2) ** 0.5
    expected = 5.0 + (deviations_x - deviations_y).square().sum().item()

    found = frechet_distance(unit * deviations_x, unit * deviations_y + mean)
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_rotation_that_does_not_commute_has_the_distance_of_the_closed_form() -> None:
    """In two dimensions tr (AB)^(1/2) = (tr AB + 2 (det A det B)^(1/2))^(1/2)."""
    a, b = normal(0, 40, 2) @ normal(1, 2, 2), normal(2, 40, 2) @ normal(3, 2, 2) + 1
    cov_a, cov_b = a.T.cov(), b.T.cov()
    root = ((cov_a @ cov_b).trace() + 2 * (cov_a.det() * cov_b.det()).sqrt()).sqrt()
    shift = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    expected = (shift + cov_a.trace() + cov_b.trace() - 2 * root).item()

    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (2, 400)])
def test_the_distance_to_itself_is_zero(shape: tuple[int, int]) -> None:
    x = normal(0, *shape) + 100
    assert 0 <= frechet_distance(x, x) < 1e-9
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    assert frechet_distance(x, x[order]) < 1e-9


@pytest.mark.parametrize("count", [20, 300])
def test_more_noise_is_further_away(count: int) -> None:
    x, noise = normal(0, count, 64), normal(1, count, 64)
    distances = [frechet_distance(x, x + scale * noise) for scale in (0.0, 0.3, 1.0, 3.0, 10.0)]

    assert distances == sorted(distances)
    assert distances[0] < 1e-9 < distances[1]


def test_fewer_clips_than_dimensions_have_the_distance_they_have_in_their_own_span() -> None:
    """What no clip varies in cannot matter: zeros appended, and all rotated."""
    x, y = normal(0, 10, 12), normal(1, 15, 12) + 0.5
    wide_x, wide_y = (torch.cat([each, torch.zeros(len(each), 388)], dim=1) for each in (x, y))
    rotation = torch.linalg.qr(normal(2, 400, 400)).Q

    found = frechet_distance(wide_x @ rotation, wide_y @ rotation)
    assert found == pytest.approx(frechet_distance(x, y), rel=1e-10)


def test_the_order_of_sets_does_not_matter_and_the_scale_is_squared() -> None:
    x, y = normal(0, 30, 5), normal(1, 40, 5) * 2
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-12)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * frechet_distance(x, y), rel=1e-12)


def test_two_sets_of_one_distribution_are_the_further_apart_the_fewer_they_have() -> None:
    """The bias: why names carry numbers of clips, and a floor stands beside a distance.

    To second order in the covariances' errors A and B it is |A - B|^2 / 4, beside the means'.
    """
    many, few = (
        frechet_distance(normal(0, count, 400), normal(1, count, 400)) for count in (2048, 256)
    )
    assert many == pytest.approx((400 * 401 / 4 + 400) * 2 / 2048, rel=0.02)
    assert few > 7 * many


@pytest.mark.parametrize("sizes", [(1, 5), (5, 1), (0, 5)])
def test_sets_without_a_covariance_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"found {sizes[0]} and {sizes[1]}"):
        frechet_distance(normal(0, sizes[0], 2), normal(1, sizes[1], 2))
