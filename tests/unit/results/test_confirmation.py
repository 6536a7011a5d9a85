"""The best of a search become an ordinary spec that asks for exactly their configurations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.document import document_of
from qdexp.experiment.reader import spec_of
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import Direction, SearchSpec
from qdexp.experiment.spec_text import share_text, spec_text
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.best import best_in_words, best_of
from qdexp.results.confirmation import Confirmation, confirmation
from qdexp.results.suggestions import Ending, Suggestion, SuggestionRecord, Told
from tests.contract.recorded_search import search

RATE, COST, SIZE = "training.learning_rate", "model.commitment_cost", "model.num_embeddings"
OURS = {
    "name": "ours",
    "question": "Which?",
    "preset": "tiny",
    "set": {"training.max_steps": 7, SIZE: 64, "model.patch_size": [1, 1, 1]},
    "space": {
        SIZE: {"low": 2, "high": 4096},
        RATE: {"low": 1e-12, "high": 10.0, "log": True},
        COST: {"low": 0.0, "high": 10.0},
        "model.quantizer": {"choices": ["ema", "none", "cosine"]},
    },
    "metrics": {
        "primary": "eval.denoising_loss",
        "secondary": ["eval.unquantized_loss"],
        "smallest_effect": "0.7%",
    },
    "budget": {"trials": 10, "trial": "10 min"},
    "confirm": {"top": 3, "seeds": [7, 9]},
    "resources": {"cpus": 2, "gpus": 0.5, "retries": 1},
}


def told(
    number: int,
    *objectives: float,
    ending: Ending = "complete",
    values: Condition | None = None,
) -> SuggestionRecord:
    found = values or {"big": number / 10}
    return SuggestionRecord(
        suggestion=Suggestion(number=number, values=found, origin="sampler", attributes={}),
        suggested_at=0.0,
        trial_ids=(f"trial {number}",),
        told=Told(ending=ending, values=objectives),
        rungs={},
    )


def confirmed(of: SearchSpec, records: Sequence[SuggestionRecord]) -> Confirmation | None:
    source = Source(definition=of.definition(), baseline=of.baseline.fields(), folder="theirs")
    return confirmation(source, records)


def test_the_best_complete_ones_come_first_and_the_baseline_never() -> None:
    records = [told(0, 1.0), told(1, 3.0), told(2, 2.0), told(3, 2.0), told(4, ending="pruned"),
               told(5, math.nan), told(6, 2.5)]  # fmt: skip
    records.append(replace(told(7, 0.5), told=None))
    records.append(replace(told(8, 0.5), trial_ids=("trial 0",)))
    assert [each.suggestion.number for each in best_of(records, ["lower"], 3)] == [2, 3, 6]
    assert [each.suggestion.number for each in best_of(records, ["higher"])] == [1, 6, 2, 3]


def test_of_several_objectives_the_front_is_taken() -> None:
    records = [told(0, 0, 0), told(1, 1, 5), told(2, 2, 2), told(3, 3, 3), told(4, 5, 1)]
    assert [e.suggestion.number for e in best_of(records, ["lower", "lower"], 9)] == [1, 2, 4]
    assert [e.suggestion.number for e in best_of(records, ["lower", "higher"], 9)] == [1]
    two = search({"big": {"low": 0.0, "high": 1.0}}, objectives=["error", "cost"])
    made = confirmed(two, records)
    assert made is not None
    assert made.numbers == (1, 2)
    assert (
        "They are of the Pareto front over error and cost; the best error comes first." in made.text
    )
    assert spec_of(made.text, Path("c.yaml")).metrics.secondary == ("cost",)


def test_of_fewer_than_asked_for_all_are_confirmed_and_of_none_nothing() -> None:
    of = search({"big": {"low": 0.0, "high": 1.0}})
    made = confirmed(of, [told(0, 1.0), told(1, 3.0)])
    assert made is not None
    assert (made.name, made.numbers) == ("planted_confirm", (1,))
    spec = spec_of(made.text, Path("planted_confirm.yaml"))
    assert spec.question == "Is the best of the search planted better than its baseline?"
    assert spec.origin == {"confirms": {"search": "planted", "suggestions": [1]}}
    assert made.text.startswith(
        "# Made by the search planted: suggestions 1, its best of 1 complete."
    )
    assert (
        "# Run it where tests.contract.planted_trainables:plant can be imported: in theirs."
        in made.text
    )
    assert confirmed(of, [told(0, 1.0), told(1, ending="failed")]) is None


@cache
def ours() -> SearchSpec:
    return read_search(OURS)


VALUES = st.fixed_dictionaries(
    {
        SIZE: st.integers(2, 4096),
        RATE: st.floats(1e-12, 10.0),
        COST: st.floats(0.0, 10.0),
        "model.quantizer": st.sampled_from(["ema", "none", "cosine"]),
    }
)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3, unique_by=lambda each: str(sorted(each.items()))))
def test_the_spec_asks_for_exactly_the_suggested_configurations(
    found: list[dict[str, Any]],
) -> None:
    of = ours()
    records = [
        told(number, float(number), values=each) for number, each in enumerate(found, start=1)
    ]
    # What says nothing without a quantizer makes no other trial.
    records = [replace(e, trial_ids=(_id(of, e.suggestion.values),)) for e in records]
    start = replace(told(0, 9.0), trial_ids=(_id(of, {}),))
    made = confirmed(of, [start, *records])
    if made is None:
        assert all(each.trial_ids == start.trial_ids for each in records)
        return
    spec = spec_of(made.text, Path("ours_confirm.yaml"))
    asked = spec.trials(["data"] * len(spec.grid.conditions))
    wanted = [{}, *(records[number - 1].suggestion.values for number in made.numbers)]
    expected = [_id(of, values, seed) for seed in (7, 9) for values in wanted]
    assert [trial.trial_id for trial, _ in asked] == expected
    assert (spec.metrics, spec.resources) == (of.spec.metrics, of.spec.resources)
    assert spec.budget.trial == 600.0
    assert spec.grid.set["training.max_steps"] == 7


def _id(of: SearchSpec, values: Mapping[str, Any], seed: int = 0) -> str:
    configuration = of.configuration(values)
    return Trial(configuration=configuration, seed=seed, data_fingerprint="data").trial_id


@settings(deadline=None)
@given(st.floats(1e-9, 1.0))
def test_a_share_is_read_as_it_was(share: float) -> None:
    written = float(f"{100 * share:.6g}") / 100
    assert float(share_text(written)[:-1]) / 100 == written


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]))
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KEY = st.from_regex("[a-z.]{1,9}", fullmatch=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@example("?", ["?0", {"a": ":0"}], {"a": "? 0"})
@given(PLAIN, st.lists(PLAIN, max_size=3), PLAIN)
def test_what_is_written_is_read_again(value: Any, row: list[Any], other: Any) -> None:  # noqa: ANN401
    content = {
        "name": value,
        "set": {"a.b": value, "c": other},
        "conditions": [{"x": row}, {"y": 1}],
        "path": {"rounds": [{"kept": row}]},
        "seeds": [1, 2],
    }
    text = spec_text(content, ["A comment\nof two lines", "and one"])
    assert text.startswith("# A comment of two lines\n# and one\n")
    assert document_of(text, "s.yaml").content == content
    assert YAML(typ="safe").load(text) == content


@pytest.mark.parametrize("length", [1, 92, 93, 100])
def test_names_fit(length: int) -> None:
    name = "n" * length
    assert len(derived_name(name, "confirm")) <= 100
    assert derived_name(name, "confirm").endswith("_confirm")
    assert derived_name(name, "path") != derived_name(name[:-1] + "m", "path")


def test_the_best_beside_the_baseline_comes_before_its_values() -> None:
    records = [told(0, 0.245), told(1, 0.3), told(2, 0.200883)]
    assert best_in_words(records, [("error", "lower")], dict) == (
        "best error 0.2009, baseline 0.2450: suggestion 2, big=0.2"
    )
    records = [told(0, 12_345.6), told(1, 999.96)]
    assert best_in_words(records, [("error", "lower")], dict).startswith(
        "best error 1000, baseline 12346"
    )
    text = best_in_words(records[:1], [("error", "lower")], dict)
    assert text == "only the baseline so far: 12346"


def test_of_several_objectives_the_size_of_the_front_is_said() -> None:
    both: list[tuple[str, Direction]] = [("error", "lower"), ("cost", "lower")]
    records = [told(0, 1, 1), told(1, 2, 2), told(2, 0.5, 4), told(3, 3, 0.5)]
    assert best_in_words(records, both, dict).startswith(
        "Pareto front: 3 configurations; best error 0.5000, baseline 1.000: suggestion 2"
    )
    assert "Pareto front: 1 configuration;" in best_in_words(
        [told(0, 3, 3), told(1, 2, 2)], both, dict
    )
