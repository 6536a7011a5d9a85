# pyright: basic
"""What one trial reserves, and whether any machine has it."""

import ray

from qdexp.errors import RequestError
from qdexp.experiment.spec import Resources


def bundle_of(resources: Resources) -> dict[str, float]:
    """Returns what Tune reserves for one trial.

    Raises:
        RequestError: No machine has so much: Ray would wait for ever.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (max(each.get(kind, 0) for each in machines) for kind in ("CPU", "GPU"))
    refuse_infeasible(resources, cpus, gpus)
    wanted = min(1, gpus) if resources.gpus is None else resources.gpus
    return {"CPU": resources.cpus, "GPU": wanted} if wanted else {"CPU": resources.cpus}


def num_gpus() -> int:
    """Returns the number of GPUs that PyTorch finds here."""
    import torch  # noqa: PLC0415 - it takes seconds

    return torch.cuda.device_count()


def refuse_infeasible(resources: Resources, cpus: float, gpus: float) -> None:
    """Accepts what one machine has.

    Raises:
        RequestError: A trial asks for more than `cpus` or `gpus`.
    """
    wanted = resources.gpus or 0
    if resources.cpus > cpus or wanted > gpus:
        raise RequestError(
            f"expected resources that one machine has (at most {cpus:g} CPUs and {gpus:g} GPUs), "
            f"found cpus: {resources.cpus}, gpus: {wanted:g}: lower them under resources in the "
            "spec"
        )
