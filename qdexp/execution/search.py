"""The use case of searching: suggestions one after another, every one in the ledger first."""

from dataclasses import dataclass, replace
from pathlib import Path

from qdexp.errors import SameErrorError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted
from qdexp.execution.limits import check_deadline
from qdexp.execution.mirroring import entry_of
from qdexp.execution.proposals import Proposals
from qdexp.execution.scribe import Scribe
from qdexp.execution.search_feed import Parts, SearchFeed
from qdexp.execution.search_ports import SearchExecutor, StudyMirror, Suggester
from qdexp.execution.spending import Meter, why_spent
from qdexp.execution.study import Candidates, Study, check_goes_on
from qdexp.execution.study_mirroring import StudyMirroring
from qdexp.execution.warm_start import found_in
from qdexp.experiment.plan import Plan
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import suggestions_of, time_spent


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a search needs beside what a run does.

    Args:
        executor: Runs what is suggested.
        suggester: Says where to look next.
        mirror: Shows it as a study, or None.
        keep_going: Whether to go on where the first trials all fail with the same error.
    """

    executor: SearchExecutor
    suggester: Suggester
    mirror: StudyMirror | None = None
    keep_going: bool = False


@dataclass(frozen=True, kw_only=True)
class Searched(Conducted):
    """What a search did.

    Args:
        why_ended: What ended it, in words: a part of its budget, or that its space is exhausted.
        num_found: Configurations that were measured before it began.
    """

    why_ended: str = ""
    num_found: int = 0


def search(spec: SearchSpec, runs: Path, outside: Collaborators, tools: Tools) -> Searched:
    """Searches until the budget is spent; every outcome is in the ledger before anything else.

    Raises:
        InterruptedRunError: A signal or the budget of a run stopped it; the same call goes on.
        RequestError: Another experiment has its name, or the data or resources do not exist.
        LedgerError: The ledger cannot be written.
    """
    candidates = Candidates(spec, outside.dataset)
    with Ledger(runs) as ledger:  # what is wrong is refused before anything is written
        check_goes_on(spec, candidates, ledger)
        if _may_run(spec, ledger):
            tools.executor.check()
    with Recorder(runs) as recorder, Ledger(runs) as ledger:
        check_goes_on(spec, candidates, ledger)  # another driver may have been here meanwhile
        asked_by = recorder.record_spec((spec.spec.file, spec.spec.text, spec.definition()))
        facts = recorder.record_facts(outside.provenance)
        outside = replace(outside, provenance={**facts, **asked_by})
        study = Study(spec.name, recorder, ledger)
        return _Search(spec, study, candidates, ledger, outside).run(recorder, tools)


def _may_run(spec: SearchSpec, ledger: Ledger) -> bool:
    records = suggestions_of(ledger, spec.name)
    is_open = any(record.told is None for record in records)
    return is_open or not why_spent(spec, records, time_spent(ledger, spec.name))


class _Search:
    """One call of a search."""

    def __init__(
        self,
        spec: SearchSpec,
        study: Study,
        candidates: Candidates,
        ledger: Ledger,
        outside: Collaborators,
    ) -> None:
        self._spec = spec
        self._study = study
        self._candidates = candidates
        self._ledger = ledger
        self._outside = outside

    def run(self, recorder: Recorder, tools: Tools) -> Searched:
        outside, study, spec = self._outside, self._study, self._spec
        nothing = Plan(experiment=spec.name, trials=(), orphans=())
        scribe = Scribe(nothing, recorder, self._ledger, outside)
        scribe.numbers = study.number_of
        mirroring = StudyMirroring(tools.mirror)
        proposals = Proposals(spec, study, self._candidates, tools.suggester)
        parts = self._parts(scribe, proposals, mirroring, tools.executor)
        feed = SearchFeed(spec, parts, keep_going=tools.keep_going)
        place = outside.tracker.place
        behind = [] if place is None else self._ledger.unmirrored(spec.name, place)
        stopped, reported = "", None
        num_found = self._begin(proposals)
        outside.tracker.open_experiment(entry_of(self._ledger.specs(spec.name)[-1]))
        try:
            feed.go_on()
            scribe.catch_up(behind)
            stopped = self._follow(feed, tools.executor)
            reported = outside.report() if outside.report else None
        finally:
            feed.stop_measuring()
            scribe.close(reported)
            scribe.notes += mirroring.close(study.records)
        return Searched(
            num_run=scribe.num_outcomes,
            num_incomplete=sum(
                record.told is None or record.told.ending == "failed" for record in study.records
            ),
            notes=tuple(scribe.notes),
            stopped=stopped,
            reported=reported,
            why_ended=proposals.why_ended,
            num_found=num_found,
        )

    def _parts(
        self,
        scribe: Scribe,
        proposals: Proposals,
        mirroring: StudyMirroring,
        executor: SearchExecutor,
    ) -> Parts:
        return Parts(
            study=self._study,
            candidates=self._candidates,
            ledger=self._ledger,
            scribe=scribe,
            outside=self._outside,
            proposals=proposals,
            mirroring=mirroring,
            meter=Meter(executor.gpus_of_trial, self._outside.clock),
        )

    def _begin(self, proposals: Proposals) -> int:
        """Adds the baseline first, then what was measured before; returns how many these are."""
        if not self._study.records:
            proposals.next(self._study.spent)
        num_found = 0
        for found in found_in(self._spec, self._ledger, self._candidates.trials):
            if found.trial_ids[0] not in self._study.number_of:
                record = self._study.add(found.values, "ledger", found.trials)
                self._study.tell(record.suggestion.number, found.told)
                num_found += 1
        return num_found

    def _follow(self, feed: SearchFeed, executor: SearchExecutor) -> str:
        """Runs until nothing is left to run; returns why it stopped before, if it did."""
        outside, budget = self._outside, self._spec.spec.budget.experiment
        deadline = None if budget is None else outside.clock() + budget
        if feed.is_ready:
            outside.display.on_preparation("workers")
        try:
            while True:
                if feed.is_ready:
                    executor.follow(feed, feed, deadline, self._spec.workers)
                elif (seconds := feed.seconds_to_wait()) is not None:
                    check_deadline(deadline, outside.clock() + seconds)
                    outside.display.on_preparation(
                        f"another attempt, in {seconds:.0f} s, at a trial whose worker was lost or "
                        "ran out of memory"
                    )
                    outside.pause(seconds)
                else:
                    break
        except SameErrorError as error:
            return str(error)
        feed.finish()
        return ""
