# pyright: basic
"""What one trial reserves, and whether any machine has it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ray import tune

from qdexp.backends.ray_tune.pulse import check_alive, living
from qdexp.errors import RequestError
from qdexp.execution.ports import Assignment
from qdexp.experiment.spec import Resources

MARGIN = 1.2
"""A trial gets so much more of a GPU's memory than was measured."""

CONTEXT_BYTES = 2**29
"""What a process takes of a GPU beside its tensors; an estimate, not measured here."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one machine has."""

    cpus: float
    gpus: float

    def num_fitting(self, cpus: float, gpus: float) -> int:
        """Returns how many such bundles fit here at once."""
        by_cpus = math.floor(self.cpus / cpus + 1e-9)
        return min(by_cpus, math.floor(self.gpus / gpus + 1e-9)) if gpus else by_cpus


def placement_of(
    resources: Resources, assignments: Sequence[Assignment]
) -> tune.PlacementGroupFactory:
    """Returns what Tune reserves for each of the trials.

    A trial of several processes has a bundle for each; the worker that starts and follows them
    computes nothing, and has none.

    Raises:
        RequestError: No machine has so much: Ray would wait for ever.
        InterruptedRunError: No machine is alive.
    """
    check_alive()
    machines = [
        Machine(cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0))
        for node in living()
    ]
    refuse_infeasible(resources, machines)
    gpus = resources.gpus
    if gpus is None:
        gpus = float(min(1, max(each.gpus for each in machines)))
        if gpus and resources.processes == 1:
            gpus = gpu_share([each.peak_memory_bytes for each in assignments], gpu_memory_bytes())
    bundle = {"CPU": float(resources.cpus)} | ({"GPU": gpus} if gpus else {})
    if resources.processes == 1:
        return tune.PlacementGroupFactory([bundle])
    return tune.PlacementGroupFactory([{}, *[dict(bundle) for _ in range(resources.processes)]])


def num_fitting(placement: tune.PlacementGroupFactory) -> int:
    """Returns how many trials of a placement the cluster has room for at once, at least one."""
    bundle = placement.bundles[-1]
    fitting = 0
    for node in living():
        here = Machine(cpus=node["Resources"].get("CPU", 0), gpus=node["Resources"].get("GPU", 0))
        fitting += here.num_fitting(bundle.get("CPU", 1), bundle.get("GPU", 0))
    return max(1, fitting // len(placement.bundles))


def gpu_share(peaks: Sequence[float | None], gpu_bytes: float | None) -> float:
    """Returns which part of a GPU a trial gets: 1, or 1/k where k of them certainly fit.

    Args:
        peaks: The memory in bytes that each trial took when it was measured, or None if it never
            was: then it gets a whole GPU, and so do all others.
        gpu_bytes: The memory of one GPU, or None if it is not known.
    """
    measured = [each for each in peaks if each is not None]
    if not measured or len(measured) < len(peaks) or not gpu_bytes:
        return 1.0
    fitting = math.floor(gpu_bytes / (MARGIN * max(measured) + CONTEXT_BYTES))
    # Ray counts in ten-thousandths: k times the share must not come out above 1.
    return math.floor(10_000 / max(1, min(fitting, 100))) / 10_000


def memory_cap(share: float, gpu_bytes: float) -> float:
    """Returns the part of a GPU's memory that the tensors of a trial with `share` of it may take.

    The contexts of all that share it have to fit beside their tensors.
    """
    return max(share / 2, share - CONTEXT_BYTES / gpu_bytes)


def refuse_infeasible(resources: Resources, machines: Sequence[Machine]) -> None:
    """Accepts what the machines have.

    Raises:
        RequestError: A trial asks for more.
    """
    gpus = resources.gpus or 0
    asked = f"cpus: {resources.cpus}, gpus: {gpus:g}"
    fitting = sum(each.num_fitting(resources.cpus, gpus) for each in machines)
    found = "; ".join(dict.fromkeys(f"{m.cpus:g} CPUs and {m.gpus:g} GPUs" for m in machines))
    if not fitting:
        raise RequestError(
            f"expected resources that one machine has ({found}), found {asked}: lower them under "
            "resources in the spec, or add a machine"
        )
    if fitting < resources.processes:
        where = "this machine" if len(machines) == 1 else f"{len(machines)} machines"
        raise RequestError(
            f"expected at most {fitting} processes with {asked} each, for which {where} "
            f"({found}) has room, found processes: {resources.processes}: lower them under "
            "resources in the spec, or add a machine"
        )


def num_gpus() -> int:
    """Returns the number of GPUs that PyTorch finds here."""
    import torch  # noqa: PLC0415 - it takes seconds

    return torch.cuda.device_count()


def gpu_memory_bytes() -> float | None:
    """Returns the memory of the smallest GPU of this machine, or None without any."""
    import torch  # noqa: PLC0415 - it takes seconds

    sizes = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    return float(min(sizes)) if sizes else None


def cap_memory(share: float) -> None:
    """Lets this process take no more than its share of the GPU's memory, if it shares one."""
    if not 0 < share < 1:
        return
    import torch  # noqa: PLC0415 - it takes seconds

    total = gpu_memory_bytes()
    if total is not None:
        torch.cuda.set_per_process_memory_fraction(memory_cap(share, total))
