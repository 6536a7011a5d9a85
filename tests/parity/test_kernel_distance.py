"""The kernel distance is the one that scikit-learn's polynomial kernel gives."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import polynomial_kernel

from qdexp.evaluation.kernel_distance import NUM_FEATURES, PixelFeatures, kernel_distance


def reference_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Gretton et al., 2012, equation 3, with the Kernel Inception Distance's kernel."""
    m, n = len(x), len(y)
    within_x, within_y, across = (
        polynomial_kernel(a, b, degree=3, gamma=None, coef0=1) for a, b in ((x, x), (y, y), (x, y))
    )
    np.fill_diagonal(within_x, 0)
    np.fill_diagonal(within_y, 0)
    return (
        within_x.sum() / (m * (m - 1)) + within_y.sum() / (n * (n - 1)) - 2 * across.sum() / (m * n)
    )


@pytest.mark.parametrize("sizes", [(2, 2), (30, 50), (256, 512)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_distance_is_the_one_of_the_polynomial_kernel(sizes: tuple[int, int], shift: float) -> None:
    generator = torch.Generator().manual_seed(sizes[0])
    x, y = (
        torch.randn(size, 32, generator=generator, dtype=torch.float64) + by
        for size, by in zip(sizes, (0.0, shift), strict=True)
    )
    expected = reference_distance(x.numpy(), y.numpy())
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-11, abs=1e-13)


def test_features_are_scikit_learns_principal_components_up_to_sign_and_one_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.rand(80, 3, 2, 8, 8, generator=generator, dtype=torch.float64)
    found = PixelFeatures.fit(real)(real)
    pooled = real.reshape(80, 3, 2, 2, 4, 2, 4).mean(dim=(4, 6)).flatten(1)
    # 24 pooled pixels: fewer than NUM_FEATURES.
    expected = torch.from_numpy(PCA(svd_solver="full").fit_transform(pooled.numpy()))
    expected = expected / expected.square().mean().sqrt()

    assert found.shape == (80, min(NUM_FEATURES, 24))
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-9, atol=1e-9)
