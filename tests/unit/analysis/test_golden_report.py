"""The report of one small fixed ledger, compared whole: its words as text, its figures as data.

Where a change is meant, write the files again and read their difference:
QDEXP_WRITE_GOLDEN=1 python -m pytest tests/unit/analysis/test_golden_report.py
"""

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.font_manager import fontManager
from qdexp_analysis import render
from qdexp_analysis.findings import find
from qdexp_analysis.fonts import CHINESE
from qdexp_analysis.gallery import pictures
from qdexp_analysis.picture import Picture
from qdexp_analysis.table import load

GOLDEN = Path(__file__).parent / "golden"
STATUSES = {((16384,), 3): "diverged", ((4096,), 1): "failed", ((4096,), 2): "missing"}
NAMES = {"en": "report.{}", "zh": "report.zh.{}"}
DRAWN_IN_CHINESE = pytest.mark.skipif(
    not set(CHINESE) & {font.name for font in fontManager.ttflist},
    reason="there is no font with Chinese letters here",
)
DIGITS = 5
"""That numbers of figures are compared to: beyond them libraries may differ."""


class Words(HTMLParser):
    """What a page says: a line for each block, without its drawings and its style."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.silent += tag in ("style", "svg")
        if tag == "svg":
            self.lines.append(f"[figure] {named['aria-label']}")
        if tag not in ("code", "em", "strong", "span", "small", "a"):
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("style", "svg")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.lines[-1] += data


@pytest.fixture
def runs(make_ledger: Callable[[Any], Path], made: type[Any]) -> Path:
    return make_ledger(made(seeds=(0, 1, 2, 3), statuses=STATUSES))


@pytest.mark.parametrize("lang", ["en", pytest.param("zh", marks=DRAWN_IN_CHINESE)])
def test_page_says_what_it_said(runs: Path, lang: str) -> None:
    words = Words()
    words.feed(render("codebook_size", runs, "html", lang=lang))
    lines = (" ".join(line.split()) for line in words.lines)
    compare(NAMES[lang].format("txt"), steady("\n".join(line for line in lines if line), runs))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_markdown_is_what_it_was(runs: Path, lang: str) -> None:
    text = render("codebook_size", runs, "md", lang=lang)
    compare(NAMES[lang].format("md"), steady(text, runs))


def test_figures_show_what_they_showed(runs: Path) -> None:
    drawn = {each.name: data_of(each) for each in pictures(find(load("codebook_size", runs)))}
    assert len(drawn) == 10
    compare("figures.json", json.dumps(drawn, indent=1, ensure_ascii=False) + "\n")


def data_of(picture: Picture) -> list[dict[str, Any]]:
    """Returns what each axes of a figure draws: its words, and the places of lines and points."""
    return [
        {
            "axes": [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()],
            "ticks": [label.get_text() for label in axes.get_yticklabels()],
            "words": [text.get_text() for text in axes.texts],
            "lines": [places(line.get_xydata()) for line in axes.lines],
            "points": [places(each.get_offsets()) for each in axes.collections],
            "bands": [places(path.vertices) for c in axes.collections for path in band(c)],
        }
        for axes in picture.figure.axes
    ]


def band(collection: Any) -> list[Any]:  # noqa: ANN401
    return [] if len(collection.get_offsets()) > 1 else collection.get_paths()


def places(values: Any) -> str:  # noqa: ANN401
    """Returns coordinates in one line: a figure's data, not a wall of numbers."""
    rows = np.ma.filled(np.asarray(values, dtype=float), np.nan)
    return " ".join(",".join(f"{value:.{DIGITS}g}" for value in row) for row in rows)


def steady(text: str, runs: Path) -> str:
    """Returns a report's text without what another day or another revision changes."""
    for number, record in enumerate(load("codebook_size", runs).records):
        text = text.replace(record.trial_id, f"trial-{number}")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", text)


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("QDEXP_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
