"""The page of a search's report in a real browser: quiet, readable, and whole at every width."""

from pathlib import Path

import pytest
from chromium import Chromium, Page
from made_searches import BASELINE, LOSS, MadeSearch, loss_of, write_check, write_search
from page_contract import IN_A_BROWSER, SIZES, PageContract
from page_scripts import FIGURES

from qdexp.api.experiments import report

pytestmark = IN_A_BROWSER

HOSTILE = "<img src=x onerror=alert(1)> **bold** {{ 7*7 }}"
TWO = ((LOSS, "lower"), ("eval.codebook_usage", "higher"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with every ending and its check; one with two objectives, on a GPU."""
    runs = tmp_path_factory.mktemp("runs")
    one = MadeSearch(
        name="one", question=HOSTILE, endings={5: "pruned", 9: "failed", 23: "open"}, seeds=(0, 1)
    )
    write_search(runs, one)
    best = one.configurations()[15]
    write_check(runs, "one_confirm", [BASELINE, best], lambda v, seed: loss_of(v) + seed / 1e4)
    write_search(runs, MadeSearch(name="two", objectives=TWO, device="NVIDIA H200"))
    return runs


@pytest.fixture(scope="module", params=["one", "two"])
def url(request: pytest.FixtureRequest, runs: Path) -> str:
    return report(request.param, runs=runs).html.as_uri()


class TestPage(PageContract):
    """The page of either search."""


@SIZES
def test_every_figure_is_seen_and_said(browser: Chromium, url: str, width: int) -> None:
    page = Page.opened(browser, url, width)
    figures = page.value_of(FIGURES)
    assert len(figures) == (7 if "two" in url else 6)
    for figure in figures:
        assert figure["width"] >= 300, figure
        assert figure["right"] <= width, figure
        assert len(figure["text"]) > 20, figure
        assert figure["strokes"] > 3, figure


def test_every_configuration_is_there_and_its_reasons_are_text(
    browser: Chromium, runs: Path
) -> None:
    page = Page.opened(browser, report("one", runs=runs).html.as_uri(), 400)
    rows = page.value_of("document.querySelectorAll('#configurations details tbody tr').length")
    assert rows == 24
    text = page.value_of("document.body.textContent")
    assert HOSTILE in text
    assert "loss is <b>too</b> large | at 31" in text
    assert page.value_of("document.querySelectorAll('main b, main img, script').length") == 0
