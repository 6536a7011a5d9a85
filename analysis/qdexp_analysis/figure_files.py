"""A report's figures as files of their own, beside it: SVG to edit and to print, PNG for slides."""

from collections.abc import Iterable
from pathlib import Path

from qdexp_analysis.picture import Picture

FIGURES = "figures"
"""The folder beside a report."""


def figure_contents(pictures: Iterable[Picture]) -> dict[str, bytes]:
    """Returns every figure as SVG and as PNG, by the path that it has beside the report."""
    return {
        f"{FIGURES}/{name}": content
        for picture in pictures
        for name, content in picture.files().items()
    }


def remove_others(folder: Path, kept: Iterable[str]) -> None:
    """Removes the figures beside a report that it does not have any more.

    Raises:
        OSError: One cannot be removed.
    """
    names = set(kept)
    for path in (folder / FIGURES).glob("*.*"):
        is_figure = path.suffix in (".svg", ".png")
        if is_figure and f"{FIGURES}/{path.name}" not in names:
            path.unlink(missing_ok=True)
