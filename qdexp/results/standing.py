"""How far a trial is, from what the ledger and its folder say."""

from pathlib import Path

from qdexp.results.folders import latest_step, trial_folder
from qdexp.results.ledger import TrialRecord
from qdexp.results.recorder import is_in_use


def state_of(record: TrialRecord, runs: Path) -> str:
    """Returns the outcome's status; without one `waiting`, `running` or `interrupted`.

    It is `invalidated` until there is an outcome that counts.
    """
    if record.invalidated is not None:
        return "invalidated"
    if record.outcome:
        return record.outcome.status
    if not record.num_starts:
        return "waiting"
    return "running" if is_in_use(runs) else "interrupted"


def step_of(record: TrialRecord, runs: Path) -> int:
    """Returns the steps that are safe: of the outcome, or of the newest checkpoint."""
    if record.counted:
        return record.counted.step
    return latest_step(trial_folder(runs, record.trial_id)) or 0
