"""The report of one small fixed search, compared whole: its words as text, its figures as data.

Where a change is meant, write the files again and read their difference:
QDEXP_WRITE_GOLDEN=1 python -m pytest tests/unit/analysis/test_golden_search.py
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_searches import BASELINE, MadeSearch, loss_of, write_check, write_search
from matplotlib.axes import Axes
from qdexp_analysis.language import speaking
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.search_report import SearchReport
from qdexp_analysis.searched import Searched, load_either

GOLDEN = Path(__file__).parent / "golden"
NAME = "search_quantizer"
DIGITS = 4
"""That numbers of figures are compared to: beyond them libraries may differ."""

SHARES = {"training.learning_rate": 0.6, "model.dropout": 0.2, "model.quantizer": 0.05}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SearchFindings:
    runs = tmp_path_factory.mktemp("search")
    of = MadeSearch(endings={5: "pruned", 9: "failed", 23: "open"}, origins={1: "ledger"})
    write_search(runs, of)
    best = [of.configurations()[k] for k in (15, 20)]

    def again(values: Mapping[str, Any], seed: int) -> float:
        noise = np.random.default_rng([seed, *repr(sorted(values.items())).encode()]).normal()
        return loss_of(values) * (1 + 0.001 * noise)

    write_check(runs, f"{NAME}_confirm", [BASELINE, *best], again)
    searched = load_either(NAME, runs)
    assert isinstance(searched, Searched)
    return find_search(searched, lambda *_: SHARES)


def test_markdown_is_what_it_was(found: SearchFindings) -> None:
    report = SearchReport(found=found, is_whole=True)
    with speaking("en"):
        compare("search.md", steady(report.text("md", ()), found))


def test_figures_show_what_they_showed(found: SearchFindings) -> None:
    drawn = SearchReport(found=found, is_whole=True).pictures()
    data = {
        each.name: {
            "title": each.title,
            "caption": each.caption,
            "text": each.text,
            "axes": [data_of(axes) for axes in each.figure.axes if axes.get_visible()],
        }
        for each in drawn
    }
    names = ["best-by-trials", "best-by-hours", "importance", "slices", "contour", "parallel"]
    assert list(data) == names
    compare("search_figures.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def data_of(axes: Axes) -> dict[str, Any]:
    """Returns what axes draw: words, and the places of lines, points and bars."""
    return {
        "labels": [axes.get_xlabel(), axes.get_ylabel()],
        "ticks": [label.get_text() for label in axes.get_yticklabels()],
        "lines": [places(line.get_xydata()) for line in axes.lines],
        "points": [places(each.get_offsets()) for each in axes.collections],
        "bars": [f"{each.get_width():.{DIGITS}g}" for each in axes.patches],  # type: ignore[attr-defined]
    }


def places(values: Any) -> str:  # noqa: ANN401
    rows = np.ma.filled(np.asarray(values, dtype=float), np.nan)
    return " ".join(",".join(f"{value:.{DIGITS}g}" for value in row) for row in rows)


def steady(text: str, found: SearchFindings) -> str:
    """Returns a report's text without what another day or another revision changes."""
    for number, record in enumerate(found.searched.experiment.records):
        text = text.replace(record.trial_id, f"trial-{number}")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", text)


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("QDEXP_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
