"""The page of a report in a real browser: whole, quiet, readable, and with nothing hidden.

The pages are of real runs: one of qdexp's own training, with clips and codes, and one of a user's
training whose levels are made of markup and whose trials end in every way.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium, Page
from page_contract import IN_A_BROWSER, SCHEMES, SIZES, PageContract, Scheme
from page_scripts import CONTRASTS, FIGURES

pytestmark = IN_A_BROWSER

HOSTILE = (
    '<img src=x onerror=alert(1)> <script>alert(2)</script> =1+1 \\textbf{50 %} {{ 7*7 }} & "q"'
)
LEVELS = ["plain", "<b onmouseover=alert(3)>bold</b>", "=HYPERLINK(1)", "a|b_c*d*$e$"]

TRAINABLE = """
import pydantic
import qdexp


class Config(pydantic.BaseModel):
    text: str = "plain"
    size: int = 1


@qdexp.trainable(
    configuration=Config,
    metrics=[qdexp.Metric(name="error", direction="lower", description="<i>How wrong</i>.")],
    revision=1,
    num_steps=lambda config: 3,
)
def hostile(trial, _workspace):
    config = trial.configuration
    if config.size == 2 and trial.seed == 0:
        raise qdexp.DivergedError(step=1, what="loss is <b>nan</b>")
    if config.size == 2 and trial.seed == 1:
        raise ValueError("<script>alert(4)</script>")
    error = 1 + len(config.text) / 100 + trial.seed / 50 + config.size * trial.seed / 900
    for step in range(1, 4):
        yield qdexp.Progress(step=step, num_steps=3, measurements={"error": error / step})
    yield trial.completed(step=3, measurements={"error": error})
"""


@pytest.fixture(scope="module")
def own_page(
    qdexp: Callable[..., Any], tiny_spec: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A page of qdexp's own training: clips, codes, noise levels, step times."""
    folder = tmp_path_factory.mktemp("own")
    spec = folder / "sizes.yaml"
    spec.write_text(tiny_spec)
    result = qdexp("run", spec, "--runs", folder / "runs", "--executor", "inline", "--no-tracking")
    assert result.returncode == 0, result.stderr
    return (folder / "runs" / "reports" / "sizes" / "report.html").as_uri()


@pytest.fixture(scope="module")
def hostile_page(qdexp: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of 12 conditions whose texts are markup, with trials that diverged and that failed."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(TRAINABLE)
    spec = {
        "name": "hostile",
        "question": HOSTILE,
        "trainable": "hostile:hostile",
        "factors": {
            "text": {"levels": LEVELS, "baseline": "plain"},
            "size": {"levels": [1, 2, 3], "baseline": 1},
        },
        "seeds": 3,
        "metrics": {"primary": "error", "smallest_effect": "2%"},
    }
    (folder / "hostile.yaml").write_text(json.dumps(spec))  # JSON is YAML
    arguments = ("--runs", folder / "runs", "--executor", "inline", "--no-tracking", "--keep-going")
    result = qdexp("run", folder / "hostile.yaml", *arguments, cwd=folder)
    assert result.returncode == 1, result.stderr
    return (folder / "runs" / "reports" / "hostile" / "report.html").as_uri()


@pytest.fixture(params=["own", "hostile"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_page")


class TestPage(PageContract):
    """The page of either run."""


@SIZES
@SCHEMES
def test_every_figure_is_seen_and_said(
    browser: Chromium, url: str, width: int, scheme: Scheme
) -> None:
    page = Page.opened(browser, url, width, scheme)
    figures = page.value_of(FIGURES)
    assert len(figures) >= (10 if "sizes" in url else 3)
    for figure in figures:
        assert figure["width"] >= 300, figure
        assert figure["height"] >= 20, figure
        assert len(figure["text"]) > 10, figure
        assert figure["right"] <= width, figure
    drawn = [figure for figure in figures if figure["tag"] == "svg"]
    assert all(re.search(r"\d", figure["text"]) for figure in drawn)
    assert all(figure["strokes"] > 3 for figure in drawn)


@SCHEMES
def test_lines_and_letters_of_figures_stand_out_from_the_page(
    browser: Chromium, url: str, scheme: Scheme
) -> None:
    page = Page.opened(browser, url, 1200, scheme)
    contrasts = page.value_of(CONTRASTS)
    letters = {colour: c for kind, colour, c in contrasts if kind == "letters"}
    lines = {colour: c for kind, colour, c in contrasts if kind == "condition"}
    assert len(letters) >= 2
    assert min(letters.values()) >= 4.5, letters
    assert len(lines) >= 2
    assert min(lines.values()) >= 3, lines


def test_what_is_folded_on_the_screen_is_open_on_paper(browser: Chromium, url: str) -> None:
    page = Page.opened(browser, url, 1200)
    folded = "[...document.querySelectorAll('details:not([open]) > :not(summary)')]"
    seen = f"{folded}.map(e => e.checkVisibility() && e.parentElement.offsetHeight > 80)"
    on_screen = page.value_of(seen)
    assert on_screen
    assert not any(on_screen)
    page.tell("Emulation.setEmulatedMedia", media="print", features=[])
    assert all(page.value_of(seen))


def test_paper_is_white_and_cuts_nothing_off(browser: Chromium, url: str, tmp_path: Path) -> None:
    page = Page.opened(browser, url, 700, "dark")
    page.tell(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    assert page.value_of("getComputedStyle(document.body).color") == "rgb(29, 36, 48)"
    assert page.value_of("document.documentElement.scrollWidth") <= 700
    pdf = page.printed(tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 12


@SIZES
def test_markup_in_questions_levels_and_reasons_appears_as_text(
    browser: Chromium, hostile_page: str, width: int
) -> None:
    page = Page.opened(browser, hostile_page, width)
    text = page.value_of("document.body.textContent").replace("\N{NO-BREAK SPACE}", " ")
    for written in (HOSTILE, *LEVELS, "<script>alert(4)</script>", "<i>How wrong</i>."):
        assert written in text
    assert (
        page.value_of(
            "document.querySelectorAll('script, main b, i:not(.bar i, .progress i), img').length"
        )
        == 0
    )
    drawn = page.value_of(
        "[...document.querySelectorAll('svg text')].map(e => e.textContent).join()"
    )
    assert "<b onmouseover=…)>bold</b> / 1" in drawn  # shortened, and text
    assert LEVELS[3] in drawn


def test_diverged_and_failed_trials_stand_with_their_reasons(
    browser: Chromium, hostile_page: str
) -> None:
    page = Page.opened(browser, hostile_page, 400)
    rows = page.value_of(
        "[...document.querySelectorAll('#failures tbody tr')].map(e => e.innerText)"
    )
    assert len(rows) == 8
    assert sum("diverged" in row and "loss is <b>nan</b>" in row for row in rows) == 4
    assert sum("failed" in row and "ValueError: <script>" in row for row in rows) == 4


def test_clips_move_and_stand_still_for_those_who_ask(browser: Chromium, own_page: str) -> None:
    page = Page.opened(browser, own_page, 1200)
    clips = "[...document.querySelectorAll('.clips img')]"
    shown = f"{clips}.map(e => [e.naturalWidth, e.currentSrc.length])"
    moving = page.value_of(shown)
    assert len(moving) == 3
    assert all(width > 0 for width, _ in moving)
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.tell("Emulation.setEmulatedMedia", media="screen", features=features)
    page.value_of("new Promise(done => setTimeout(done, 100))")
    still = page.value_of(shown)
    assert all(a[1] > b[1] > 0 for a, b in zip(moving, still, strict=True))
