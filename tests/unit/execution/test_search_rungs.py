"""What a trial that goes on from a checkpoint is compared by: only what is known of each step."""

from pathlib import Path

import pytest
from searches import records_of, searched, spec_of

from qdexp.execution.ports import Assignment
from qdexp.results.outcome import Outcome, Progress
from tests.unit.execution.scripted import Scripted, completed, failed

PRUNING = {"kind": "asha", "metric": "error", "steps": [2, 4], "reduction_factor": 2}


@pytest.mark.parametrize(
    ("earlier", "rungs"),
    [
        ({}, {}),
        ({"cost": [(2, 1.0)]}, {}),
        ({"error": [(1, 9.0), (2, 8.0), (3, 7.0)]}, {2: 8.0, 4: 6.0}),
        ({"error": [(0, 9.0), (3, 7.0)]}, {2: 7.0, 4: 6.0}),
        ({"error": [(2, 8.0), (5, 6.5)]}, {2: 8.0, 4: 6.5}),
    ],
    ids=str,
)
def test_trial_that_goes_on_beyond_a_step_is_compared_by_what_it_tells_of_it(
    tmp_path: Path, earlier: dict[str, list[tuple[int, float]]], rungs: dict[int, float]
) -> None:
    def lost_once(assignment: Assignment, attempt: int) -> Outcome:
        return failed(assignment, "worker_lost") if attempt == 1 else completed(assignment)

    def unheard_then_beyond(_assignment: Assignment, attempt: int) -> Progress:
        if attempt == 1:
            return Progress(step=0, num_steps=6)
        return Progress(step=5, num_steps=6, measurements={"error": 6.0}, earlier=earlier)

    executor = Scripted(lost_once, report=unheard_then_beyond)
    spec = spec_of(
        set={"steps": 6}, pruning=PRUNING, budget={"trials": 1}, resources={"retries": 1}
    )
    searched(spec, tmp_path, executor=executor)
    (record,) = records_of(tmp_path)
    assert record.rungs.get(record.trial_ids[0], {}) == rungs
