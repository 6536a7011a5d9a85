"""Shares of the variance by Optuna's fANOVA: what it tells, and what it leaves to several."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from qdexp.backends.optuna_suggester.importance import importances
from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import Suggestion, SuggestionRecord, Told

ONE = Parameter(field="one", kind="float", low=0.0, high=1.0)
TWO = Parameter(field="two", kind="float", low=1e-4, high=1.0, log=True)
KIND = Parameter(field="kind", kind="categorical", choices=("a", "b"))
GRID = [
    {"one": one, "two": 10.0**exponent, "kind": kind}
    for one, exponent, kind in itertools.product(
        np.linspace(0, 1, 6).tolist(), np.linspace(-4, 0, 6).tolist(), ("a", "b")
    )
]

Loss = Callable[[Mapping[str, Any]], float]


def records(loss: Loss, configurations: list[dict[str, Any]]) -> list[SuggestionRecord]:
    return [
        SuggestionRecord(
            suggestion=Suggestion(number=k, values=values, origin="sampler", attributes={}),
            suggested_at=0.0,
            trial_ids=(),
            told=Told(ending="complete", values=(0.0, loss(values))),
            rungs={},
        )
        for k, values in enumerate(configurations)
    ]


def shares(loss: Loss, configurations: list[dict[str, Any]] = GRID) -> dict[str, float]:
    return importances([ONE, TWO, KIND], records(loss, configurations), 1)


def test_parameter_that_makes_all_the_difference_has_all_of_the_variance() -> None:
    found = shares(lambda values: values["one"])
    assert found["one"] > 0.95
    assert found["two"] < 0.02
    assert found["kind"] < 0.02


def test_logarithmic_parameter_counts_by_its_logarithm() -> None:
    found = shares(lambda values: float(np.log10(values["two"])))
    assert found["two"] > 0.95


def test_pure_interaction_is_nobodys_alone() -> None:
    def crossed(values: Mapping[str, Any]) -> float:
        return (values["one"] - 0.5) * (1 if values["kind"] == "a" else -1)

    assert sum(shares(crossed).values()) < 0.2


def test_equal_records_give_equal_shares() -> None:
    def noisy(values: Mapping[str, Any]) -> float:
        return float(np.sin(1e5 * values["one"] + 1e4 * values["two"]))

    assert shares(noisy) == shares(noisy)


def test_parameter_that_does_not_always_act_has_no_share() -> None:
    partly = [
        {name: v for name, v in each.items() if name != "one" or each["kind"] == "a"}
        for each in GRID
    ]
    found = shares(lambda values: values.get("one", 0.0), partly)
    assert list(found) == ["two", "kind"]


@pytest.mark.parametrize(
    "outside", [{"one": 7.0}, {"two": 0.0}, {"two": 30.0}, {"kind": "other"}], ids=str
)
def test_baseline_may_lie_outside_of_the_space(outside: dict[str, Any]) -> None:
    found = shares(lambda values: values["one"] % 1, [{**GRID[0], **outside}, *GRID[1:]])
    assert set(found) == {"one", "two", "kind"}
    assert all(0 <= share <= 1 for share in found.values())


def test_no_variance_is_nobodys() -> None:
    assert shares(lambda _values: 0.5) == {"one": 0.0, "two": 0.0, "kind": 0.0}


def test_baseline_without_a_number_explains_nothing() -> None:
    def loss(values: Mapping[str, Any]) -> float:
        return 9.0 if values["one"] is None else values["one"]

    baseline = {"one": None, "two": 0.5, "kind": "a"}
    assert shares(loss, [baseline, *GRID]) == shares(loss)
