"""The forest plot: it takes Axes and data, and returns the Axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from qdexp_analysis.appearance import MUTED, PAPER, SHADE, Look
from qdexp_analysis.language import say

Limits = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One contrast of a forest plot, in the unit of its axis.

    Args:
        look: The condition's.
        difference: From the baseline; None where no pair completed.
        interval: Of this contrast alone, drawn thick; None from fewer than two pairs.
        simultaneous: Of all contrasts together, drawn thin beyond the other; None if not known.
        is_decided: Whether a verdict was reached: then the point is filled.
    """

    look: Look
    difference: float | None
    interval: Limits | None
    simultaneous: Limits | None = None
    is_decided: bool = True


def forest(axes: Axes, rows: Sequence[ForestRow], margin: float | None) -> Axes:
    """Draws each contrast with its intervals, 0, and the smallest effect of interest as a band.

    Args:
        axes: Where to draw.
        rows: From above.
        margin: Half the width of the band; None without one.
    """
    if margin is not None:
        axes.axvspan(-margin, margin, color=SHADE, linewidth=0, zorder=0)
        for limit in (-margin, margin):
            axes.axvline(limit, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
    axes.axvline(0, color=MUTED, linewidth=1)
    for height, row in enumerate(rows):
        _draw(axes, row, height)
    axes.set_yticks(range(len(rows)), [row.look.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return axes


def _draw(axes: Axes, row: ForestRow, height: int) -> None:
    if row.difference is None:
        axes.text(0, height, say("  no pair completed"), va="center", color=MUTED)
        return
    colour = row.look.colour
    for limits, width in ((row.simultaneous, 0.9), (row.interval, 2.6)):
        if limits is not None:
            axes.plot(limits, [height] * 2, color=colour, linewidth=width, solid_capstyle="butt")
    if row.simultaneous is not None:
        axes.plot(row.simultaneous, [height] * 2, "|", color=colour, markersize=6)
    axes.plot(
        row.difference, height, marker=row.look.marker, color=colour, markersize=6.5,
        markerfacecolor=colour if row.is_decided else PAPER, markeredgewidth=1.6,
    )  # fmt: skip
