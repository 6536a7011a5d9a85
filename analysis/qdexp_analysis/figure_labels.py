"""Where figures write the names of their conditions, so that none covers another."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from qdexp_analysis.appearance import Look

LINE = 11.8
"""Points from one line of labels to the next."""


def has_long_labels(looks: Sequence[Look]) -> bool:
    """Tells whether the conditions' names are too long to stand side by side."""
    return sum(len(look.label) for look in looks) > 44


def label_conditions(axes: Axes, looks: Sequence[Look]) -> None:
    """Writes the conditions along the horizontal axis."""
    axes.set_xticks(range(len(looks)), [look.label for look in looks])
    axes.set_xlim(-0.5, len(looks) - 0.5)
    axes.grid(visible=False, axis="x")


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, Look]]) -> None:
    """Writes each line's label beside its end, moved apart so that none covers another."""
    if not ends:
        return
    gap = LINE / (axes.bbox.height * 72 / axes.figure.dpi)  # of the axes' height
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


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float, Look]],
    others: Sequence[tuple[float, float]] = (),
) -> None:
    """Writes each point's label beside it, on the side where it covers least.

    Args:
        axes: Where to write, with everything else drawn.
        points: With their labels.
        others: Points that are not named, and not to be covered either.
    """
    axes.autoscale_view()  # else the limits are those of empty axes
    to_share = axes.transScale + axes.transLimits
    places = [tuple(to_share.transform((x, y))) for x, y, _ in points]
    taken = [(x - 0.015, x + 0.015, y - 0.03, y + 0.03) for x, y in places]
    between = [to_share.transform(place) for place in others]
    taken += [(x - 0.004, x + 0.004, y - 0.01, y + 0.01) for x, y in between]
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
