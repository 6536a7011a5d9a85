"""A trial's peak is its own, also in a process that held more before."""

import sys

import pytest
import torch

from qdexp.training.memory import peak_bytes, reset_peak

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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_peak_of_a_gpu_is_what_was_allocated() -> None:
    device = torch.device("cuda")
    reset_peak(device)
    before = peak_bytes(device)
    big = torch.ones(100 * MEGABYTES // 4, device=device)
    assert peak_bytes(device) >= before + big.nbytes
