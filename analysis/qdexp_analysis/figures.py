"""Figures: every function takes Axes and data, and returns the Axes."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from qdexp_analysis.appearance import INK, MUTED, RULE, SHADE, Look
from qdexp_analysis.contrasts import Contrast, Margin

LEVELS = "log-SNR (noise on the left, nearly clean on the right)"
"""The label of an axis of noise levels."""


def forest(
    axes: Axes, contrasts: Sequence[Contrast], looks: Sequence[Look], margin: Margin | None
) -> Axes:
    """Draws each contrast in percent of the baseline, and the margin as a band."""
    drawn = [c for c in contrasts if c.estimate is not None and c.baseline_mean > 0]
    if margin is not None and drawn:
        limit = margin.value * 100
        if not margin.is_relative:
            limit /= float(np.mean([c.baseline_mean for c in drawn]))
        axes.axvspan(-limit, limit, color=SHADE, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=1)
    for row, contrast in enumerate(contrasts):
        if contrast not in drawn or contrast.estimate is None:
            axes.text(0, row, "  no pair completed", va="center", color=MUTED)
            continue
        look = looks[contrast.condition]
        scale = 100 / contrast.baseline_mean
        if contrast.simultaneous is not None:
            low, high = contrast.simultaneous
            axes.plot([low * scale, high * scale], [row, row], color=look.colour, linewidth=2.2)
        mean = contrast.estimate.mean * scale
        axes.plot(mean, row, marker=look.marker, color=look.colour, markersize=6)
    axes.set_yticks(range(len(contrasts)), [looks[c.condition].label for c in contrasts])
    axes.set_ylim(len(contrasts) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference from the baseline, %")
    return axes


def paired_values(
    axes: Axes, values: Float[np.ndarray, "k s"], looks: Sequence[Look], unit: str
) -> Axes:
    """Draws every trial, the trials of one seed joined by a line."""
    for seed in range(values.shape[1]):
        axes.plot(values[:, seed], color=RULE, linewidth=1, zorder=1)
    for row, look in enumerate(looks):
        axes.scatter(
            np.full(values.shape[1], row),
            values[row],
            s=26,
            color=look.colour,
            marker=look.marker,
            zorder=2,
        )
    _label_conditions(axes, looks)
    axes.set_ylabel(unit)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return axes


def learning_curves(axes: Axes, history: pd.DataFrame, looks: Sequence[Look], unit: str) -> Axes:
    """Draws the mean over seeds at each step, and a band from the lowest seed to the highest.

    Args:
        axes: Where to draw.
        history: Columns condition, seed, step, value; of one metric.
        looks: Every condition's look.
        unit: The label of the vertical axis.
    """
    ends: list[tuple[float, float, Look]] = []
    for position, look in enumerate(looks):
        rows = history[history["condition"] == position]
        if not len(rows):
            continue
        by_seed = rows.set_index(["step", "seed"])["value"].unstack()
        steps, values = by_seed.index.to_numpy(dtype=float), by_seed.to_numpy(dtype=float)
        low, high, mean = (of(values, axis=1) for of in (np.nanmin, np.nanmax, np.nanmean))
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.16, linewidth=0)
        marker = look.marker if len(steps) == 1 else None  # a line of one point is invisible
        line = {"color": look.colour, "linestyle": look.dash, "marker": marker}
        axes.plot(steps, mean, **line)
        ends.append((float(steps[-1]), float(mean[-1]), look))
    _label_ends(axes, ends)
    axes.set_xlabel("optimizer step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylabel(unit)
    return axes


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
) -> Axes:
    """Draws the error at each noise level on a logarithmic scale, from noise to clean."""
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        completed = errors[row][~np.isnan(errors[row]).any(axis=1)]
        if not len(completed):
            continue
        mean = completed.mean(axis=0)
        line = {"color": look.colour, "linestyle": look.dash, "marker": look.marker}
        axes.plot(log_snr, mean, markersize=2.5, **line)
        ends.append((float(log_snr[-1]), float(mean[-1]), look))
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    is_narrow = high < 10 * low  # too little for ticks by decade
    axes.yaxis.set_major_locator(MaxNLocator(4) if is_narrow else LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("mean squared error")
    if is_labelled:
        _label_ends(axes, ends)
    return axes


def differences_by_level(
    axes: Axes,
    log_snr: Float[np.ndarray, " levels"],
    errors: Float[np.ndarray, "k s levels"],
    looks: Sequence[Look],
    baseline: int,
) -> Axes:
    """Draws each condition's difference from the baseline at each noise level, in percent."""
    ends: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        shares = 100 * (errors[row] / errors[baseline] - 1)
        shares = shares[~np.isnan(shares).any(axis=1)]
        if not len(shares):
            continue
        low, high = shares.min(axis=0), shares.max(axis=0)
        axes.fill_between(log_snr, low, high, color=look.colour, alpha=0.14, linewidth=0)
        axes.plot(log_snr, shares.mean(axis=0), color=look.colour, linestyle=look.dash)
        ends.append((float(log_snr[-1]), float(shares.mean(axis=0)[-1]), look))
    _label_ends(axes, ends)
    axes.set_ylabel("against the baseline, %")
    axes.set_xlabel(LEVELS)
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


def quality_against_cost(
    axes: Axes,
    cost: Float[np.ndarray, "k s"],
    quality: Float[np.ndarray, "k s"],
    looks: Sequence[Look],
) -> Axes:
    """Draws every trial faintly and every condition's mean boldly, labelled."""
    means: list[tuple[float, float, Look]] = []
    for row, look in enumerate(looks):
        both = ~(np.isnan(cost[row]) | np.isnan(quality[row]))
        if not both.any():
            continue
        x, y = cost[row][both], quality[row][both]
        axes.scatter(x, y, s=16, color=look.colour, marker=look.marker, alpha=0.35, linewidth=0)
        axes.scatter(x.mean(), y.mean(), s=54, color=look.colour, marker=look.marker)
        means.append((float(x.mean()), float(y.mean()), look))
    axes.margins(0.16)
    _label_points(axes, means)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return axes


def _label_conditions(axes: Axes, looks: Sequence[Look]) -> None:
    is_long = sum(len(look.label) for look in looks) > 44
    axes.set_xticks(
        range(len(looks)),
        [look.label for look in looks],
        rotation=35 if is_long else 0,
        ha="right" if is_long else "center",
    )
    axes.set_xlim(-0.5, len(looks) - 0.5)
    axes.grid(visible=False, axis="x")


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, Look]]) -> None:
    """Writes each line's label beside its end, moved apart so that none covers another."""
    if not ends:
        return
    gap = 0.085  # of the axes' height
    axes.autoscale_view()  # else the limits are those of empty axes
    to_share = axes.transScale + axes.transLimits
    placed = sorted(
        (float(to_share.transform((x, y))[1]), x, i) for i, (x, y, _) in enumerate(ends)
    )
    heights: list[float] = []
    for height, *_ in placed:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    centre = float(np.mean([height for height, *_ in placed]))
    shift = max(float(np.mean(heights)) - centre, heights[-1] - 1 + gap / 2)
    shift = min(shift, heights[0] - gap / 2)
    for (_, x, i), height in zip(placed, heights, strict=True):
        axes.annotate(
            ends[i][2].label,
            (x, height - shift),
            (6, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="center",
            color=ends[i][2].colour,
            annotation_clip=False,
        )


def _label_points(axes: Axes, points: Sequence[tuple[float, float, Look]]) -> None:
    """Writes each point's label beside it, on the side where it covers least."""
    axes.autoscale_view()  # else the limits are those of empty axes
    to_share = axes.transScale + axes.transLimits
    places = [tuple(to_share.transform((x, y))) for x, y, _ in points]
    taken = [(x - 0.015, x + 0.015, y - 0.03, y + 0.03) for x, y in places]
    for (x, y), (*_, look) in zip(places, points, strict=True):
        width, height = 0.02 * len(look.label), 0.075
        left, right, low, high = x + 0.025, x - 0.025 - width, y - 0.035 - height, y + 0.035
        across = [(side, y - height / 2) for side in (left, right)]
        sides = [*across, *((side, end) for end in (high, low) for side in (left, x, right))]
        boxes = [(a, a + width, b, b + height) for a, b in sides]
        box = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(box)
        axes.text(
            box[0],
            (box[2] + box[3]) / 2,
            look.label,
            va="center",
            color=look.colour,
            transform=axes.transAxes,
        )


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Tells whether two boxes (left, right, low, high) share a point."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
