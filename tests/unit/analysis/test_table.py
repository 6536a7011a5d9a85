"""From the ledger to tidy tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis import load

from qdexp.errors import NotFoundError

Make = Callable[[Any], Path]
STATUSES = {((16384,), 0): "diverged", ((4096,), 1): "failed", ((4096,), 2): "missing"}


def test_every_planned_trial_has_a_row_whatever_became_of_it(
    make_ledger: Make, made: type[Any]
) -> None:
    trials = load("codebook_size", make_ledger(made(statuses=STATUSES))).trials
    assert len(trials) == 9
    assert trials["status"].value_counts().to_dict() == {
        "completed": 6,
        "diverged": 1,
        "failed": 1,
        "missing": 1,
    }
    (reason,) = trials.loc[trials["status"] == "diverged", "reason"]
    assert reason == "loss is nan at step 31"


def test_conditions_follow_the_specs_levels_and_the_baseline_is_found(
    make_ledger: Make, made: type[Any]
) -> None:
    factors = {"model.num_embeddings": (16384, 4096, 8192)}
    experiment = load("codebook_size", make_ledger(made(factors=factors)))
    assert [c["model.num_embeddings"] for c in experiment.conditions] == [16384, 4096, 8192]
    assert experiment.baseline == 2


def test_measurements_carry_their_unit_and_direction(make_ledger: Make, made: type[Any]) -> None:
    rows = load("codebook_size", make_ledger(made())).measurements
    perplexity = rows[rows["metric"] == "eval.perplexity"]
    assert set(perplexity["unit"]) == {"codes"}
    assert set(perplexity["direction"]) == {"higher"}
    assert len(perplexity) == 9


def test_histories_are_long_and_rise_in_step(make_ledger: Make, made: type[Any]) -> None:
    rows = load("codebook_size", make_ledger(made())).histories
    one = rows[(rows["metric"] == "train.loss") & (rows["condition"] == 0) & (rows["seed"] == 1)]
    assert one["step"].tolist() == list(range(10, 201, 10))


def test_unknown_experiment_is_refused_with_the_nearest_name(
    make_ledger: Make, made: type[Any]
) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'codebook_size'"):
        load("codebook_sise", make_ledger(made()))
