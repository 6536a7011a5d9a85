"""A smooth guess between measured points, inside their hull and nowhere else."""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay, QhullError

FEWEST = 12
"""Points from which a surface is guessed at all."""

SMOOTHING = 1e-3
"""How far it may pass a point by, in variances: seeds make noise."""

RESOLUTION = 60

Grid = tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"], Float[np.ndarray, "g g"]]


def surface(shares: Float[np.ndarray, "n 2"], values: Float[np.ndarray, " n"]) -> Grid | None:
    """Returns a thin-plate spline through points of the unit square, on a grid.

    nan outside of the points' hull. None for too few different points, or for points on a line.
    """
    different, inverse = np.unique(shares.round(9), axis=0, return_inverse=True)
    if len(different) < FEWEST or not np.ptp(values) > 0:
        return None
    counts = np.bincount(inverse.ravel())
    means = np.bincount(inverse.ravel(), weights=values) / counts
    try:
        hull = Delaunay(different)
        spline = RBFInterpolator(different, means, smoothing=SMOOTHING)
    except (QhullError, np.linalg.LinAlgError):
        return None
    along = np.linspace(0, 1, RESOLUTION)
    places = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    found = np.where(hull.find_simplex(places) >= 0, spline(places), np.nan)
    return along, along, found.reshape(RESOLUTION, RESOLUTION)
