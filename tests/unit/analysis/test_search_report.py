"""The report of a search: its answer, its odd cases, its data."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from made_searches import (
    BASELINE,
    LOSS,
    MadeSearch,
    loss_of,
    write_check,
    write_measured,
    write_search,
)
from qdexp_analysis import load, render, write_report
from qdexp_analysis.experiment_report import ExperimentReport
from qdexp_analysis.report_json import schema
from qdexp_analysis.search_findings import find_search
from qdexp_analysis.search_report import SearchReport
from qdexp_analysis.searched import Searched, load_either
from qdexp_analysis.serving import ReportsServer
from qdexp_analysis.written import current, key_of

from qdexp.errors import RequestError

NAME = "search_quantizer"
RATE = {
    "field": "training.learning_rate", "kind": "float", "low": 1e-4, "high": 1e-2, "log": True,
}  # fmt: skip
STUDENTS_RATE = "distillation.learning_rate"
CHOICE = {"field": "model.num_embeddings", "kind": "categorical", "choices": [64, 128, 256]}
TWO = ((LOSS, "lower"), ("eval.codebook_usage", "higher"))

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "every ending": {"endings": {2: "pruned", 3: "failed", 23: "open"}},
    "nothing suggested": {"num": 0, "suggestions": []},
    "nothing complete": {"num": 3, "endings": {0: "failed", 1: "pruned", 2: "failed"}},
    "nothing ended": {"num": 2, "endings": {0: "open", 1: "open"}},
    "only the baseline": {"num": 1},
    "one parameter": {"parameters": [RATE], "baseline": {RATE["field"]: 1e-3}},
    "only choices": {"parameters": [CHOICE], "baseline": {CHOICE["field"]: 64}, "num": 3},
    "all equal": {"loss": lambda _values: 0.5},
    "not a number": {
        "loss": lambda values: math.nan if values["model.dropout"] > 0.15 else loss_of(values)
    },
    "several seeds": {"seeds": (0, 1, 2), "num": 6, "budget": {"trials": 18, "hours": 1}},
    "two objectives": {"objectives": TWO},
    "two objectives, one complete": {"objectives": TWO, "num": 1},
    "found before": {"origins": {1: "ledger", 2: "ledger"}},
    "on a GPU": {"device": "NVIDIA H200", "budget": {"trials": 24, "gpu_hours": 4}},
    "baseline outside": {"baseline": {**BASELINE, "training.learning_rate": 0.05}},
    "baseline without a number": {
        "parameters": [RATE | {"field": STUDENTS_RATE}, CHOICE],
        "baseline": {STUDENTS_RATE: None, CHOICE["field"]: 64},
        "loss": lambda values: values[STUDENTS_RATE] or 0.5,
    },
}


def shares(parameters: Any, complete: Any, objective: int) -> Mapping[str, float]:  # noqa: ANN401
    """What a forest would say, without one."""
    fields = [
        p.field for p in parameters if all(p.field in each.suggestion.values for each in complete)
    ]
    return {field: 0.6 / (1 + place + objective) for place, field in enumerate(fields)}


def report(runs: Path) -> SearchReport:
    found = load_either(NAME, runs)
    assert isinstance(found, Searched)
    return SearchReport(found=find_search(found, shares), is_whole=True)


def made(runs: Path, **changes: Any) -> Path:  # noqa: ANN401
    return write_search(runs, MadeSearch(**changes))


def said(runs: Path, **changes: Any) -> str:  # noqa: ANN401
    return " ".join(report(made(runs, **changes)).summary())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_is_said_without_a_missing_number(tmp_path: Path, case: str) -> None:
    whole = report(made(tmp_path, **CASES[case]))
    drawn = whole.pictures()
    for form in ("html", "md", "latex"):
        words = whole.text(form, drawn)
        assert re.findall(r"(?i)\b(?:nan|inf)\b", words) == []
    content = json.loads(whole.text("json", ()))
    jsonschema.Draft202012Validator(schema()).validate(content)
    assert len(content["search"]["suggestions"]) == len(MadeSearch(**CASES[case]).configurations())


def test_best_value_is_called_optimistic_and_stands_beside_the_baseline(tmp_path: Path) -> None:
    text = said(tmp_path)
    assert "is number 15: quantizer gradient, learning_rate 0.003979, dropout 0.1." in text
    assert "0.5428, against 0.5494 of the baseline (\N{MINUS SIGN}1.2 %), is the search's" in text
    assert "optimistic value: it was chosen for being the best of 24" in text
    assert "with confirm: {top: 3, seeds: 5} in the spec" in text


def test_open_suggestions_make_it_unfinished(tmp_path: Path) -> None:
    assert said(tmp_path, endings={23: "open"}).startswith("Unfinished: 1 of 24 configurations")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("nothing complete", "None of 3 configurations that ended is complete"),
        ("nothing ended", "No configuration has ended yet"),
        ("only the baseline", "Only configuration 0 is complete"),
        ("all equal", "All 24 complete configurations have denoising loss 0.5000"),
    ],
)
def test_odd_answers_are_words(tmp_path: Path, case: str, words: str) -> None:
    assert words in said(tmp_path, **CASES[case])


def test_baseline_that_nothing_beats_is_the_answer(tmp_path: Path) -> None:
    text = said(tmp_path, loss=lambda values: 0.5 if values == BASELINE else 0.6)
    assert "No configuration was better than the baseline (denoising loss 0.5000)" in text


def test_spent_is_what_the_budget_counts_with_attempts_that_were_lost(tmp_path: Path) -> None:
    budget = {"trials": 24, "hours": 2, "gpu_hours": 4}
    page = report(made(tmp_path, device="NVIDIA H200", budget=budget)).text("md", ())
    spent = "24 of 24 trials, 36 min 0 s of trials, 0.60 of 2 hours in which trials ran, "
    assert f"Spent: {spent}1.2 of 4 GPU-hours." in page
    page = report(made(tmp_path / "hours", budget={"trials": None, "hours": 2})).text("md", ())
    assert "Spent: trials: 24, 36 min 0 s of trials, 0.60 of 2 hours in which" in page


def test_best_of_equal_ones_is_on_the_front(tmp_path: Path) -> None:
    whole = report(made(tmp_path, objectives=TWO, loss=lambda _values: 0.5))
    best = whole.found.best
    assert best is not None
    assert whole.found.on_front.sum() == 1
    assert whole.found.on_front[whole.found.complete.index(best)]
    assert f"The best denoising loss, 0.5000, has number {best.suggestion.number}:" in " ".join(
        whole.summary()
    )


def checked(runs: Path, gain: float) -> str:
    """Returns the answer of a search whose best was run again, with a true gain."""
    of = MadeSearch(confirm={"top": 1, "seeds": [100]})
    write_search(runs, of)
    best = of.configurations()[15]

    def again(values: Mapping[str, Any], seed: int) -> float:
        noise = np.random.default_rng([seed, values == best]).normal()
        return 0.55 * (1 - (gain if values == best else 0)) * (1 + 0.002 * noise)

    write_check(runs, f"{NAME}_confirm", [BASELINE, best], again)
    return " ".join(report(runs).summary())


def test_confirmed_gain_is_said_with_its_interval(tmp_path: Path) -> None:
    text = checked(tmp_path, gain=0.02)
    assert "Confirmed on 5 fresh seeds: number 15 against the baseline: denoising loss" in text
    assert text.endswith("better.")


def test_gain_that_was_luck_does_not_hold_up(tmp_path: Path) -> None:
    text = checked(tmp_path, gain=0.0)
    assert "The confirmation on 5 fresh seeds does not hold it up: number 15" in text
    assert "is the search's optimistic value" in text


def test_gain_that_is_not_settled_is_left_open(tmp_path: Path) -> None:
    text = checked(tmp_path, gain=0.0031)
    assert "The confirmation on 5 fresh seeds leaves it open: number 15" in text
    assert "undecided" in text


def test_confirmation_shows_both_values(tmp_path: Path) -> None:
    checked(tmp_path, gain=0.0)
    page = report(tmp_path).text("md", ())
    (row,) = (line for line in page.splitlines() if line.startswith("| number 15 |"))
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[3] == "0.5428", "the search's"
    assert cells[4].startswith("0.5"), "confirmed"
    assert cells[3] != cells[4]


def test_importance_says_what_it_cannot_see(tmp_path: Path) -> None:
    runs = made(tmp_path)
    page = render(NAME, runs, "md", importance=shares).replace("\\_", "_")
    assert "It cannot see what the sampler left out" in page
    assert "since they do not act in every complete configuration: model.ema_decay" in page
    assert "24 configurations are few for 4 parameters" in page
    assert "it was not asked to here" in render(NAME, runs, "md")


def test_suggestions_are_a_frame_and_a_table(tmp_path: Path) -> None:
    runs = made(tmp_path, endings={2: "pruned", 3: "failed"})
    frame = load(NAME, runs).suggestions
    assert frame["number"].tolist() == list(range(24))
    assert frame["ending"].value_counts().to_dict() == {"complete": 22, "pruned": 1, "failed": 1}
    assert frame.loc[2, "reason"] == "worse than the best third at step 25"
    assert frame.loc[0, "training.learning_rate"] == BASELINE["training.learning_rate"]
    assert np.isnan(frame.loc[2, LOSS])
    rows = list(csv.DictReader(io.StringIO(render(NAME, runs, "suggestions"))))
    assert [row[LOSS] for row in rows[:2]] == [str(frame.loc[0, LOSS]), str(frame.loc[1, LOSS])]
    assert rows[1]["model.ema_decay"] == "" or float(rows[1]["model.ema_decay"]) > 0


def test_frames_of_trials_have_every_trial(tmp_path: Path) -> None:
    loaded = load(NAME, made(tmp_path, num=5, seeds=(0, 1)))
    assert len(loaded.trials) == 10
    assert set(loaded.measurements["metric"]) == {LOSS}
    assert loaded.contrasts.empty
    assert "No configuration was better than the baseline" in loaded._repr_html_()


def test_only_searches_have_suggestions(tmp_path: Path) -> None:
    write_check(tmp_path, "plain", [BASELINE], lambda _values, _seed: 0.5)
    with pytest.raises(RequestError, match="expected a search for the format 'suggestions'"):
        render("plain", tmp_path, "suggestions")
    with pytest.raises(RequestError, match="expected a search, found 'plain'"):
        _ = load("plain", tmp_path).suggestions
    assert set(write_report("plain", tmp_path).by_format) == set(ExperimentReport.formats)


def test_report_is_kept_until_the_search_or_its_check_has_more(tmp_path: Path) -> None:
    runs = made(tmp_path, num=3)
    write_report(NAME, runs)
    assert current(NAME, runs) is None, "without importance it is not whole"
    files = write_report(NAME, runs, importance=shares)
    assert current(NAME, runs) == files
    before = key_of(NAME, runs)
    write_check(runs, f"{NAME}_confirm", [BASELINE], lambda _values, _seed: 0.5)
    assert key_of(NAME, runs) != before


def test_search_is_served_with_its_suggestions(tmp_path: Path) -> None:
    runs = made(tmp_path, num=3)
    with ReportsServer(runs, 0, shares) as server:
        assert f"/reports/{NAME}/suggestions" in server.index()
        assert server.files(NAME).by_format["suggestions"].is_file()


def checked_in_two(runs: Path, names: Sequence[str]) -> Path:
    """Writes a search of two objectives whose best two were run again, and measured these."""
    of = MadeSearch(objectives=TWO, confirm={"top": 2, "seeds": [100]})
    write_search(runs, of)
    one, two = of.configurations()[15], of.configurations()[4]

    def measure(values: Mapping[str, Any], seed: int) -> dict[str, float]:
        noise = np.random.default_rng([seed, round(1e6 * loss_of(values))]).normal()
        usage = 0.5 * (1 + (0.2 if values == one else 0) + 0.01 * noise)
        measured = {LOSS: loss_of(values), TWO[1][0]: usage}
        return {name: measured[name] for name in names}

    return write_measured(runs, f"{NAME}_confirm", [BASELINE, one, two], measure)


def test_every_objective_of_several_is_confirmed(tmp_path: Path) -> None:
    whole = report(checked_in_two(tmp_path, [LOSS, TWO[1][0]]))
    (said,) = (each for each in whole.summary() if each.startswith("Codebook usage of those"))
    assert "checked, against the baseline, without a verdict: number 15: +19.6 %" in said
    assert "; number 4: " in said
    page = whole.text("md", ())
    at = page.index("| configuration | codebook usage, the search's | codebook usage, confirmed |")
    rows = page[at:].splitlines()[2:5]
    assert [row.split("|")[1].strip() for row in rows] == ["the baseline", "number 15", "number 4"]
    assert all(row.split("|")[3].strip().endswith("%") for row in rows)
    assert "Verdicts are on the first objective" in page
    content = json.loads(whole.text("json", ()))
    jsonschema.Draft202012Validator(schema()).validate(content)
    (other,) = content["search"]["confirmed"]["other_objectives"]
    first, second = other["differences"]
    assert (other["metric"], first["number"], second["number"]) == (TWO[1][0], 15, 4)
    assert first["difference"] == pytest.approx(0.1, abs=0.02)
    assert first["q"] < second["q"]


def test_an_objective_that_the_check_did_not_measure_is_left_out(tmp_path: Path) -> None:
    whole = report(checked_in_two(tmp_path, [LOSS]))
    assert "codebook usage, confirmed" not in whole.text("md", ())
    content = json.loads(whole.text("json", ()))
    assert content["search"]["confirmed"]["other_objectives"] == []
