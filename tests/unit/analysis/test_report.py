"""The report's renderings: complete, self-contained, and text where text was given."""

import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import appearance, figures, render, write_report

from qdexp.errors import RequestError

Make = Callable[[Any], Path]
STATUSES = {((16384,), 0): "diverged", ((4096,), 1): "failed", ((4096,), 2): "missing"}
RANGE = {"diffusion.min_step": (20, 100), "diffusion.max_step": (900, 980)}


class Page(HTMLParser):
    """What a browser would load, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.figures: list[str | None] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.loaded += [str(named[name]) for name in ("src", "href", "xlink:href") if name in named]
        if "id" in named:
            self.ids.append(str(named["id"]))
        if tag == "svg":
            self.figures.append(named.get("aria-label"))


def _page(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def test_page_loads_nothing_and_every_figure_has_a_text(make_ledger: Make, made: type[Any]) -> None:
    text = render("codebook_size", make_ledger(made()), "html")
    page = _page(text)
    assert all(target.startswith("#") for target in page.loaded)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert len(page.figures) == 10
    assert all(page.figures)
    assert len(page.ids) == len(set(page.ids))
    assert "url(http" not in text
    assert len(text) < 500_000


def test_same_ledger_gives_the_same_bytes(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(statuses=STATUSES))
    for format_ in ("html", "md", "csv", "latex", "contrasts", "json"):
        assert render("codebook_size", runs, format_) == render("codebook_size", runs, format_)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"statuses": STATUSES},
        {"seeds": (0,)},
        {"noise": 0.0},
        {"num_clips": 0, "provenance": {}},
        {"factors": {"model.num_embeddings": (8192,)}},
        {"factors": RANGE, "baseline": (20, 980)},
        {"primary": "train.loss", "factors": RANGE, "baseline": (20, 980)},
        {"primary": "cost.parameters"},
        {"statuses": {((k,), s): "diverged" for k in (4096, 8192, 16384) for s in range(3)}},
        {"statuses": {((k,), s): "missing" for k in (4096, 8192, 16384) for s in range(3)}},
    ],
    ids=lambda changes: ", ".join(changes) or "plain",
)
def test_no_number_is_ever_nan_or_infinite(
    make_ledger: Make, made: type[Any], changes: dict[str, Any]
) -> None:
    runs = make_ledger(made(**changes))
    for format_ in ("html", "md", "csv", "latex", "contrasts"):
        text = render("codebook_size", runs, format_).replace("loss is nan at step 31", "")
        assert not re.search(r"\b(nan|inf|None)\b", text)
        assert "-0.0 " not in text


def test_questions_and_reasons_made_of_markup_appear_as_text(
    make_ledger: Make, made: type[Any]
) -> None:
    question = "Is <script>alert(1)</script> | *better*?"
    runs = make_ledger(made(question=question, statuses=STATUSES))
    page = render("codebook_size", runs, "html")
    assert "<script" not in page
    assert "Is &lt;script&gt;alert(1)&lt;/script&gt; | *better*?" in page
    assert "ValueError: &lt;b&gt;no&lt;/b&gt; | such file" in page
    markdown = render("codebook_size", runs, "md")
    assert r"# Is \<script\>alert(1)\</script\> \| \*better\*?" in markdown
    assert r"ValueError: \<b\>no\</b\> \| such file |" in markdown


def test_unfinished_experiment_says_so_at_the_top(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(statuses=STATUSES))
    page = render("codebook_size", runs, "html")
    assert page.index("Unfinished: 1 of 9 planned trials") < page.index('aria-label="Answer"')
    assert write_report("codebook_size", runs).summary_lines[0].startswith("Unfinished")


def test_extrapolated_levels_and_refused_metrics_are_named(
    make_ledger: Make, made: type[Any]
) -> None:
    markdown = render("codebook_size", make_ledger(made(factors=RANGE, baseline=(20, 980))), "md")
    assert "11 of 16 noise levels are inside the trained timestep range" in markdown
    assert r"train.denoising\_loss depends on diffusion.min\_step" in markdown


def test_csv_has_every_trial_and_no_formula(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(name="=cmd", statuses=STATUSES))
    rows = list(csv.DictReader(io.StringIO(render("=cmd", runs, "csv"))))
    assert len({row["trial_id"] for row in rows}) == 9
    assert {row["experiment"] for row in rows} == {"'=cmd"}
    missing = [row for row in rows if row["status"] == "missing"]
    assert [(row["metric"], row["value"]) for row in missing] == [("", "")]


def test_report_is_written_under_the_runs_folder_and_nothing_else_is(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made())
    files = write_report("codebook_size", runs)
    folder = runs / "reports" / "codebook_size"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".written.json",
        "contrasts.csv",
        "figures",
        "report.html",
        "report.json",
        "report.md",
        "report.tex",
        "trials.csv",
    ]
    assert files.html == folder / "report.html"
    assert files.html.read_text(encoding="utf-8") == render("codebook_size", runs, "html")
    assert len(files.summary_lines) == 2


def test_mixed_provenance_is_flagged_beside_it(make_ledger: Make, made: type[Any]) -> None:
    make_ledger(made(seeds=(0,)))
    first_stands = {((codes,), 0): "missing" for codes in (4096, 8192, 16384)}
    runs = make_ledger(made(seeds=(0, 1), statuses=first_stands, provenance={"host": "other"}))
    assert "- host (mixed): builder; other" in render("codebook_size", runs, "md")
    assert "Machines were mixed" in render("codebook_size", runs, "html")


def test_provenance_has_neither_processes_nor_times(make_ledger: Make, made: type[Any]) -> None:
    text = render("codebook_size", make_ledger(made()), "md")
    provenance = text[text.index("## Provenance") : text.index("## The spec")]
    assert "- cpu: Xeon" in provenance
    assert "- versions: python 3.11.2, torch 2.13.0" in provenance
    assert "mixed" not in provenance
    assert not {"pid", "started at", "finished at", "resumed from step"} & set(
        re.findall(r"^- ([a-z ]+)", provenance, re.MULTILINE)
    )


def test_every_cell_of_a_stacked_table_says_what_it_is(make_ledger: Make, made: type[Any]) -> None:
    page = render("codebook_size", make_ledger(made(statuses=STATUSES)), "html")
    cells = re.findall(r"<td[^>]*>", page)
    assert len(cells) > 40
    assert all('data-label="' in cell or 'class="drawn"' in cell for cell in cells)


def test_other_measurements_are_a_table_longer_than_wide(
    make_ledger: Make, made: type[Any]
) -> None:
    few = render("codebook_size", make_ledger(made()), "md")
    assert "| measurement | 4096 | 8192 | 16384 |" in few
    levels = tuple(4096 + 64 * k for k in range(12))
    many = made(name="many", factors={"model.num_embeddings": levels}, baseline=(4096,), seeds=(0,))
    assert "| condition | pixel error | perplexity |" in render("many", make_ledger(many), "md")


def test_planned_contrasts_without_a_result_are_said_to_count(
    make_ledger: Make, made: type[Any]
) -> None:
    missing = {((16384,), seed): "missing" for seed in range(3)}
    warning = write_report("codebook_size", make_ledger(made(statuses=missing))).summary_lines[0]
    assert "count all 2 planned contrasts, those without a result included" in warning


@pytest.mark.parametrize(
    ("changes", "num_figures"),
    [
        ({"factors": {"model.num_embeddings": (8192,)}}, 7),
        ({"statuses": {((k,), s): "missing" for k in (4096, 16384) for s in range(3)}}, 7),
    ],
    ids=["one condition", "only the baseline"],
)
def test_figures_that_compare_are_left_out_without_anything_to_compare(
    make_ledger: Make, made: type[Any], changes: dict[str, Any], num_figures: int
) -> None:
    text = render("codebook_size", make_ledger(made(**changes)), "html")
    titles = [str(figure) for figure in _page(text).figures]
    assert len(titles) == num_figures
    assert not any("every trial" in title or "against the time" in title for title in titles)
    assert "against the baseline, %" not in text


@pytest.mark.parametrize(("low", "high"), [(0.38, 1.0), (0.80, 0.89), (0.11, 1.2), (0.5, 0.52)])
def test_error_axis_has_at_least_two_numbers(low: float, high: float) -> None:
    with appearance.styled():
        figure, (axes,) = appearance.draw(2.0)
        look = appearance.Look(label="8192", colour=appearance.COLOURS[0], dash="-", marker="o")
        errors = np.linspace(high, low, 16)[None, None, :]
        figures.errors_by_level(axes, np.linspace(-4, 5, 16), errors, (look,))
        figure.canvas.draw()
        bottom, top = axes.get_ylim()
        labels = [
            text.get_text()
            for text, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
            if bottom <= place <= top
        ]
    assert len([label for label in labels if label]) >= 2


def test_unknown_format_is_refused(make_ledger: Make, made: type[Any]) -> None:
    with pytest.raises(RequestError, match="expected a format"):
        render("codebook_size", make_ledger(made()), "pdf")
