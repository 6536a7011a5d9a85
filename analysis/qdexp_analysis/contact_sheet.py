"""A contact sheet: the frames of one clip, row by row, and the codes behind them.

Axes: f frames, h and w pixels, tt hh ww the token grid.
"""

from itertools import groupby
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from qdexp_analysis.appearance import INK, MUTED, styled

COLUMNS = 8
"""Frames in a row: two latent frames of four; the first frame has a latent of its own."""

SIDE = 1.15
"""Inches of a frame's longer side."""

_DOTS_PER_INCH = 120
_MAP = "viridis"


def save_contact_sheet(
    frames: UInt8[np.ndarray, "f h w 3"],
    codes: Int[np.ndarray, "tt hh ww"] | None,
    *,
    num_codes: int,
    latents_per_code: int,
    path: Path,
) -> Path:
    """Writes a contact sheet as a PNG and returns its path.

    Args:
        frames: The clip.
        codes: The code of every token at the last step of sampling, if there are codes; drawn
            below the first of the frames that it stands for.
        num_codes: Codes in the codebook.
        latents_per_code: Latent frames in one token.
        path: Where to.
    """
    rows = _rows(len(frames))
    bands = 1 if codes is None else 2
    height, width = frames.shape[1:3]
    cell = (SIDE * width / max(height, width), SIDE * height / max(height, width))
    size = (COLUMNS * (cell[0] + 0.08) + 1.0, len(rows) * bands * (cell[1] + 0.24) + 0.45)
    with styled():
        figure = Figure(figsize=size)
        grid = figure.subplots(len(rows) * bands, COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for place, row in enumerate(rows):
            for column, frame in row:
                _picture(grid[place * bands, column], frames[frame], f"{frame}")
            if codes is not None:
                _draw_codes(grid[place * bands + 1], row, codes, num_codes, latents_per_code)
        if codes is not None:
            _legend(figure, grid, num_codes)
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return path


def _rows(num_frames: int) -> list[list[tuple[int, int]]]:
    """Returns for each row the columns and frames in it; the first frame stands alone."""
    later = [
        (1 + (frame - 1) // COLUMNS, (frame - 1) % COLUMNS, frame) for frame in range(1, num_frames)
    ]
    grouped = groupby([(0, 0, 0), *later], key=lambda each: each[0])
    return [[(column, frame) for _, column, frame in row] for _, row in grouped]


def _picture(axes: Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_title(title, color=MUTED, weight="normal", fontsize=8, pad=2)


def _draw_codes(
    band: np.ndarray,
    row: list[tuple[int, int]],
    codes: Int[np.ndarray, "tt hh ww"],
    num_codes: int,
    latents_per_code: int,
) -> None:
    drawn: set[int] = set()
    for column, frame in row:
        token = (0 if frame == 0 else 1 + (frame - 1) // 4) // latents_per_code
        if token in drawn:
            continue
        drawn.add(token)
        last = 4 * ((token + 1) * latents_per_code - 1)
        first = max(0, 4 * (token * latents_per_code - 1) + 1)
        title = f"codes of {first}" if first == last else f"codes of {first} to {last}"
        axes: Axes = band[column]
        axes.imshow(codes[token], cmap=_MAP, vmin=0, vmax=num_codes - 1, interpolation="nearest")
        axes.set_title(title, color=MUTED, weight="normal", fontsize=8, pad=2, loc="left")


def _legend(figure: Figure, grid: np.ndarray, num_codes: int) -> None:
    shades = ScalarMappable(Normalize(0, num_codes - 1), mpl.colormaps[_MAP])
    bar = figure.colorbar(shades, ax=grid, fraction=0.02, pad=0.01, aspect=40, shrink=0.9)
    bar.set_label("number of the code", color=INK, fontsize=8)
    bar.set_ticks([0, num_codes - 1], labels=["0", f"{num_codes - 1:,}"])
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
