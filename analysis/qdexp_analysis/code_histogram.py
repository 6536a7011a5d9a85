"""How often each code of a trained codebook is used, as a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def code_histogram(axes: Axes, counts: Sequence[float]) -> Axes:
    """Draws the share of tokens of each code, most used first, on logarithmic axes.

    Args:
        axes: Where to draw.
        counts: Tokens by code.
    """
    shares = np.sort(np.asarray(counts, dtype=float))[::-1]
    total = shares.sum()
    num_used = int(np.count_nonzero(shares))
    ranks = np.arange(1, shares.size + 1)
    axes.fill_between(ranks[:num_used], shares[:num_used] / max(total, 1), step="mid", alpha=0.35)
    axes.plot(ranks[:num_used], shares[:num_used] / max(total, 1), drawstyle="steps-mid")
    axes.axhline(1 / shares.size, color="0.4", linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("code, most used first")
    axes.set_ylabel("share of tokens")
    used = f"{num_used:,} of {shares.size:,} codes used, over {int(total):,} tokens"
    axes.set_title(f"{used}; dashed: all codes alike", fontsize="medium")
    return axes


def save_code_histogram(counts: Sequence[float], path: Path) -> Path:
    """Writes the histogram as a PNG and returns its path."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    code_histogram(figure.add_subplot(), counts)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
