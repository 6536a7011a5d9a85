"""Figures of a codebook's use: every function takes Axes and data, and returns the Axes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from qdexp_analysis.appearance import Look
from qdexp_analysis.figure_labels import label_ends


def shares_by_rank(
    axes: Axes,
    ranks: Int[np.ndarray, " r"],
    shares: Float[np.ndarray, "k s r"],
    looks: Sequence[Look],
    sizes: Sequence[int],
) -> Axes:
    """Draws the share of the tokens that each code has, the most used first, on logarithmic axes.

    Args:
        axes: Where to draw.
        ranks: Of the codes, from the most used.
        shares: By condition, seed and rank; nan where no code has a token.
        looks: Every condition's look.
        sizes: Every condition's codes: a dotted line at the share that
            each would have if all were alike.
    """
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        known = ~np.isnan(shares[row]).all(axis=0)
        if not known.any():
            continue
        at, values = ranks[known], shares[row][:, known]
        low, high, mean = (of(values, axis=0) for of in (np.nanmin, np.nanmax, np.nanmean))
        axes.fill_between(at, low, high, color=look.colour, alpha=0.16, linewidth=0)
        axes.plot(at, mean, color=look.colour, linestyle=look.dash)
        alike = [1 / sizes[row]] * 2
        axes.plot([1, sizes[row]], alike, color=look.colour, linewidth=0.9, dashes=(1.5, 2.5))
        ends.append((float(max(sizes)), float(mean[-1]), look))
    _scale_logarithmically(axes, 1.2 * max(sizes))
    label_ends(axes, ends)
    return axes


def _scale_logarithmically(axes: Axes, most_ranks: float) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    low, high = axes.get_ylim()
    if high < 10 * low:  # too little for ticks by decade
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlim(0.8, most_ranks)


def use_by_bucket(
    axes: Axes,
    log_snr: Float[np.ndarray, " b"],
    values: Float[np.ndarray, "k s b"],
    looks: Sequence[Look],
    *,
    is_labelled: bool = False,
) -> Axes:
    """Draws the mean over seeds at each bucket of noise levels, and a band over seeds, from 0."""
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        completed = values[row][~np.isnan(values[row]).any(axis=1)]
        if not len(completed):
            continue
        mean = completed.mean(axis=0)
        band = completed.min(axis=0), completed.max(axis=0)
        axes.fill_between(log_snr, *band, color=look.colour, alpha=0.16, linewidth=0)
        line = {"color": look.colour, "linestyle": look.dash, "marker": look.marker}
        axes.plot(log_snr, mean, markersize=4, **line)
        ends.append((float(log_snr[-1]), float(mean[-1]), look))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if is_labelled:
        label_ends(axes, ends)
    return axes
