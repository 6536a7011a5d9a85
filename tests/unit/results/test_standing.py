# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""What runs, and what only began once."""

import time

from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder
from qdexp.results.standing import begun_now, state_of


def states(here) -> list[str]:
    with Ledger(here.runs) as ledger:
        begun = begun_now(ledger, ["sizes"])
        return [state_of(record, begun) for record in ledger.members("sizes")]


def test_only_what_the_running_driver_began_runs(machines, here) -> None:
    first, second = machines.trial(0), machines.trial(1)
    here.asks(first, second)
    with Recorder(here.runs) as recorder:
        recorder.record_start(first.trial_id, time.time() - 60)  # of a driver that was killed
    assert states(here) == ["interrupted", "waiting"]
    with Recorder(here.runs) as recorder:
        assert states(here) == ["interrupted", "waiting"]
        recorder.record_start(second.trial_id, time.time())
        assert states(here) == ["interrupted", "running"]
    assert states(here) == ["interrupted", "interrupted"]
