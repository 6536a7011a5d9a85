"""The heart of a search: what comes next, what ends early, and how each suggestion ended."""

from dataclasses import dataclass

from qdexp.execution.assigner import Assigner
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.latents import Latents
from qdexp.execution.objectives import cause_of, ending_with, slim, told_of
from qdexp.execution.planning import plan_of_trials, with_teachers
from qdexp.execution.ports import Assignment
from qdexp.execution.proposals import Proposals
from qdexp.execution.rounds import after_attempts, back_off_seconds, is_transient
from qdexp.execution.rungs import Rungs
from qdexp.execution.same_errors import SameErrors
from qdexp.execution.scribe import Scribe
from qdexp.execution.spending import Meter
from qdexp.execution.stages import without_teacher
from qdexp.execution.study import Candidates, Study
from qdexp.execution.study_mirroring import StudyMirroring
from qdexp.execution.waiting import Waiting
from qdexp.execution.watched import Watched
from qdexp.experiment.plan import TO_RUN, PlannedTrial
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.best import best_in_words
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, Outcome, Progress
from qdexp.results.suggestions import SuggestionRecord

EVERY_SECONDS = 60.0
"""How much of the time spent a kill may hide, where trials are longer than this."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a search works with.

    Args:
        study: What it knows.
        candidates: The trials of its configurations.
        ledger: What is known of trials.
        scribe: Writes down what happens to them.
        outside: The display, the clock, the dataset.
        proposals: Makes its suggestions.
        mirroring: Shows it.
        meter: Measures how long trials run.
    """

    study: Study
    candidates: Candidates
    ledger: Ledger
    scribe: Scribe
    outside: Collaborators
    proposals: Proposals
    mirroring: StudyMirroring
    meter: Meter


class SearchFeed:
    """Gives an executor a search's trials, and hears of them.

    Args:
        spec: The search.
        parts: What it works with.
        keep_going: Whether to go on where the first trials all fail in the same way.
    """

    def __init__(self, spec: SearchSpec, parts: Parts, *, keep_going: bool) -> None:
        self._spec = spec
        self._study = parts.study
        self._parts = parts
        self._rungs = Rungs(spec.pruning, parts.study)
        self._proposals = parts.proposals
        self._clock = parts.outside.clock
        self._same = SameErrors(keep_going=keep_going)
        self._waiting = Waiting(self._clock)
        self._meter = parts.meter
        self._latents = Latents(parts.ledger.runs, parts.outside)
        self._assigner = Assigner(spec.spec, parts.ledger, self._latents.folders)
        self._running: dict[str, Watched] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._attempts: dict[str, int] = {}
        self._causes: dict[int, Outcome] = {}
        self._untold: list[int] = []

    def go_on(self) -> None:
        """Takes up the suggestions that have not ended."""
        for record in self._study.open:
            self._ask_for(record)

    @property
    def is_ready(self) -> bool:
        """Tells whether a trial can begin now."""
        return self._next() is not None

    def seconds_to_wait(self) -> float | None:
        """Returns when a trial may be tried again, or None if none waits for that."""
        return self._waiting.seconds()

    def take(self) -> Assignment | None:
        """Returns what to run next, or None if there is nothing before a running trial ends."""
        planned = self._next()
        if planned is None:
            return None
        trial_id = planned.trial.trial_id
        self._waiting.take(planned)
        is_fresh = planned.known.step is None and trial_id not in self._attempts
        self._running[trial_id] = Watched(planned=planned, began=self._clock(), is_fresh=is_fresh)
        return self._assigner.assignment(planned)

    def on_start(self, trial_id: str) -> None:
        """An attempt began."""
        self._attempts[trial_id] = self._attempts.get(trial_id, 0) + 1
        self._meter.start(trial_id)
        self._parts.scribe.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """A running trial reported: what it is compared by is in the ledger first."""
        watched = self._running[trial_id]
        self._rungs.hear(watched, progress)
        watched.hear(progress)
        if self._meter.untaken().seconds > EVERY_SECONDS:
            self._study.add_time(self._meter.take())
        self._parts.scribe.on_progress(trial_id, progress)

    def pruned(self, trial_id: str) -> Outcome | None:
        """Returns the outcome of a running trial that is to end now."""
        watched = self._running[trial_id]
        number = self._study.number_of.get(trial_id)
        if number is None:  # a teacher
            return None
        if number in self._causes:
            status, reason = ending_with(self._causes[number])
            return watched.ended(status, reason, self._clock)
        reason = watched.broken or self._rungs.judged(trial_id, watched.judged)
        return watched.ended("pruned", reason, self._clock) if reason else None

    def on_outcome(self, outcome: Outcome) -> None:
        """An attempt ended: it is held back if it may pass, else written down.

        Raises:
            SameErrorError: It failed as all the others did, and is the last of the first.
        """
        trial_id = outcome.trial_id
        self._meter.end(trial_id)
        self._study.add_time(self._meter.take())
        watched = self._running.pop(trial_id)
        if is_transient(outcome) and self._study.number_of.get(trial_id) not in self._causes:
            attempt = self._attempts[trial_id]
            if attempt <= self._spec.spec.resources.retries:
                self._waiting.put_off(watched.planned, back_off_seconds(attempt + 1))
                return
            outcome = after_attempts(outcome, attempt)
        self._parts.scribe.on_outcome(outcome)
        if outcome.status != "cancelled":
            self._same.hear(outcome)
        self._end(outcome)

    def finish(self) -> None:
        """Tells of what had to wait until it was known that not everything fails."""
        for number in self._untold:
            self._tell(number)
        self._untold = []

    def stop_measuring(self) -> None:
        """Writes down how long trials ran that go on another time."""
        self._study.add_time(self._meter.take())

    def _next(self) -> PlannedTrial | None:
        """Returns the trial that comes next, once it has been suggested and its data are made."""
        while True:
            planned = self._waiting.first()
            if planned is None:
                if self._waiting.is_blocked or not self._suggest():
                    return None
            elif instead := self._instead_of(planned):
                self._end_without_attempt(instead)
            else:
                return planned

    def _instead_of(self, planned: PlannedTrial) -> Outcome | None:
        """Returns the outcome of a trial that does not begin."""
        trial = planned.trial
        teacher = trial.teacher and self._outcomes.get(trial.teacher.trial_id)
        if teacher and teacher.status != "completed":
            return without_teacher(trial, teacher)
        if reason := self._rungs.judged(
            trial.trial_id, set()
        ):  # a kill came before this was written
            return Watched(planned=planned, began=self._clock()).ended(
                "pruned", reason, self._clock
            )
        return None

    def _suggest(self) -> bool:
        """Asks for a further suggestion; returns whether there was one."""
        record = self._proposals.next(self._study.spent + self._meter.untaken())
        if record is not None:
            self._ask_for(record)
        return record is not None

    def _ask_for(self, record: SuggestionRecord) -> None:
        """Plans a suggestion's trials; those with a result are not run."""
        values = record.suggestion.values
        trials = self._parts.candidates.trials(values)
        asked = with_teachers([(trial, values) for trial in trials])
        plan = plan_of_trials(self._study.name, asked, self._parts.ledger)
        self._parts.scribe.add(plan)
        self._parts.outside.display.on_suggestion(plan, self._proposals.ahead)
        self._parts.mirroring.changed(self._study.records)
        self._latents.prepare(plan.to_run)
        for planned in plan.trials:
            ended = self._ended_before(planned, record)
            if ended:
                self._outcomes[ended.trial_id] = slim(ended)
            else:
                self._waiting.add(planned)
        self._settle(record.suggestion.number)

    def _ended_before(self, planned: PlannedTrial, record: SuggestionRecord) -> Outcome | None:
        """Returns the outcome of a trial that is not run: a result, or an end that we made."""
        known = self._parts.ledger.find(planned.trial.trial_id)
        outcome = known.counted if known else None
        if planned.state not in TO_RUN or known is None or outcome is None:
            return outcome
        is_ours = outcome.provenance.get("experiment") == self._study.name
        is_since = (known.finished_at or 0.0) >= record.suggested_at
        return outcome if outcome.status == "pruned" and is_ours and is_since else None

    def _end_without_attempt(self, outcome: Outcome) -> None:
        self._parts.scribe.on_no_attempt(outcome)
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        self._waiting.end(outcome.trial_id)
        self._outcomes[outcome.trial_id] = slim(outcome)
        number = self._study.number_of.get(outcome.trial_id)
        if number is not None:
            self._settle(number)
        if self._untold and not self._same.is_suspicious:
            self.finish()

    def _settle(self, number: int) -> None:
        """Ends a suggestion whose trials ended, or of which one has no value to optimise."""
        cause = cause_of(self._known(number), self._spec.objectives)
        if cause and number not in self._causes:
            self._causes[number] = cause
            self._end_others(number, cause)
            return
        is_over = len(self._known(number)) == len(self._study.records[number].trial_ids)
        if not is_over:
            return
        if cause and cause.status == "failed" and self._same.is_suspicious:
            self._untold.append(number)  # the same error may stop the search: then it goes on here
        else:
            self._tell(number)

    def _end_others(self, number: int, cause: Outcome) -> None:
        """Ends the trials of a suggestion that have not begun, and then it, if none runs."""
        status, reason = ending_with(cause)
        for trial_id in self._study.records[number].trial_ids:
            if self._waiting.cancel(trial_id):
                self._waiting.end(trial_id)
                failure = Failure(reason=reason)
                outcome = Outcome(trial_id=trial_id, status=status, step=0, failure=failure)
                self._parts.scribe.on_no_attempt(outcome)
                self._outcomes[trial_id] = outcome
        self._settle(number)

    def _known(self, number: int) -> list[Outcome]:
        trial_ids = self._study.records[number].trial_ids
        return [self._outcomes[each] for each in trial_ids if each in self._outcomes]

    def _tell(self, number: int) -> None:
        self._study.tell(number, told_of(self._known(number), self._spec.objectives))
        records = self._study.records
        best = best_in_words(records, self._spec.directions, self._spec.acting)
        self._parts.outside.display.on_best(best)
        self._parts.mirroring.changed(records)
