"""The path to a search's best and the best without each change, as `qdexp ablate` ran them."""

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest
from qdexp_analysis import render
from qdexp_analysis.report_json import schema
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.searched import Searched, load_either
from recorded_search import recorded, search

import qdexp

UNIT = {"low": 0.0, "high": 1.0}
SPACE = {name: UNIT for name in ("big", "small", "nothing")}
BEST = {"small": 1.0, "big": 1.0, "nothing": 0.5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    recorded(folder, search(SPACE), [BEST])
    for leave_one_out in (False, True):
        qdexp.ablate(
            "planted", runs=folder, executor="inline", report=False, tracking=False,
            leave_one_out=leave_one_out,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def found(runs: Path) -> SearchFindings:
    searched = load_either("planted", runs)
    assert isinstance(searched, Searched)
    return find_search(searched)


def test_path_has_the_planted_effects_in_their_order(found: SearchFindings) -> None:
    path = found.path
    assert path is not None
    assert path.is_whole
    assert path.suggestion == 1
    assert [list(step.changes) for step in path.steps] == [["big"], ["small"], ["nothing"]]
    assert len(path.tried) == 3 + 2 + 1
    gains = [
        step.contrast.estimate.mean
        for step in path.steps
        if step.contrast and step.contrast.estimate
    ]
    assert gains[0] < gains[1] < 0
    assert abs(gains[2]) < abs(gains[1])


def test_each_step_is_against_the_one_before(found: SearchFindings) -> None:
    path = found.path
    assert path is not None
    whole = next(c for c in path.findings.contrasts if c.condition == path.steps[-1].position)
    steps = [
        step.contrast.estimate.mean
        for step in path.steps
        if step.contrast and step.contrast.estimate
    ]
    assert whole.estimate is not None
    assert sum(steps) == pytest.approx(whole.estimate.mean)


def test_page_says_which_change_carried_the_gain(runs: Path) -> None:
    page = render("planted", runs, "md")
    assert "From the baseline to number 1, one change after another" in page
    assert "The largest gain came with big 0 → 1:" in page
    assert "## The best without each of its changes" in page
    assert "| without big 0" in page


def test_page_of_the_path_shows_it_first(runs: Path) -> None:
    gained = "The largest gain came with big 0 → 1:"
    page = render("planted_path", runs, "md")
    answer, path, *_ = page.split("\n## ")
    assert answer.split("\n\n")[2].startswith(gained)
    assert path.startswith("The path\n\nFrom the baseline to suggestion 1, one change after")
    rows = [line.split(" | ")[0] for line in path.splitlines() if line.startswith("| ")]
    assert rows[2:6] == ["| baseline", "| big 0 → 1", "| small 0 → 1", "| nothing 0 → 0.5"]
    html = render("planted_path", runs, "html")
    assert html.index(gained) < html.index('<section id="path">') < html.index('id="verdicts"')
    assert '<li><a href="#path">The path</a></li>' in html
    latex = render("planted_path", runs, "latex")
    assert latex.index("The largest gain came with") < latex.index(r"\subsection*{The path}")
    assert json.loads(render("planted_path", runs, "json"))["answer"][0].startswith(gained)


def test_page_of_another_experiment_has_no_path(runs: Path) -> None:
    page = render("planted_left_out", runs, "html")
    assert "The largest gain" not in page
    assert 'id="path"' not in page


def test_data_have_every_change_that_was_tried(runs: Path) -> None:
    content = json.loads(render("planted", runs, "json"))
    jsonschema.Draft202012Validator(schema()).validate(content)
    tried = content["search"]["path"]["tried"]
    assert [each["round"] for each in tried] == [1, 1, 1, 2, 2, 3]
    assert sum(each["is_kept"] for each in tried) == 3
    assert len(content["search"]["left_out"]["contrasts"]) == 3
    rows = render("planted", runs, "contrasts").splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {"planted_path", "planted_left_out"}


def test_reports_say_what_the_steps_were_chosen_by(runs: Path) -> None:
    chosen = "The steps of this path, and their order, were chosen on the same seeds that judge"
    for form in ("html", "md", "latex"):
        assert render("planted_path", runs, form).count(chosen) == 1
        assert chosen not in render("planted_left_out", runs, form)
    of_search = render("planted", runs, "md")
    assert "A step was kept for being the best of its round on the same seeds" in of_search


def test_fields_that_are_called_like_columns_have_columns_of_their_own(tmp_path: Path) -> None:
    space = {"kind": {"choices": ["plain", "deep"]}, "low": {"low": -3, "high": 0}}
    recorded(tmp_path, search(space), [{"kind": "deep", "low": -2}])
    qdexp.ablate(
        "planted",
        metric="error",
        runs=tmp_path,
        executor="inline",
        report=False,
        tracking=False,
    )
    trials, contrasts, suggestions = (
        list(csv.DictReader(io.StringIO(render("planted", tmp_path, form))))
        for form in ("csv", "contrasts", "suggestions")
    )
    assert {row["setting.kind"] for row in trials} == {"plain", "deep"}
    assert {row["low"] for row in trials} == {row["low"] for row in suggestions} == {"0", "-2"}
    assert {row["kind"] for row in suggestions} == {"plain", "deep"}
    assert {row["setting.low"] for row in contrasts} >= {"-2"}
    known = [row for row in contrasts if row["low"]]
    assert known
    assert all(float(row["low"]) < float(row["high"]) for row in known)
