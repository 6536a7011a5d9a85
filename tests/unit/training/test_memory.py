"""A trial's peak is its own, also in a process that held more before."""

import subprocess
import sys

import pytest
import torch

from qdexp.errors import TrainingMemoryError
from qdexp.training.memory import explained, has_run_out, peak_bytes, reset_peak

MEGABYTES = 2**20


PEAKS = """
import torch
from qdexp.training.memory import peak_bytes, reset_peak
cpu = torch.device("cpu")
reset_peak(cpu)
print(peak_bytes(cpu))
big = torch.ones(100 * 2**20 // 4)
print(peak_bytes(cpu))
del big
reset_peak(cpu)
print(peak_bytes(cpu))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a process's peak")
def test_peak_forgets_what_was_held_before() -> None:
    """In a process of its own: what other tests held may be freed while this one measures."""
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    before, with_big, after = map(int, done.stdout.split())

    assert with_big >= before + 90 * MEGABYTES
    assert after < with_big - 50 * MEGABYTES


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
