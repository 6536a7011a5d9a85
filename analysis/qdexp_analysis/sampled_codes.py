"""The codes that samples went through, as a picture: which, and at which timestep how many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qdexp_analysis.appearance import COLOURS, STYLE
from qdexp_analysis.code_histogram import code_histogram

# Powers of ten at a logarithmic axis are formulas; the histogram's title is a long line.
_OWN_STYLE: dict[Any, Any] = {"text.parse_math": True, "axes.titleweight": "normal"}


def save_sampled_codes(
    counts: Sequence[float],
    timesteps: Sequence[int],
    usage: Sequence[float],
    perplexity: Sequence[float],
    path: Path,
) -> Path:
    """Writes the histogram of codes and their use by timestep as a PNG; returns its path.

    Args:
        counts: Tokens by code, over all timesteps.
        timesteps: At which the network was called, falling.
        usage: Share of the codes used at each.
        perplexity: Of the codes at each.
        path: Where to.
    """
    with mpl.rc_context(STYLE | _OWN_STYLE):
        figure = Figure(figsize=(6.4, 6.4))
        top, middle, bottom = figure.subplots(3, 1, height_ratios=(2.2, 1, 1))
        code_histogram(top, counts)
        top.title.set_fontsize(9)
        by_timestep(middle, timesteps, [100 * share for share in usage], "codes used, %")
        by_timestep(bottom, timesteps, perplexity, "perplexity, codes")
        middle.tick_params(labelbottom=False)
        bottom.set_xlabel("timestep: sampling goes from left to right, from most noise to least")
        figure.savefig(path, dpi=120, metadata={"Software": None})
    return path


def by_timestep(axes: Axes, timesteps: Sequence[int], values: Sequence[float], name: str) -> Axes:
    """Draws a value at every timestep of sampling, in its order."""
    axes.plot(timesteps, values, color=COLOURS[0], marker="o", markersize=3)
    axes.set_ylim(0, 1.1 * max(values))
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.invert_xaxis()
    return axes
