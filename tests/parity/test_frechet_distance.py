"""The Frechet distance is the one by SciPy's root of a matrix, wherever that is to be trusted."""

import numpy as np
import pytest
import scipy.linalg
import torch

from qdexp.evaluation.frechet_distance import frechet_distance


def reference_distance(x: np.ndarray, y: np.ndarray) -> float:
    """As published code has it: covariances, and the real part of a root of their product."""
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(cov_x @ cov_y))
    shift = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return float(shift + np.trace(cov_x + cov_y - 2 * root))


@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 3), (300, 200, 64), (600, 900, 128)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_distance_is_the_one_by_a_root_of_the_product(n: int, m: int, d: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(n)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = torch.randn(m, d, generator=generator, dtype=torch.float64) @ mixing + shift

    assert frechet_distance(x, y) == pytest.approx(
        reference_distance(x.numpy(), y.numpy()), rel=1e-9
    )


def test_with_fewer_clips_than_dimensions_it_is_the_limit_of_regularised_roots() -> None:
    """There a root of the product of two singular matrices is not to be trusted by itself."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 60, generator=generator, dtype=torch.float64) for n in (20, 30))
    cov_x, cov_y = (np.cov(each.numpy(), rowvar=False) for each in (x, y))
    shift = (x.mean(dim=0) - y.mean(dim=0)).square().sum().item()
    trace = np.trace(cov_x) + np.trace(cov_y)
    found = frechet_distance(x, y)
    for epsilon, tolerance in ((1e-6, 0.3), (1e-8, 0.03), (1e-10, 0.003)):
        ridge = epsilon * np.eye(60)
        root = np.real(scipy.linalg.sqrtm((cov_x + ridge) @ (cov_y + ridge)))
        assert found == pytest.approx(shift + trace - 2 * np.trace(root), abs=tolerance)
