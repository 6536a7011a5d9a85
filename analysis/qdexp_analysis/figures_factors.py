"""Figures of factors: every function takes Axes and data, and returns the Axes."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from qdexp_analysis.appearance import COLOURS, MUTED, RULE
from qdexp_analysis.quantities import MINUS, NONE

STRONGEST = 0.55
"""Opacity of the cell that differs most: its number stays readable in the dark and the light."""

MOST_NUMBERED = 150
"""Cells of a map up to which each has its number; of more, colours alone can be told apart."""

BETTER, WORSE = COLOURS[0], COLOURS[1]


def interaction(
    axes: Axes,
    values: Float[np.ndarray, "a b"],
    levels: tuple[Sequence[str], Sequence[str]],
    *,
    is_lower_better: bool,
    most: float,
) -> Axes:
    """Draws a heat map of two factors, each cell with its number, an empty one with a dash.

    Better is one colour and worse another, both over the page's own, and the sign is in the number
    for those who cannot tell them apart.

    Args:
        axes: Where to draw.
        values: Differences, by level of the factor that goes downwards and of that to the right.
        levels: Their names, likewise.
        is_lower_better: Whether negative values are the better ones.
        most: The value that is drawn strongest.
    """
    is_numbered = values.size <= MOST_NUMBERED
    cells: list[Rectangle] = []
    for row, column in np.ndindex(*values.shape):
        value = float(values[row, column])
        is_better = (value < 0) == is_lower_better
        share = min(abs(value) / most, 1) if math.isfinite(value) and most else 0
        cells.append(_cell(row, column, BETTER if is_better else WORSE, STRONGEST * share))
        if is_numbered:
            axes.add_patch(cells[-1])
            axes.text(column, row, _number(value, most), ha="center", va="center")
    if not is_numbered:  # so many are drawn as one
        axes.add_collection(PatchCollection(cells, match_original=True))
        axes.tick_params(axis="x", rotation=90)
    _frame(axes, levels)
    return axes


def _frame(axes: Axes, levels: tuple[Sequence[str], Sequence[str]]) -> None:
    """Names the levels along a map, and draws its edge."""
    for ticks, names in ((axes.set_yticks, levels[0]), (axes.set_xticks, levels[1])):
        ticks(range(len(names)), list(names))
    axes.set_xlim(-0.5, len(levels[1]) - 0.5)
    axes.set_ylim(len(levels[0]) - 0.5, -0.5)
    for edge in axes.spines.values():
        edge.set_visible(True)
        edge.set_color(RULE)
    axes.grid(visible=False)
    axes.tick_params(colors=MUTED)


def _cell(row: int, column: int, colour: str, opacity: float) -> Rectangle:
    corner = (column - 0.5, row - 0.5)
    return Rectangle(corner, 1, 1, facecolor=colour, alpha=opacity, linewidth=0)


def _number(value: float, most: float) -> str:
    """Returns a value with its sign, all to the second digit of the largest; 0 has no sign."""
    if not math.isfinite(value):
        return NONE
    decimals = min(max(1 - math.floor(math.log10(most)), 0), 9) if most else 0
    text = f"{value:+,.{decimals}f}"
    return text[1:] if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)
