"""The main use case: bring an experiment's missing trials to an outcome, and record each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qdexp.errors import RequestError, SameErrorError
from qdexp.execution.assigner import Assigner
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.latents import Latents
from qdexp.execution.mirroring import entry_of
from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Reported
from qdexp.execution.rounds import Rounds
from qdexp.execution.scribe import Scribe
from qdexp.execution.stages import stages, without_teacher
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.spec import Spec
from qdexp.results.derived_files import keep
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.overview import standings
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import is_search


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """What a run did.

    Args:
        num_run: Outcomes that this run recorded.
        num_incomplete: Trials of the experiment whose outcome is not `completed`.
        notes: What could not be mirrored or drawn, in words.
        stopped: Why trials were cancelled, in words; empty if none were.
        reported: The report, if one was wanted.
    """

    num_run: int
    num_incomplete: int
    notes: tuple[str, ...]
    stopped: str = ""
    reported: Reported | None = None


def conduct(
    spec: Spec, runs: Path, outside: Collaborators, *, keep_going: bool = False
) -> Conducted:
    """Runs what is missing of an experiment; every outcome is in the ledger before anything else.

    Raises:
        InterruptedRunError: A signal or the budget stopped it; the same call goes on from there.
        RequestError: The data or the resources asked for do not exist.
        LedgerError: The ledger cannot be written.
    """
    with Ledger(runs) as ledger:  # what is wrong is refused before anything is written
        if _planned(spec, ledger, outside).to_run:
            outside.executor.check()
    with Recorder(runs) as recorder, Ledger(runs) as ledger:
        plan = _planned(spec, ledger, outside)  # another driver may have been here meanwhile
        outside = _asking(spec, plan, recorder, outside)
        keep(runs, Path(spec.file), spec.text)
        outside.display.on_plan(plan)
        scribe = Scribe(plan, recorder, ledger, outside)
        stopped, reported = "", None
        if (behind := _behind(spec, ledger, outside)) or plan.to_run:
            run = _Run(spec, recorder, ledger, scribe, outside)
            run.prepare(plan)
            outside.tracker.open_experiment(entry_of(ledger.specs(spec.name)[-1]))
            try:
                scribe.catch_up(behind)
                rounds = Rounds(spec, scribe, outside, keep_going=keep_going)
                plan, stopped = run.until_decided(plan, rounds)
                reported = outside.report() if outside.report else None
            finally:
                scribe.close(reported)
        elif outside.report:
            reported = outside.report()
        return Conducted(
            num_run=scribe.num_outcomes,
            num_incomplete=_num_incomplete(plan, ledger),
            notes=tuple(scribe.notes),
            stopped=stopped,
            reported=reported,
        )


def _planned(spec: Spec, ledger: Ledger, outside: Collaborators) -> Plan:
    """Returns the plan of an experiment, which no search has the name of."""
    if is_search(ledger, spec.name):
        raise RequestError(
            f"{spec.file}: expected a name that no search has, found '{spec.name}', which is one "
            "in this ledger: give the experiment another name"
        )
    return plan_of(spec, ledger, outside.dataset, outside.judge)


def _behind(spec: Spec, ledger: Ledger, outside: Collaborators) -> list[TrialRecord]:
    """Returns the trials whose outcomes the mirror lacks, if there is one."""
    place = outside.tracker.place
    return [] if place is None else ledger.unmirrored(spec.name, place)


def _num_incomplete(plan: Plan, ledger: Ledger) -> int:
    """Returns how many of the plan's trials did not complete."""
    standing = standings(ledger, [planned.trial.trial_id for planned in plan.trials])
    return len(plan.trials) - sum(each.is_completed for each in standing.values())


def _asking(spec: Spec, plan: Plan, recorder: Recorder, outside: Collaborators) -> Collaborators:
    """Records what is asked for, and by whom; every outcome's provenance refers to it."""
    asked_by = recorder.record_plan(
        (spec.file, spec.text, spec.definition()),
        [(planned.trial, planned.condition) for planned in plan.trials],
    )
    facts = recorder.record_facts(outside.provenance)
    return replace(outside, provenance={**facts, **asked_by})


class _Run:
    """Runs a plan, and then what is asked for beside it at the next look, until that is nothing."""

    def __init__(
        self,
        spec: Spec,
        recorder: Recorder,
        ledger: Ledger,
        scribe: Scribe,
        outside: Collaborators,
    ) -> None:
        self._spec = spec
        self._recorder = recorder
        self._ledger = ledger
        self._scribe = scribe
        self._outside = outside
        self._latents = Latents(ledger.runs, outside)
        self._assigner = Assigner(spec, ledger, self._latents.folders)

    def prepare(self, plan: Plan) -> None:
        """Makes the latents that the plan's trials need."""
        self._latents.prepare(plan.to_run)

    def until_decided(self, plan: Plan, rounds: Rounds) -> tuple[Plan, str]:
        """Returns the last plan, and why the rest of it was cancelled, if it was."""
        stopped = self._run_missing(plan, rounds)
        tried = {each.trial.trial_id for each in plan.trials}
        while self._spec.looks and not stopped:
            plan = plan_of(self._spec, self._ledger, self._outside.dataset, self._outside.judge)
            further = tuple(each for each in plan.trials if each.trial.trial_id not in tried)
            if not further:
                break
            tried |= {each.trial.trial_id for each in further}
            _asking(self._spec, plan, self._recorder, self._outside)
            self._outside.display.on_plan(plan)
            self._scribe.follow(plan)
            beside = replace(plan, trials=further)
            self.prepare(beside)
            stopped = self._run_missing(beside, rounds)
        return plan, stopped

    def _run_missing(self, plan: Plan, rounds: Rounds) -> str:
        """Runs a plan stage by stage; returns why the rest of it was cancelled, if it was."""
        try:
            for stage in stages(plan):
                able = _able(stage, self._ledger, rounds)
                rounds.run([self._assigner.assignment(each) for each in able])
        except SameErrorError as error:
            num_cancelled = rounds.cancel([each.trial.trial_id for each in plan.to_run], str(error))
            return str(error) if num_cancelled else ""
        return ""


def _able(stage: Sequence[PlannedTrial], ledger: Ledger, rounds: Rounds) -> list[PlannedTrial]:
    """Returns the trials that can begin; where a teacher did not complete, its students end so."""
    able: list[PlannedTrial] = []
    for planned in stage:
        teacher = planned.trial.teacher
        record = ledger.find(teacher.trial_id) if teacher else None
        if record and record.counted and record.counted.status != "completed":
            rounds.end_without_attempt(without_teacher(planned.trial, record.counted))
        else:
            able.append(planned)
    return able
