"""`qdexp plan`: what a run or a search would do, and what a run would take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdexp.api.composition import NOBODY, Audience, dataset_of
from qdexp.api.judge import ReportJudge
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.api.request import Request
    from qdexp.execution.estimate import Estimate
    from qdexp.experiment.plan import Plan
    from qdexp.experiment.search_spec import SearchSpec
    from qdexp.experiment.spec import Spec
    from qdexp.results.suggestions import SuggestionRecord, TimeSpent


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is asked for, what a run would do with every trial, and what that would take.

    Args:
        spec: What is asked for.
        plan: What a run would do, up to the next look where seeds are added until all is decided.
        estimate: What that would take.
        at_most: What it would take to the last look if nothing were decided before; None where
            the number of seeds is fixed.
    """

    spec: "Spec"
    plan: "Plan"
    estimate: "Estimate"
    at_most: "Estimate | None" = None


def outlook(
    request: "Request", audience: Audience = NOBODY, *, with_probe: bool = False
) -> Outlook:
    """Returns what a run would do and take.

    Args:
        request: What is asked for.
        audience: Who hears of the data, and of probes.
        with_probe: Whether to run a few steps of each shape that no past trial tells of. Without it
            nothing is touched; with it latents are made and measurements kept in the runs folder's
            cache.

    Raises:
        RequestError: The request was wrong, or a probe failed.
        LedgerError: The ledger cannot be read.
    """
    from qdexp.execution import machine
    from qdexp.execution.estimate import capacity_of, estimate
    from qdexp.execution.looking import LAST_LOOK
    from qdexp.execution.measured import measurements
    from qdexp.execution.planning import plan_of
    from qdexp.execution.probe import probe

    spec = request.read_spec()
    dataset = dataset_of(request.runs_folder, audience)
    with Ledger(request.runs_folder) as ledger:
        plan = plan_of(spec, ledger, dataset, ReportJudge())
        trials = [planned.trial for planned in plan.to_run]
        measured = measurements(ledger, trials)
        if with_probe and probe(plan, measured, ledger.runs, dataset, audience.say):
            measured = measurements(ledger, trials)
        whole = plan_of(spec, ledger, dataset, LAST_LOOK) if spec.looks else None
        of_whole = measurements(ledger, [each.trial for each in whole.to_run]) if whole else None
    capacity = capacity_of(spec.resources, cpus=machine.num_cpus(), gpus=machine.num_gpus())
    return Outlook(
        spec=spec,
        plan=plan,
        estimate=estimate(plan, measured, capacity),
        at_most=estimate(whole, of_whole, capacity) if whole and of_whole else None,
    )


@dataclass(frozen=True, kw_only=True)
class SearchOutlook:
    """What a search knows, and what it would do.

    Args:
        spec: The search.
        records: What it suggested so far.
        spent: How long its trials ran.
        why_spent: Which part of its budget is spent, in words, or nothing.
        num_found: Configurations in the ledger that it would be told of.
        num_open: Trials of its suggestions that have not ended, at most.
        num_ahead: Trials of others that its budget has room for.
    """

    spec: "SearchSpec"
    records: "tuple[SuggestionRecord, ...]"
    spent: "TimeSpent"
    why_spent: str
    num_found: int
    num_open: int
    num_ahead: int


def search_outlook(request: "Request", audience: Audience = NOBODY) -> SearchOutlook:
    """Returns what a search would do; touches nothing.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    from qdexp.execution.spending import num_paid, why_spent
    from qdexp.execution.study import Candidates, check_goes_on
    from qdexp.execution.warm_start import found_in
    from qdexp.results.suggestions import suggestions_of, time_spent

    spec = request.read_search()
    candidates = Candidates(spec, dataset_of(request.runs_folder, audience))
    with Ledger(request.runs_folder) as ledger:
        check_goes_on(spec, candidates, ledger)
        records = tuple(suggestions_of(ledger, spec.name))
        spent = time_spent(ledger, spec.name)
        known = {record.trial_ids for record in records}
        baseline = candidates.trials(spec.spec.baseline)
        known.add(tuple(trial.trial_id for trial in baseline))
        found = found_in(spec, ledger, candidates.trials)
    why = why_spent(spec, records, spent)
    left = 0 if why else spec.most_configurations - num_paid(records)
    return SearchOutlook(
        spec=spec,
        records=records,
        spent=spent,
        why_spent=why,
        num_found=len([each for each in found if each.trial_ids not in known]),
        num_open=sum(len(each.trial_ids) for each in records if each.told is None),
        num_ahead=left * len(spec.spec.seeds),
    )
