"""What a trial reserves, by numbers alone: no GPU is needed to be sure, and none was here."""

import pytest

from qdexp.backends.ray_tune.relay import failure_of_lost
from qdexp.backends.ray_tune.resources import (
    CONTEXT_BYTES,
    Machine,
    gpu_share,
    memory_cap,
    refuse_infeasible,
)
from qdexp.errors import RequestError
from qdexp.experiment.spec import Resources

GIB = 2.0**30


@pytest.mark.parametrize(
    ("peaks", "gpu", "share"),
    [
        ([10 * GIB], 80 * GIB, 0.1666),  # 6 times 12.5 GiB
        ([10 * GIB, 30 * GIB], 80 * GIB, 0.5),  # the largest decides
        ([50 * GIB], 80 * GIB, 1.0),
        ([200 * GIB], 80 * GIB, 1.0),
        ([10 * GIB, None], 80 * GIB, 1.0),  # one was never measured
        ([10 * GIB], None, 1.0),
        ([], 80 * GIB, 1.0),
    ],
)
def test_gpu_is_shared_only_where_measured_memory_fits(
    peaks: list[float | None], gpu: float | None, share: float
) -> None:
    assert gpu_share(peaks, gpu) == share


@pytest.mark.parametrize("peak", [0.01 * GIB, 1 * GIB, 3 * GIB, 7 * GIB, 20 * GIB, 39 * GIB])
def test_trials_that_share_a_gpu_fit_with_their_margin_and_under_their_caps(peak: float) -> None:
    total = 80 * GIB
    share = gpu_share([peak], total)
    sharing = int(1 / share)
    assert sharing * share <= 1
    assert sharing * (1.2 * peak + CONTEXT_BYTES) <= total
    cap = memory_cap(share, total) * total
    assert sharing * (cap + CONTEXT_BYTES) <= total or sharing == 100
    assert cap >= peak


def machine(cpus: float, gpus: float = 0) -> Machine:
    return Machine(cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(
    ("resources", "machines"),
    [
        (Resources(cpus=2), [machine(2)]),
        (Resources(cpus=1, gpus=0.5), [machine(4), machine(1, 1)]),
        (Resources(processes=4), [machine(2), machine(2)]),
        (Resources(cpus=2, gpus=1, processes=3), [machine(64, 1), machine(5, 8)]),
        (Resources(gpus=0.1, cpus=1), [machine(10, 1)]),
    ],
)
def test_what_is_there_is_accepted(resources: Resources, machines: list[Machine]) -> None:
    refuse_infeasible(resources, machines)


@pytest.mark.parametrize(
    ("resources", "machines", "message"),
    [
        (
            Resources(cpus=3),
            [machine(2), machine(2)],
            "(2 CPUs and 0 GPUs), found cpus: 3",
        ),
        (Resources(gpus=1), [machine(8)], "found cpus: 1, gpus: 1: lower them"),
        # One machine has the CPUs and another the GPU.
        (
            Resources(cpus=4, gpus=1),
            [machine(8), machine(2, 1)],
            "(8 CPUs and 0 GPUs; 2 CPUs",
        ),
        (Resources(processes=5), [machine(2), machine(2)], "at most 4 processes with cpus: 1"),
        (Resources(processes=3), [machine(2)], "this machine (2 CPUs and 0 GPUs) has room, found"),
        (Resources(cpus=3, processes=2), [machine(4)], "at most 1 processes"),
        (Resources(cpus=1), [], "found cpus: 1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    resources: Resources, machines: list[Machine], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        refuse_infeasible(resources, machines)
    assert message in str(caught.value)
    assert "under resources in the spec" in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "budget", "killed", "kind"),
    [
        (5.0, None, False, "worker_lost"),
        (5.0, None, True, "out_of_memory"),
        (5.0, 60.0, False, "worker_lost"),
        (61.0, 60.0, False, "worker_lost"),  # it would have ended itself only at 66 s
        (65.9, 60.0, True, "timeout"),
    ],
)
def test_lost_worker_is_explained_by_what_is_known(
    seconds: float, budget: float | None, kind: str, *, killed: bool
) -> None:
    assert failure_of_lost(seconds, budget, killed_for_memory=killed).kind == kind
