"""A contact sheet: the codes of one clip, token frame by token frame, beside what they show.

Axes: f frames, h and w pixels, tt hh ww the token grid.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from qdexp_analysis.appearance import MUTED, styled

SIDE = 1.15
"""Inches of a frame's longer side."""

FRAMES_PER_LATENT = 4
"""The first frame has a latent frame of its own, all others share one by four."""

_DOTS_PER_INCH = 120
_MAP = "viridis"


def save_contact_sheet(
    frames: UInt8[np.ndarray, "f h w 3"],
    codes: Int[np.ndarray, "tt hh ww"] | None,
    *,
    num_codes: int,
    latents_per_token: int,
    path: Path,
) -> Path:
    """Writes a contact sheet as a PNG and returns its path.

    Args:
        frames: The clip.
        codes: The code of every token at the last step of sampling, if there are codes.
        num_codes: Codes in the codebook.
        latents_per_token: Latent frames in one token.
        path: Where to.
    """
    rows = token_frames(len(frames), latents_per_token)
    columns = max(len(row) for row in rows) + (codes is not None)
    height, width = (SIDE * side / max(frames.shape[1:3]) for side in frames.shape[1:3])
    size = (columns * (width + 0.08), len(rows) * (height + 0.22) + 0.5 * (codes is not None))
    with styled():
        figure = Figure(figsize=size)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for token, (band, row) in enumerate(zip(grid, rows, strict=True)):
            pictures = list(band)
            if codes is not None:
                _codes(pictures.pop(0), codes[token], num_codes, row)
            for axes, frame in zip(pictures, row, strict=False):
                axes.imshow(frames[frame], interpolation="nearest")
                _title(axes, f"{frame}")
        if codes is not None:
            _legend(figure, grid, num_codes)
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return path


def token_frames(num_frames: int, latents_per_token: int) -> list[range]:
    """Returns the frames that each frame of the token grid stands for."""
    step = FRAMES_PER_LATENT * latents_per_token
    ends = range(step - FRAMES_PER_LATENT, num_frames, step)
    return [range(max(0, end - step + 1), end + 1) for end in ends]


def _codes(axes: Axes, codes: Int[np.ndarray, "hh ww"], num_codes: int, frames: range) -> None:
    axes.imshow(codes, cmap=_MAP, vmin=0, vmax=num_codes - 1, interpolation="nearest")
    first, last = frames[0], frames[-1]
    _title(axes, f"codes of {first}" if first == last else f"codes of {first} to {last}")


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, color=MUTED, weight="normal", fontsize=8, pad=2)


def _legend(figure: Figure, grid: np.ndarray, num_codes: int) -> None:
    shades = ScalarMappable(Normalize(0, num_codes - 1), mpl.colormaps[_MAP])
    bar = figure.colorbar(shades, ax=grid, location="bottom", fraction=0.02, pad=0.01, aspect=60)
    bar.set_ticks([0, num_codes - 1], labels=["code 0", f"{num_codes - 1:,}"])
    bar.ax.tick_params(labelsize=8)
