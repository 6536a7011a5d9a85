"""Pruned trials of a search end early, as such, and are never run again by it."""

from pathlib import Path
from typing import Any

import pytest
from searches import (
    Cut,
    NoDataset,
    attempts,
    ended,
    outcome_of,
    records_of,
    searched,
    spec_of,
    told,
)

from qdexp.errors import InterruptedRunError
from qdexp.execution.planning import plan_of
from qdexp.experiment.reader import read_spec
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.ledger import Ledger

PRUNING = {"kind": "asha", "metric": "error", "steps": [1, 3], "reduction_factor": 2, "least": 1}
WORSE = [{"x": 0.9, "y": 0.1}, {"x": 0.31, "y": 0.71}, {"x": 1.0, "y": 0.0}]


def pruning_spec(**changes: Any) -> SearchSpec:  # noqa: ANN401
    return spec_of(**{"pruning": PRUNING, "enqueue": WORSE, "budget": {"trials": 4}, **changes})


def test_pruned_trial_keeps_what_it_reported_and_is_told_as_pruned(tmp_path: Path) -> None:
    done = searched(pruning_spec(), tmp_path)
    records = records_of(tmp_path)
    assert [ended(each).ending for each in records] == ["complete", "pruned", "complete", "pruned"]
    (worse,) = records[1].trial_ids
    assert "error 1.72 at step 1 is number 2 of 2, and the best 1 go on" in ended(records[1]).reason
    assert records[1].rungs == {worse: {1: pytest.approx(1.72)}}
    assert list(records[0].rungs[records[0].trial_ids[0]]) == [1, 3]
    outcome = outcome_of(tmp_path, worse)
    assert (outcome.status, outcome.step) == ("pruned", 1)
    assert outcome.provenance["seconds"] >= 0
    with Ledger(tmp_path) as ledger:
        assert ledger.history(worse)["error"].values == pytest.approx((1.72,))
    assert done.num_incomplete == 0
    assert searched(pruning_spec(), tmp_path).num_run == 0


def test_pruned_trial_goes_on_from_its_checkpoint_elsewhere(tmp_path: Path) -> None:
    searched(pruning_spec(), tmp_path)
    (worse,) = records_of(tmp_path)[1].trial_ids
    spec = read_spec({
        "name": "elsewhere", "question": "?", "trainable": "own_trainables:hill",
        "set": {"y": 0.1}, "factors": {"x": {"levels": [0.9, 0.2], "baseline": 0.9}}, "seeds": 1,
        "metrics": {"primary": "error"},
    })  # fmt: skip
    with Ledger(tmp_path) as ledger:
        planned = plan_of(spec, ledger, NoDataset()).trials
    (again,) = [each for each in planned if each.trial.trial_id == worse]
    assert again.reason.startswith("from step 1")


def test_where_one_seed_is_pruned_the_others_do_not_begin(tmp_path: Path) -> None:
    searched(pruning_spec(seeds=3, budget={"trials": 12}), tmp_path)
    records = records_of(tmp_path)
    assert [ended(each).ending for each in records] == ["complete", "pruned", "complete", "pruned"]
    begun = attempts(tmp_path)
    assert [trial_id in begun for trial_id in records[1].trial_ids] == [True, False, False]
    outcomes = [outcome_of(tmp_path, trial_id) for trial_id in records[1].trial_ids]
    assert [each.status for each in outcomes] == ["pruned"] * 3
    assert "another seed of its configuration pruned" in str(outcomes[2].failure)


def test_killed_between_a_rung_and_the_end_it_is_pruned_without_another_attempt(
    tmp_path: Path,
) -> None:
    # Four reports and an outcome of the baseline, then the first report of what is worse.
    with pytest.raises(InterruptedRunError):
        searched(pruning_spec(), tmp_path / "cut", executor=Cut(after=5))
    (worse,) = records_of(tmp_path / "cut")[1].trial_ids
    assert records_of(tmp_path / "cut")[1].rungs == {worse: {1: pytest.approx(1.72)}}
    assert records_of(tmp_path / "cut")[1].told is None
    searched(pruning_spec(), tmp_path / "cut")
    searched(pruning_spec(), tmp_path / "whole")
    assert told(tmp_path / "cut") == told(tmp_path / "whole")
    assert attempts(tmp_path / "cut")[worse] == 1
