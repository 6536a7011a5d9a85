"""On pure noise a search finds something, and its own check on fresh seeds says what that is."""

from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis import load

import qdexp

NOISE: dict[str, Any] = {
    "name": "noise",
    "question": "Does a setting that does nothing make fewer errors?",
    "trainable": "planted_trainables:plant",
    "set": {"noise": 1.0},
    "space": {"nothing": {"low": 0.0, "high": 1.0}},
    "metrics": {"primary": "error", "smallest_effect": "5%"},
    "budget": {"trials": 30},
    "confirm": {"top": 3, "seeds": 5},
}


@pytest.mark.parametrize("sampler", [{"name": "random", "seed": 1}, {"name": "tpe", "seed": 1}])
def test_winner_of_pure_noise_looks_better_and_is_not_confirmed(
    sampler: dict[str, Any], tmp_path: Path
) -> None:
    done = qdexp.search(
        {**NOISE, "sampler": sampler}, executor="inline", runs=tmp_path, tracking=False
    )
    told = {each.suggestion.number: each.told.values[0] for each in done.suggestions if each.told}
    assert len(told) == 30
    assert min(told.values()) < told[0] - 1.0, "the best is a standard deviation below the baseline"
    assert done.confirmed is not None
    assert done.confirmed.numbers[0] == min(told, key=lambda number: told[number])
    contrasts = load("noise_confirm", tmp_path).contrasts
    verdicts = set(contrasts[contrasts["metric"] == "error"]["verdict"])
    assert verdicts
    assert verdicts <= {"undecided", "equivalent"}
    assert done.report is not None
    said = " ".join(done.report.summary)
    assert "is the search's optimistic value" in said
    assert "leaves it open" in said or "does not hold it up" in said
