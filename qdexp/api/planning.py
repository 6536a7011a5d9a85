"""`qdexp plan`: what a run would do, and what it would take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdexp.api.composition import NOBODY, Audience, dataset_of
from qdexp.api.judge import ReportJudge
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.api.request import Request
    from qdexp.execution.estimate import Estimate
    from qdexp.experiment.plan import Plan
    from qdexp.experiment.spec import Spec


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
