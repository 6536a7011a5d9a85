"""A trial's peak is its own, also in a process that held more before."""

import sys

import pytest
import torch

from qdexp.errors import TrainingMemoryError
from qdexp.training.memory import explained, has_run_out, peak_bytes, reset_peak

CPU = torch.device("cpu")
MEGABYTES = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a process's peak")
def test_peak_forgets_what_was_held_before() -> None:
    reset_peak(CPU)
    before = peak_bytes(CPU)
    big = torch.ones(100 * MEGABYTES // 4)
    with_big = peak_bytes(CPU)
    assert with_big >= before + 90 * MEGABYTES
    del big
    reset_peak(CPU)
    assert peak_bytes(CPU) < with_big - 50 * MEGABYTES


def test_an_allocation_that_the_cpu_refuses_is_memory_that_ran_out() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60)

    assert has_run_out(refused.value)
    assert has_run_out(MemoryError())
    assert not has_run_out(RuntimeError("shapes do not match"))


def test_memory_that_runs_out_is_explained_once_and_other_errors_pass() -> None:
    with (
        pytest.raises(TrainingMemoryError, match=r"step 7 with 2 clips.*batch_size") as raised,
        explained(3, 1),
        explained(7, 2),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert str(raised.value).count("out of memory at step") == 1
    with pytest.raises(RuntimeError, match="shapes"), explained(0, 1):
        raise RuntimeError("shapes do not match")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_peak_of_a_gpu_is_what_was_allocated() -> None:
    device = torch.device("cuda")
    reset_peak(device)
    before = peak_bytes(device)
    big = torch.ones(100 * MEGABYTES // 4, device=device)
    assert peak_bytes(device) >= before + big.nbytes
