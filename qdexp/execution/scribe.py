"""What writes down what happens to trials: to the ledger first, then to its mirrors."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.execution.beacon import Beacon
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.mirroring import begun_of, drawn, whole
from qdexp.execution.ports import Reported
from qdexp.experiment.plan import Plan
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Outcome, Progress
from qdexp.results.recorder import Recorder

if TYPE_CHECKING:
    from qdexp.experiment.trial import Condition


class Scribe:
    """Writes what it hears to the ledger, then to the tracker, then to the display."""

    def __init__(
        self, plan: Plan, recorder: Recorder, ledger: Ledger, outside: Collaborators
    ) -> None:
        self._experiment = plan.experiment
        self._recorder = recorder
        self._ledger = ledger
        self._outside = outside
        self._beacon = Beacon(ledger.runs)
        self.num_outcomes = 0
        self.notes: list[str] = []
        self.numbers: Mapping[str, int] = {}  # of suggestions, by trial
        self._conditions: dict[str, Condition] = {}
        self._origins: dict[str, str | None] = {}
        self._to_run: set[str] = set()
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """Goes on with a plan of the same experiment, which asks for more."""
        self._conditions = {}
        self._origins = {}
        self._to_run = set()
        self.add(plan)

    def add(self, plan: Plan) -> None:
        """Goes on with what a plan asks for beside what was asked for before."""
        self._conditions |= {each.trial.trial_id: each.condition for each in plan.trials}
        self._origins |= {each.trial.trial_id: each.origin for each in plan.trials}
        self._to_run |= {each.trial.trial_id for each in plan.to_run}

    def on_start(self, trial_id: str) -> None:
        """An attempt began: the ledger first."""
        self._recorder.record_start(trial_id, time.time(), self._origins[trial_id])
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
        self._record_mirrored()
        self._recorder.record_outcome(outcome)
        self.num_outcomes += 1
        self._mirror_end(outcome)
        self._outside.display.on_outcome(outcome)

    def on_no_attempt(self, outcome: Outcome) -> None:
        """A trial will not be attempted now: it has an outcome all the same."""
        self._mirror_start(outcome.trial_id)
        self.on_outcome(outcome)

    def catch_up(self, behind: Sequence[TrialRecord]) -> None:
        """Mirrors outcomes that the ledger has and the tracker may not have.

        A trial that is to run again is left to its next outcome.
        """
        for record in behind:
            if record.trial_id in self._to_run:
                continue
            assert record.outcome is not None
            self._conditions.setdefault(record.trial_id, record.condition)
            self._mirror_start(record.trial_id)
            self._mirror_end(whole(record.outcome, self._ledger))

    def close(self, reported: Reported | None) -> None:
        """Ends the mirror, and records what it shows.

        Where something could not be mirrored, or the report was not made (a signal came), one
        outcome counts as not mirrored, so that the next run opens the mirror and tries again.
        """
        is_unfinished = self._outside.report is not None and reported is None
        if reported:
            self._outside.tracker.end_experiment(reported)
        problems = self._outside.tracker.close()
        self._record_mirrored(but=1 if problems or is_unfinished else 0)
        self.notes = [*problems, *self.notes]

    def _record_mirrored(self, but: int = 0) -> None:
        mirrored = self._outside.tracker.newly_mirrored()
        place = self._outside.tracker.place
        if place is not None and (recorded := mirrored[: len(mirrored) - but]):
            self._recorder.record_mirrored(self._experiment, place, recorded)

    def _mirror_start(self, trial_id: str) -> None:
        record = self._ledger.find(trial_id)
        assert record is not None
        condition, number = self._conditions[trial_id], self.numbers.get(trial_id)
        begun = begun_of(record, condition, self._outside.provenance, number)
        self._outside.tracker.start_trial(begun)

    def _mirror_end(self, outcome: Outcome) -> None:
        self._outside.tracker.end_trial(outcome, self._pictures(outcome))

    def _pictures(self, outcome: Outcome) -> Sequence[Path]:
        files, problem = drawn(outcome, self._ledger.runs, self._outside.draw)
        if problem:
            self.notes.append(problem)
        return files
