"""A figure of a report with its words, as it stands in a page or in files of its own."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from qdexp_analysis.appearance import png_file, styled, svg, svg_file
from qdexp_analysis.language import say


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure and what is said of it.

    Args:
        name: Of its files, and of what is in it: lower case, digits and hyphens.
        section: The part of the report that it belongs to.
        title: What it shows.
        caption: How to read it.
        text: What is to be seen, with numbers, for those who cannot see it.
        figure: The drawing, made in `styled()`.
    """

    name: str
    section: str
    title: str
    caption: str
    text: str
    figure: Figure

    def inline(self) -> str:
        """Returns it as SVG for a page, in the page's colours and type."""
        with styled():
            return svg(
                self.figure, self.name, say("{title}. {text}", title=self.title, text=self.text)
            )

    def files(self) -> dict[str, bytes]:
        """Returns it as files, by their names."""
        with styled():
            drawn = svg_file(self.figure, self.title, self.text)
            return {f"{self.name}.svg": drawn.encode(), f"{self.name}.png": png_file(self.figure)}
