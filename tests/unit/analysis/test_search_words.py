"""The words of a search's report for its budget and its objectives, and the ticks of its course."""

from pathlib import Path

import pytest
from made_searches import MadeSearch, write_search
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.search_gallery import search_pictures
from qdexp_analysis.search_words import budget_text, counts, objective_text
from qdexp_analysis.searched import Objective, Searched, load_either

import qdexp


def found(runs: Path, num: int, seconds: float) -> SearchFindings:
    made = MadeSearch(num=num, seconds=seconds, budget={"trials": num})
    searched = load_either(made.name, write_search(runs, made))
    assert isinstance(searched, Searched)
    return find_search(searched)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4, "16 s of trials"), (16.25, "1 min 5 s of trials"), (1800, "2.0 hours of trials")],
)
def test_time_of_trials_is_in_units_that_say_something(
    tmp_path: Path, seconds: float, words: str
) -> None:
    assert budget_text(found(tmp_path, 4, seconds)) == f"4 of 4 trials, {words}"


def test_one_configuration_is_one(tmp_path: Path) -> None:
    assert counts(found(tmp_path, 1, 4)) == "1 configuration (1 complete)"


def test_axis_of_trials_has_whole_numbers(tmp_path: Path) -> None:
    course = search_pictures(found(tmp_path, 4, 4))[0]
    assert course.name == "best-by-trials"
    ticks = course.figure.axes[0].get_xticks()
    assert [tick for tick in ticks if tick != round(tick)] == []


def test_metric_whose_name_is_its_title_is_named_once() -> None:
    error = qdexp.Metric(name="error", direction="lower")
    assert objective_text(Objective(metric=error, direction="lower")) == "error, lower is better"
    gain = qdexp.Metric(name="their.gain", direction="higher")
    assert objective_text(Objective(metric=gain, direction="higher")) == (
        "gain (their.gain), higher is better"
    )
