"""A field that no configuration of a space reads is refused; one that some do not is told of."""

from typing import Any

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import SearchSpec

COST = {"low": 0.05, "high": 1.0}
KINDS = {"choices": ["ema", "fsq"]}
PLACES = {"choices": ["bottleneck", "output"]}
COST_AND_KINDS = {"model.quantizer": KINDS, "model.commitment_cost": COST}


def spec_of(space: dict[str, Any], **more: Any) -> SearchSpec:  # noqa: ANN401
    content = {"name": "a", "question": "b?", "preset": "tiny", "budget": {"trials": 3}}
    return read_search({**content, "space": space, **more})


# ruff: noqa: E501
FSQ = "model.quantizer is 'fsq' and model.quantizer_placement is 'bottleneck'"
NEVER: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "one kind": ({"model.quantizer": "fsq"}, {"model.commitment_cost": COST}, f"model.commitment_cost has no effect where {FSQ}: leave it out of the space"),
    "without a quantizer": ({"model.quantizer": "none"}, {"model.commitment_cost": COST}, "where model.quantizer is 'none':"),
    "each of several kinds": ({}, {"model.quantizer": {"choices": ["fsq", "lfq"]}, "model.ema_decay": {"low": 0.9, "high": 0.99}}, "model.ema_decay has no effect where model.quantizer is 'fsq' or 'lfq':"),
    "by its own condition": ({}, {"model.quantizer": KINDS, "model.commitment_cost": {**COST, "when": "model.quantizer == 'fsq'"}}, f"model.commitment_cost has no effect where {FSQ}:"),
    "by where": ({"model.quantizer": "fsq"}, {"model.quantizer": KINDS, "model.ema_decay": {"low": 0.9, "high": 0.99}, "where": "model.quantizer != 'ema'"}, "where model.quantizer is 'fsq':"),
    "of no student": ({}, {"distillation.learning_rate": {"low": 1e-4, "high": 1e-3}}, "where training.objective is 'diffusion':"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "space", "problem"), NEVER.values(), ids=NEVER)
def test_field_that_is_never_read_is_refused_at_its_place(
    values: dict[str, Any], space: dict[str, Any], problem: str
) -> None:
    searched = {field: each for field, each in space.items() if field != "where"}
    where = {"where": space["where"]} if "where" in space else {}
    with pytest.raises(SpecError) as error:
        spec_of(searched, set=values, **where)
    assert str(error.value).startswith(f"<dict>:['space']['{list(searched)[-1]}']: ")
    assert problem in str(error.value)


def test_conditions_on_other_fields_refuse_nothing() -> None:
    space = {"model.num_layers": {"choices": [1, 2]}, **COST_AND_KINDS}
    assert spec_of(space, where="model.quantizer == 'ema' or model.num_layers == 1").notes


def test_field_that_some_do_not_read_is_told_of_with_the_condition() -> None:
    assert spec_of(COST_AND_KINDS).notes == (
        "model.commitment_cost has no effect where model.quantizer is fsq: with "
        "`when: model.quantizer != 'fsq'` the sampler knows it",
    )


def test_condition_asks_for_what_it_names_to_come_before() -> None:
    (note,) = spec_of(dict(reversed(COST_AND_KINDS.items()))).notes
    assert "`when: model.quantizer != 'fsq'`, with model.quantizer before it in the space" in note


def test_condition_of_two_fields_is_as_wide_as_it_can_be() -> None:
    kinds = {"choices": ["none", "fsq", "ema"]}
    space = {"model.quantizer": kinds, "model.quantizer_placement": PLACES}
    (_, note) = spec_of({**space, "model.commitment_cost": COST}).notes
    assert note == (
        "model.commitment_cost has no effect where model.quantizer is none, or where "
        "model.quantizer is fsq and model.quantizer_placement is bottleneck: with "
        "`when: model.quantizer != 'none' and not (model.quantizer == 'fsq' and "
        "model.quantizer_placement == 'bottleneck')` the sampler knows it"
    )


def test_conditions_that_notes_give_are_taken_and_leave_no_note() -> None:
    space = {"model.quantizer": KINDS, "model.quantizer_placement": PLACES}
    when = "not (model.quantizer == 'fsq' and model.quantizer_placement == 'bottleneck')"
    (note,) = spec_of({**space, "model.commitment_cost": COST}).notes
    assert f"`when: {when}`" in note
    assert spec_of({**space, "model.commitment_cost": {**COST, "when": when}}).notes == ()


def test_values_that_no_training_reads_are_not_said() -> None:
    spec = spec_of(COST_AND_KINDS)
    values = {"model.quantizer": "fsq", "model.commitment_cost": 0.07}
    assert spec.acting(values) == {"model.quantizer": "fsq"}
    assert spec.acting({**values, "model.quantizer": "ema"}) == {**values, "model.quantizer": "ema"}


def test_fields_of_ones_own_are_all_taken_to_be_read() -> None:
    content: dict[str, Any] = {"trainable": "own_trainables:hill", "metrics": {"primary": "error"}}
    space = {"x": {"low": 0.0, "high": 1.0}}
    content |= {"name": "a", "question": "b?", "budget": {"trials": 3}, "space": space}
    spec = read_search(content)
    assert spec.notes == ()
    assert spec.acting({"x": 0.5}) == {"x": 0.5}
