"""Figures: every function takes Axes and data, and returns the Axes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from qdexp_analysis.appearance import INK, RULE, SHADE, Look
from qdexp_analysis.figure_labels import has_long_labels, label_conditions, label_ends
from qdexp_analysis.language import say

MOST_POINTS = 160
"""Of one learning curve: more are not to be told apart at the width of a figure."""


def levels_label() -> str:
    """Returns the label of an axis of noise levels."""
    return say("log-SNR (noise on the left, nearly clean on the right)")


def paired_values(
    axes: Axes, values: Float[np.ndarray, "k s"], looks: Sequence[Look], unit: str
) -> Axes:
    """Draws every trial, the trials of one seed joined by a line; long names stand at the side."""
    is_upright = not has_long_labels(looks)
    places = np.arange(len(values))
    for seed in values.T:
        joined = (places, seed) if is_upright else (seed, places)
        axes.plot(*joined, color=RULE, linewidth=1, zorder=1)
    for row, look in enumerate(looks):
        at = np.full(values.shape[1], row)
        placed = (at, values[row]) if is_upright else (values[row], at)
        axes.scatter(*placed, s=26, color=look.colour, marker=look.marker, zorder=2)
    if is_upright:
        label_conditions(axes, looks)
        axes.set_ylabel(unit)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    else:
        axes.set_yticks(places, [look.label for look in looks])
        axes.set_ylim(len(looks) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes


def learning_curves(
    axes: Axes, history: pd.DataFrame, looks: Mapping[int, Look], unit: str
) -> list[tuple[int, float, float]]:
    """Draws the mean over seeds at each step, and a band from the lowest seed to the highest.

    Args:
        axes: Where to draw.
        history: Columns condition, seed, step, value; of one metric.
        looks: The look of every condition that is drawn, by its position.
        unit: The label of the vertical axis.

    Returns:
        Each drawn condition's position with the mean at its first step and at its last.
    """
    ends: list[tuple[float, float, Look]] = []
    means: list[tuple[int, float, float]] = []
    for position, look in looks.items():
        rows = history[history["condition"] == position]
        if not len(rows):
            continue
        by_seed = _thinned(rows.pivot_table(index="step", columns="seed", values="value"))
        steps, values = by_seed.index.to_numpy(dtype=float), by_seed.to_numpy(dtype=float)
        low, high, mean = (of(values, axis=1) for of in (np.nanmin, np.nanmax, np.nanmean))
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.16, linewidth=0)
        marker = look.marker if len(steps) == 1 else None  # a line of one point is invisible
        line = {"color": look.colour, "linestyle": look.dash, "marker": marker}
        sns.lineplot(x=steps, y=mean, ax=axes, **line)
        ends.append((float(steps[-1]), float(mean[-1]), look))
        means.append((position, float(mean[0]), float(mean[-1])))
    label_ends(axes, ends)
    axes.set_xlabel(say("optimizer step"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylabel(unit)
    return means


def _thinned(by_step: pd.DataFrame) -> pd.DataFrame:
    """Returns at most `MOST_POINTS` rows, evenly spread, the first and the last among them."""
    if len(by_step) <= MOST_POINTS:
        return by_step
    return by_step.iloc[np.linspace(0, len(by_step) - 1, MOST_POINTS).round().astype(int)]


def bounded_values(
    axes: Axes,
    values: Float[np.ndarray, "k s"],
    bounds: Float[np.ndarray, " k"],
    looks: Sequence[Look],
) -> Axes:
    """Draws every trial beside the greatest value that it could have, from 0."""
    for row, look in enumerate(looks):
        mean = float(np.nanmean(values[row])) if not np.isnan(values[row]).all() else math.nan
        axes.plot([0, mean], [row, row], color=look.colour, linewidth=5, alpha=0.22)
        axes.scatter(
            values[row], np.full(values.shape[1], row), s=20, color=look.colour, marker=look.marker
        )
        axes.plot([bounds[row]] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=1.4)
    axes.set_yticks(range(len(looks)), [look.label for look in looks])
    axes.set_ylim(len(looks) - 0.5, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return axes


def errors_by_level(
    axes: Axes,
    log_snr: Float[np.ndarray, " levels"],
    errors: Float[np.ndarray, "k s levels"],
    looks: Sequence[Look],
    *,
    is_labelled: bool = False,
) -> list[tuple[int, float, float]]:
    """Draws the error at each noise level on a logarithmic scale, from noise to clean.

    Returns:
        Each drawn row of `errors` with its mean at the noisiest level and at the cleanest.
    """
    drawn: list[tuple[int, float, float]] = []
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        completed = errors[row][~np.isnan(errors[row]).any(axis=1)]
        if not len(completed):
            continue
        mean = completed.mean(axis=0)
        line = {"color": look.colour, "linestyle": look.dash, "marker": look.marker}
        axes.plot(log_snr, mean, markersize=2.5, **line)
        ends.append((float(log_snr[-1]), float(mean[-1]), look))
        drawn.append((row, float(mean[0]), float(mean[-1])))
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    is_narrow = high < 10 * low  # too little for ticks by decade
    axes.yaxis.set_major_locator(MaxNLocator(4) if is_narrow else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(say("mean squared error"))
    if is_labelled:
        label_ends(axes, ends)
    return drawn


def differences_by_level(
    axes: Axes,
    log_snr: Float[np.ndarray, " levels"],
    errors: Float[np.ndarray, "k s levels"],
    looks: Sequence[Look],
    baseline: Float[np.ndarray, "s levels"],
) -> Axes:
    """Draws each condition's difference from the baseline's errors at each level, in percent."""
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        shares = 100 * (errors[row] / baseline - 1)
        shares = shares[~np.isnan(shares).any(axis=1)]
        if not len(shares):
            continue
        low, high = shares.min(axis=0), shares.max(axis=0)
        axes.fill_between(log_snr, low, high, color=look.colour, alpha=0.14, linewidth=0)
        axes.plot(log_snr, shares.mean(axis=0), color=look.colour, linestyle=look.dash)
        ends.append((float(log_snr[-1]), float(shares.mean(axis=0)[-1]), look))
    label_ends(axes, ends)
    axes.set_ylabel(say("against the baseline, %"))
    axes.set_xlabel(levels_label())
    return axes


def shade_extrapolation(
    axes: Axes, log_snr: Float[np.ndarray, " levels"], is_shared: Sequence[bool]
) -> Axes:
    """Shades the noise levels that some condition was not trained on."""
    half = float(np.diff(log_snr).mean()) / 2 if len(log_snr) > 1 else 0.5
    for level, shared in zip(log_snr, is_shared, strict=True):
        if not shared:
            axes.axvspan(level - half, level + half, color=SHADE, linewidth=0, zorder=0)
    axes.set_xlim(float(log_snr[0]) - half, float(log_snr[-1]) + half)
    return axes
