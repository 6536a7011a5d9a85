"""How figures look: colours that a page's theme can replace, type, and inline SVG."""

import html
import io
import itertools
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qdexp_analysis.fonts import families
from qdexp_analysis.quantities import NONE
from qdexp_analysis.table import Experiment

INK = "#1d2430"
MUTED = "#667080"
RULE = "#d9dee5"
SHADE = "#eceff3"
PAPER = "#fdfdfc"

# Okabe and Ito's colours, which the colour-blind can tell apart, darkened to stand on white.
COLOURS = ("#0067a5", "#c64f00", "#008060", "#a3508a", "#8a6d00", "#2b8cbe", "#555f6e")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v")

MOST_LETTERS = 30
"""Of a label in a figure; tables and texts have it whole."""

WIDTH = 4.8
"""Inches of every figure; type is set for this width."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "qdexp",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlecolor": INK,
    "text.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

_THEME = {INK: "ink", MUTED: "muted", RULE: "rule", SHADE: "shade", PAPER: "paper"} | {
    colour: f"condition-{index}" for index, colour in enumerate(COLOURS)
}


_STYLES = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>\s*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one condition looks in every figure of a report."""

    label: str
    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    marker: str


def looks(experiment: Experiment) -> tuple[Look, ...]:
    """Returns every condition's look: colour by the first factor, dash and marker by the others.

    Where each is named by what differs from one that all are near to, it has a colour of its own.
    """
    firsts: dict[str, int] = {}
    rests: dict[str, int] = {}
    found: list[Look] = []
    for position, condition in enumerate(experiment.conditions):
        label = experiment.labels.short(position)
        levels = [str(condition.get(f.field, NONE)) for f in experiment.factors]
        first, *rest = [label] if experiment.design.is_by_difference else levels or [""]
        colour = firsts.setdefault(first, len(firsts)) % len(COLOURS)
        other = rests.setdefault(str(rest), len(rests)) + colour // len(COLOURS)
        found.append(
            Look(
                label=shortened(label),
                colour=COLOURS[colour],
                dash=DASHES[other % len(DASHES)],
                marker=MARKERS[other % len(MARKERS)],
            )
        )
    return tuple(found)


def shortened(label: str) -> str:
    """Returns a label that leaves a figure its room: of a long one both ends."""
    half = MOST_LETTERS // 2
    return label if len(label) <= MOST_LETTERS else f"{label[:half]}…{label[1 - half :]}"


def draw(height: float, *, num_rows: int = 1, num_columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Returns a figure `WIDTH` wide and `height` inches high, with its axes row by row."""
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    return figure, list(itertools.chain.from_iterable(grid))


def settle(figure: Figure) -> Figure:
    """Places everything in a figure, once for all renderings of it."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def svg(figure: Figure, name: str, text: str) -> str:
    """Returns a figure as inline SVG whose colours follow the page's theme.

    Args:
        figure: What is drawn.
        name: Its ids begin with it.
        text: What is to be seen, for those who cannot see it.
    """
    drawn = _STYLES.sub("", _svg(figure), count=1)
    drawn = re.sub(r"font-family: [^;]*; ", "", drawn)
    drawn = re.sub(
        r"font: (?:bold|700) ([\d.]+px)[^;\"]*", r"font-weight: 600; font-size: \1", drawn
    )
    drawn = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", drawn)
    for colour, variable in _THEME.items():
        drawn = drawn.replace(colour, f"var(--{variable}, {colour})")
    drawn = re.sub(r'\bid="', f'id="{name}-', drawn)
    drawn = re.sub(r'href="#', f'href="#{name}-', drawn)
    drawn = drawn.replace("url(#", f"url(#{name}-")
    drawn = re.sub(r'width="[\d.]+pt" height="[\d.]+pt" ', "", drawn, count=1)
    attributes = f'role="img" aria-label="{html.escape(text)}"'
    return drawn.replace("<svg ", f"<svg {attributes} ", 1)


def svg_file(figure: Figure, title: str, text: str) -> str:
    """Returns a figure as an SVG file, its letters drawn so that every program shows them."""
    with mpl.rc_context({"svg.fonttype": "path"}):
        drawn = _svg(figure)
    named = f"<title>{html.escape(title)}</title>\n <desc>{html.escape(text)}</desc>"
    return re.sub(r"(<svg [^>]*>)", lambda tag: f"{tag[0]}\n {named}", drawn, count=1) + "\n"


def png_file(figure: Figure) -> bytes:
    """Returns a figure as a PNG on paper, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL).rstrip()


def styled() -> AbstractContextManager[object]:
    """Returns a context in which figures are made and saved in this style.

    Raises:
        RequestError: No font has the letters of the language.
    """
    style: dict[Any, Any] = STYLE | {"font.family": families()}
    return mpl.rc_context(style)
