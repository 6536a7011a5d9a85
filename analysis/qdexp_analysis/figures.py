"""Figures: every function takes Axes and data, and returns the Axes."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from qdexp_analysis.appearance import INK, MUTED, RULE, SHADE, Look
from qdexp_analysis.contrasts import Contrast, Margin


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
        if contrast.estimate.interval is not None:
            low, high = contrast.estimate.interval
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
        by_seed = rows.pivot_table(index="step", columns="seed", values="value")
        steps, values = by_seed.index.to_numpy(dtype=float), by_seed.to_numpy(dtype=float)
        low, high, mean = (of(values, axis=1) for of in (np.nanmin, np.nanmax, np.nanmean))
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.16, linewidth=0)
        sns.lineplot(x=steps, y=mean, ax=axes, color=look.colour, linestyle=look.dash)
        ends.append((float(steps[-1]), float(mean[-1]), look))
    _label_ends(axes, ends)
    axes.set_xlabel("optimizer step")
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
) -> Axes:
    """Draws the error at each noise level on a logarithmic scale, from noise to clean."""
    for row, look in enumerate(looks):
        completed = errors[row][~np.isnan(errors[row]).any(axis=1)]
        if len(completed):
            axes.plot(
                log_snr,
                completed.mean(axis=0),
                color=look.colour,
                linestyle=look.dash,
                marker=look.marker,
                markersize=2.5,
                label=look.label,
            )
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 10 * low:  # too little for the decades' ticks
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("mean squared error")
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
    axes.set_xlabel("log-SNR (noise on the left, nearly clean on the right)")
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
    _label_ends(axes, means)
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
    low, high = axes.get_ylim()
    gap = (high - low) * 0.085
    ordered = sorted(ends, key=lambda end: end[1])
    centre = float(np.mean([y for _, y, _ in ordered]))
    heights: list[float] = []
    for _, y, _ in ordered:
        heights.append(max(y, heights[-1] + gap) if heights else y)
    shift = max(float(np.mean(heights)) - centre, heights[-1] - high + gap / 2)
    shift = min(shift, heights[0] - low - gap / 2)
    for (x, _, look), height in zip(ordered, heights, strict=True):
        axes.annotate(
            look.label,
            (x, height - shift),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=look.colour,
            annotation_clip=False,
        )
