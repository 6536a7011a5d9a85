"""The figure of quality against cost: it takes Axes and data, and returns the Axes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from qdexp_analysis.appearance import MUTED, PAPER, Look
from qdexp_analysis.figure_labels import label_points
from qdexp_analysis.trade_off import TradeOff

MOST_TRIALS = 400
"""Single trials are drawn up to this number; beyond it they are a cloud that hides the means."""


def quality_against_cost(
    axes: Axes, found: TradeOff, looks: Sequence[Look], labelled: Sequence[int]
) -> Axes:
    """Draws every condition's mean, those on the Pareto front filled and joined by a staircase.

    Args:
        axes: Where to draw.
        found: The means, and which of them are on the front.
        looks: Every condition's look.
        labelled: Positions of the conditions that are named.
    """
    stairs = _staircase(axes, found)
    for row, look in enumerate(looks):
        on_front = bool(found.is_on_front[row])
        axes.plot(
            found.cost[row],
            found.quality[row],
            marker=look.marker,
            markersize=7.5 if on_front else 6.5,
            color=look.colour,
            markerfacecolor=look.colour if on_front else PAPER,
            linestyle="none",
            zorder=3,
        )
    axes.margins(0.16)
    known = [k for k in labelled if np.isfinite(found.cost[k]) and np.isfinite(found.quality[k])]
    label_points(
        axes, [(float(found.cost[k]), float(found.quality[k]), looks[k]) for k in known], stairs
    )
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return axes


def trials_behind(
    axes: Axes,
    cost: Float[np.ndarray, "k s"],
    quality: Float[np.ndarray, "k s"],
    looks: Sequence[Look],
) -> Axes:
    """Draws every trial faintly, if there are not too many."""
    if cost.size <= MOST_TRIALS:
        for row, look in enumerate(looks):
            axes.scatter(
                cost[row], quality[row], s=15, color=look.colour, marker=look.marker, alpha=0.35,
                linewidth=0,
            )  # fmt: skip
    return axes


def _staircase(axes: Axes, found: TradeOff) -> list[tuple[float, float]]:
    """Joins the front: between two of its points, nothing better was found for less.

    Returns:
        Places along it, which labels had better not cover.
    """
    order = np.argsort(found.cost[found.is_on_front])
    cost, quality = (of[found.is_on_front][order] for of in (found.cost, found.quality))
    axes.plot(cost, quality, drawstyle="steps-post", color=MUTED, linewidth=1, zorder=2)
    along = [
        (cost[k] + share * (cost[k + 1] - cost[k]), quality[k])
        for k in range(len(cost) - 1)
        for share in np.linspace(0, 1, 16)
    ]
    down = [
        (cost[k + 1], quality[k] + share * (quality[k + 1] - quality[k]))
        for k in range(len(cost) - 1)
        for share in np.linspace(0, 1, 16)
    ]
    return [(float(x), float(y)) for x, y in along + down]
