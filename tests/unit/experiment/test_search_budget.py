"""A search ends by a number of trials, by time, or by whichever is spent first."""

from dataclasses import replace
from typing import Any

import pytest

from qdexp.experiment.reader import parse_overrides
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import SearchBudget

SEARCH: dict[str, Any] = {
    "name": "wide",
    "question": "Which?",
    "preset": "tiny",
    "space": {
        "model.num_embeddings": {"choices": [256, 512]},
        "model.commitment_cost": {"low": 0.05, "high": 1.0, "log": True},
    },
    "enqueue": [{"model.num_embeddings": 256}],
    "seeds": 2,
}


@pytest.mark.parametrize(
    ("budget", "gpus"),
    [({"hours": 3.0}, 0), ({"gpu_hours": 2.0}, 0.5), ({"hours": 0.5, "gpu_hours": 2.0}, 0)],
)
def test_budget_of_time_alone_has_room_for_any_number(budget: dict[str, Any], gpus: float) -> None:
    content = SEARCH | {"budget": budget, "resources": {"gpus": gpus}}
    search = read_search(content)
    assert search.budget == SearchBudget(**budget)
    assert search.most_configurations is None
    assert search.size_in_words == "a search of 2 fields by tpe, 2 seeds of each configuration"
    assert read_search(content | {"seeds": 1}).size_in_words == "a search of 2 fields by tpe"
    limited = read_search(content, parse_overrides((), None, num_trials=8))
    assert limited.budget == replace(search.budget, trials=8)
    words = "a search of 2 fields by tpe, 4 configurations x 2 seeds = 8 trials"
    assert limited.size_in_words == words
