"""Figures of searches: every function takes Axes and data, and returns the Axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from qdexp_analysis.appearance import COLOURS, INK, MUTED, RULE

POINT, BEST = COLOURS[0], COLOURS[1]
"""The colours of what was tried, and of the best of it."""

FAINTEST = 0.25
"""How opaque the first of a search's points is; the last is wholly so."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a parameter's values stand along an axis.

    Args:
        name: What is written beside it.
        ticks: Places that are named, with their names; none for an axis of numbers.
        low: The least place.
        high: The greatest.
        is_log: Whether the axis is logarithmic.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]
    low: float
    high: float
    is_log: bool = False

    def share(self, places: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Returns places as shares of the way from the least to the greatest."""
        turn = np.log if self.is_log else np.asarray
        low, high = float(turn(self.low)), float(turn(self.high))
        return (turn(places) - low) / (high - low) if high > low else np.full(len(places), 0.5)

    def at(self, shares: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Returns the places that are such shares of the way."""
        if self.is_log:
            return self.low * (self.high / self.low) ** shares
        return self.low + shares * (self.high - self.low)


def course(
    axes: Axes,
    cost: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    best: Float[np.ndarray, " n"],
    baseline: float | None,
) -> Axes:
    """Draws each configuration at what was spent by its end, and the best so far as a line.

    Those without a value are marked at the foot.
    """
    if baseline is not None:
        axes.axhline(baseline, color=MUTED, linewidth=1, linestyle=(0, (4, 1.5)), zorder=1)
    known = np.isfinite(values)
    axes.scatter(cost[known], values[known], s=16, color=POINT, alpha=0.55, linewidth=0)
    line = np.isfinite(best)
    axes.plot(cost[line], best[line], drawstyle="steps-post", color=BEST, zorder=3)
    axes.scatter(cost[line][-1:], best[line][-1:], s=24, color=BEST, zorder=4)
    if (~known).any():
        foot = np.full(int((~known).sum()), 0.02)
        axes.scatter(
            cost[~known], foot, s=22, marker="x", color=INK, linewidth=1,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.03, y=0.12)
    return axes


def shares(axes: Axes, names: Sequence[str], values: Float[np.ndarray, " k"]) -> Axes:
    """Draws shares as bars, the first at the top."""
    rows = np.arange(len(names))
    axes.barh(rows, 100 * values, color=POINT, height=0.55)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, max(100 * float(np.nanmax(values, initial=0.0)) * 1.12, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")
    return axes


def one_slice(axes: Axes, scale: Scale, points: Float[np.ndarray, "n 3"], best: int) -> Axes:
    """Draws an objective against one parameter, later configurations more opaque.

    Args:
        axes: Where to draw.
        scale: The parameter's axis.
        points: Its value, nan where it does not act; the objective; how late the configuration was
            suggested, from 0 to 1.
        best: The row of the best.
    """
    acts = np.isfinite(points[:, 0])
    places, values, order = points.T
    if scale.ticks:
        places = places + _spread(places)
    colours = [(*to_rgb(POINT), FAINTEST + (1 - FAINTEST) * late) for late in order[acts]]
    axes.scatter(places[acts], values[acts], s=16, color=colours, linewidth=0)
    if acts[best]:
        axes.plot(places[best], values[best], marker="D", markersize=6, color=BEST, zorder=3)
    _set_scale(axes, scale)
    axes.set_xlabel(scale.name)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    return axes


def _set_scale(axes: Axes, scale: Scale) -> None:
    if scale.ticks:
        places, names = zip(*scale.ticks, strict=True)
        axes.set_xticks(places, names)
        axes.set_xlim(scale.low - 0.5, scale.high + 0.5)
        axes.grid(visible=False, axis="x")
        return
    if scale.is_log:
        axes.set_xscale("log")
        is_narrow = scale.high < 100 * scale.low
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_narrow else (1,), numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _spread(places: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns small shifts that move equal places apart, the same each time."""
    shifts = np.zeros(len(places))
    for place in np.unique(places[np.isfinite(places)]):
        at = np.flatnonzero(places == place)
        shifts[at] = np.linspace(-0.18, 0.18, len(at)) if len(at) > 1 else 0.0
    return shifts


def contour(
    axes: Axes,
    scales: tuple[Scale, Scale],
    points: Float[np.ndarray, "n 2"],
    grid: tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"], Float[np.ndarray, "g g"]],
    best: int,
) -> Axes:
    """Draws lines of equal value of an interpolation, and the points that it goes through.

    Args:
        axes: Where to draw.
        scales: The two parameters' axes.
        points: What was measured.
        grid: Places along both, and the interpolation there; nan where it says nothing.
        best: The row of the best.
    """
    across, up, values = grid
    drawn = axes.contour(across, up, np.ma.masked_invalid(values), levels=6, colors=POINT)
    drawn.set_linewidth(1.1)
    axes.clabel(drawn, fontsize=8, colors=INK, fmt=lambda value: f"{value:.4g}")
    axes.scatter(points[:, 0], points[:, 1], s=14, color=MUTED, linewidth=0, zorder=3)
    axes.plot(*points[best], marker="D", markersize=6, color=BEST, zorder=4)
    for scale, axis, set_scale in (
        (scales[0], axes.xaxis, axes.set_xscale), (scales[1], axes.yaxis, axes.set_yscale)
    ):  # fmt: skip
        if scale.is_log:
            set_scale("log")
            is_narrow = scale.high < 100 * scale.low
            subs = (1, 2, 5) if is_narrow else (1,)
            axis.set_major_locator(LogLocator(subs=subs, numticks=6))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(scales[0].name)
    axes.set_ylabel(scales[1].name)
    for scale, set_limits in zip(scales, (axes.set_xlim, axes.set_ylim), strict=True):
        set_limits(*scale.at(np.array([-0.04, 1.04])).tolist())  # room for points at the edges
    axes.grid(visible=False)
    return axes


def parallel(
    axes: Axes,
    scales: Sequence[Scale],
    places: Float[np.ndarray, "n k"],
    is_best: Bool[np.ndarray, " n"],
) -> Axes:
    """Draws every configuration as a line down through its parameters, the best ones in colour.

    Where a parameter does not act the line has a gap.
    """
    rows = np.arange(len(scales))
    shares_of = np.stack([s.share(places[:, k]) for k, s in enumerate(scales)], axis=1)
    for row in np.argsort(is_best, kind="stable"):
        chosen = bool(is_best[row])
        look = {"color": BEST, "alpha": 0.85} if chosen else {"color": MUTED, "alpha": 0.3}
        axes.plot(
            shares_of[row], rows, marker="o", markersize=3, linewidth=1.3 if chosen else 0.8, **look
        )
    for row, scale in enumerate(scales):
        for place, name in scale.ticks or (
            (scale.low, _end(scale.low)),
            (scale.high, _end(scale.high)),
        ):
            at = float(scale.share(np.array([float(place)]))[0])
            align = "left" if at < 0.1 else "right" if at > 0.9 else "center"
            axes.annotate(
                name, (at, row), (0, 5), textcoords="offset points", ha=align, fontsize=8,
                color=INK,
            )  # fmt: skip
        axes.plot([0, 1], [row, row], color=RULE, linewidth=1, zorder=0)
    axes.set_yticks(rows, [scale.name for scale in scales])
    axes.set_ylim(len(scales) - 0.6, -0.7)
    axes.set_xlim(-0.04, 1.04)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return axes


def _end(place: float) -> str:
    return f"{place:.4g}"


def front(
    axes: Axes,
    values: Float[np.ndarray, "n 2"],
    signs: tuple[float, float],
    on_front: Bool[np.ndarray, " n"],
    baseline: Float[np.ndarray, " 2"] | None,
) -> Axes:
    """Draws two objectives, those that no other one beats in colour and joined by a staircase."""
    rest = values[~on_front]
    axes.scatter(rest[:, 0], rest[:, 1], s=16, color=POINT, alpha=0.5, linewidth=0)
    best = values[on_front]
    best = best[np.argsort(signs[0] * best[:, 0], kind="stable")]
    if len(best) > 1:
        axes.plot(best[:, 0], best[:, 1], drawstyle="steps-post", color=BEST, linewidth=1, zorder=2)
    axes.scatter(best[:, 0], best[:, 1], s=26, color=BEST, zorder=3)
    if baseline is not None:
        axes.plot(*baseline, marker="s", markersize=7, color=INK, markerfacecolor="none", zorder=4)
    axes.margins(0.1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    return axes
