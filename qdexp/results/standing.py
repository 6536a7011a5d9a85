"""How far a trial is, from what the ledger and its folder say."""

from collections.abc import Collection
from pathlib import Path

from qdexp.results.driver_lock import driver_began, is_in_use
from qdexp.results.folders import latest_step, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.overview import last_starts


def begun_now(ledger: Ledger, experiments: Collection[str]) -> frozenset[str]:
    """Returns the ids of those trials that the running driver has begun; none without one.

    What an earlier driver began and did not end does not run before this one begins it again.
    """
    since = driver_began(ledger.runs) if is_in_use(ledger.runs) else None
    if since is None:
        return frozenset()
    starts = (each for name in experiments for each in last_starts(ledger, name).items())
    return frozenset(trial_id for trial_id, started in starts if started >= since)


def state_of(record: TrialRecord, begun: Collection[str]) -> str:
    """Returns the outcome's status; without one `waiting`, `running` or `interrupted`.

    It is `invalidated` until there is an outcome that counts.

    Args:
        record: The trial.
        begun: The ids of the trials that the running driver has begun.
    """
    if record.invalidated is not None:
        return "invalidated"
    if record.outcome:
        return record.outcome.status
    if not record.num_starts:
        return "waiting"
    return "running" if record.trial_id in begun else "interrupted"


def step_of(record: TrialRecord, runs: Path) -> int:
    """Returns the steps that are safe: of the outcome, or of the newest checkpoint."""
    if record.counted:
        return record.counted.step
    return latest_step(trial_folder(runs, record.trial_id)) or 0
