"""A plan says what would be done with every trial, and why."""

import pytest

from qdexp.config.presets import preset
from qdexp.experiment.plan import Former, Known, Plan, make_plan
from qdexp.experiment.trial import Trial

FIELD = "model.num_embeddings"


def trial(level: int, seed: int = 0, *, data: str = "d") -> Trial:
    configuration = preset("tiny").replace({FIELD: level})
    return Trial(configuration=configuration, seed=seed, data_fingerprint=data)


def plan(
    levels: list[int], known: dict[str, Known] | None = None, former: list[Former] | None = None
) -> Plan:
    asked = [(trial(level), {FIELD: level}) for level in levels]
    return make_plan("sizes", asked, known or {}, former or [])


def once(level: int, *, data: str = "d") -> Former:
    old = trial(level, data=data)
    return Former(trial=old, trial_id=old.trial_id, condition={FIELD: level})


def test_unknown_trial_is_new() -> None:
    (planned,) = plan([64]).trials
    assert (planned.state, planned.reason) == ("new", "never run")


def test_final_outcome_is_cached() -> None:
    done = {trial(64).trial_id: Known(status="diverged", is_final=True)}
    (planned,) = plan([64], done).trials
    assert (planned.state, planned.reason) == ("cached", "diverged before")
    assert plan([64], done).to_run == ()


def test_checkpoint_is_resumed_and_says_from_where() -> None:
    begun = {trial(64).trial_id: Known(step=40)}
    (planned,) = plan([64], begun).trials
    assert (planned.state, planned.reason) == ("resumable", "from step 40")


def test_shorter_trial_is_continued() -> None:
    begun = {trial(64).trial_id: Known(step=40, origin="abc")}
    (planned,) = plan([64], begun).trials
    assert planned.reason == "from step 40 of trial abc"


def test_failed_trial_is_tried_again_and_says_why() -> None:
    failed = {trial(64).trial_id: Known(status="failed", reason="ValueError: no")}
    (planned,) = plan([64], failed).trials
    assert (planned.state, planned.reason) == ("new", "failed before: ValueError: no")


def test_trial_whose_inputs_changed_is_stale_and_says_which() -> None:
    (planned,) = plan([64], former=[once(64, data="other")]).trials
    assert (planned.state, planned.reason) == ("stale", "the data changed")


def test_level_no_longer_asked_for_leaves_an_orphan() -> None:
    result = plan([64], former=[once(128)])
    assert [orphan.condition for orphan in result.orphans] == [{FIELD: 128}]
    assert result.counts() == {"new": 1, "orphaned": 1}
    assert result.summary() == "1 trial: 1 new, 1 orphaned"


def test_two_conditions_of_one_trial_are_refused() -> None:
    with pytest.raises(ValueError, match="expected trials of different ids"):
        plan([64, 64])
