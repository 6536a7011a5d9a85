"""What writes down what happens to trials: to the ledger first, then to its mirrors."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qdexp.execution.beacon import Beacon
from qdexp.execution.collaborators import Collaborators
from qdexp.experiment.plan import Plan
from qdexp.results.folders import trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Outcome, Progress
from qdexp.results.provenance import flat
from qdexp.results.recorder import Recorder


class Scribe:
    """Writes what it hears to the ledger, then to the tracker, then to the display."""

    def __init__(
        self, plan: Plan, recorder: Recorder, ledger: Ledger, outside: Collaborators
    ) -> None:
        self._planned = {planned.trial.trial_id: planned for planned in plan.trials}
        self._recorder = recorder
        self._ledger = ledger
        self._outside = outside
        self._beacon = Beacon(ledger.runs)
        self.num_outcomes = 0
        self.notes: list[str] = []

    def on_start(self, trial_id: str) -> None:
        """An attempt began: the ledger first."""
        self._recorder.record_start(trial_id, time.time(), self._planned[trial_id].origin)
        self._mirror_start(trial_id)
        self._beacon.start(trial_id)
        self._outside.display.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """A report came: it is mirrored and shown, and not yet recorded."""
        self._outside.tracker.log(trial_id, progress)
        self._beacon.progress(trial_id, progress)
        self._outside.display.on_progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        """A trial ended: in the ledger before anything else."""
        provenance = {**self._outside.provenance, **outcome.provenance}
        outcome = replace(outcome, provenance=provenance)
        self._beacon.end(outcome.trial_id)
        self._recorder.record_outcome(outcome)
        self.num_outcomes += 1
        self._mirror_end(outcome)
        self._outside.display.on_outcome(outcome)

    def on_no_attempt(self, outcome: Outcome) -> None:
        """A trial will not be attempted now: it has an outcome all the same."""
        self._mirror_start(outcome.trial_id)
        self.on_outcome(outcome)

    def catch_up(self, behind: Sequence[TrialRecord]) -> None:
        """Mirrors outcomes that the ledger has and the tracker may not have."""
        for record in behind:
            assert record.outcome is not None
            self._mirror_start(record.trial_id)
            history = self._ledger.history(record.trial_id)
            arrays = self._ledger.arrays(record.trial_id)
            self._mirror_end(replace(record.outcome, history=history, arrays=arrays))

    def _mirror_start(self, trial_id: str) -> None:
        """Mirrors a start at the time of the first one, so that a replay repeats no metric."""
        if not self._outside.is_tracked:
            return
        planned = self._planned[trial_id]
        record = self._ledger.find(trial_id)
        started_at = record.started_at if record and record.started_at else time.time()
        tags = {f"qdexp.{name}": value for name, value in flat(self._outside.provenance).items()}
        self._outside.tracker.start_trial(planned.trial, planned.condition, tags, started_at)

    def _mirror_end(self, outcome: Outcome) -> None:
        self._outside.tracker.end_trial(outcome, self._pictures(outcome))

    def _pictures(self, outcome: Outcome) -> Sequence[Path]:
        """Draws an outcome; one that cannot be drawn is as good a result as any other."""
        folder = trial_folder(self._ledger.runs, outcome.trial_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return self._outside.draw(outcome, folder)
        except (OSError, ValueError, ArithmeticError) as error:
            self.notes.append(f"the pictures of trial {outcome.trial_id}: {error}")
            return ()
