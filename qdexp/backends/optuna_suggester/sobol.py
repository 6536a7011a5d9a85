"""A quasi-random sequence: points that fill a cube more evenly than random ones do."""
# pyright: basic

from collections.abc import Iterator

from scipy.stats.qmc import Sobol


def sobol_points(num_dimensions: int, seed: int, first: int) -> Iterator[list[float]]:
    """Yields the points of a scrambled Sobol sequence.

    Args:
        num_dimensions: Of the cube whose edges go from 0 to 1.
        seed: Of the scrambling.
        first: The point to begin with, from 0.
    """
    sequence = Sobol(num_dimensions, rng=seed)
    if first:  # SciPy cannot go forward by nothing
        sequence.fast_forward(first)
    while True:
        (point,) = sequence.random(1).tolist()
        yield point
