"""The greatest memory that a trial held, and what is done when there is not enough."""

# pyright: basic

import gc
import resource
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch

from qdexp.errors import TrainingMemoryError

HALVINGS = 3
"""How often a micro-batch is made smaller before a training is given up."""

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak(device: torch.device) -> None:
    """Forgets the peak of the device, or of this process where the device is the CPU.

    Only Linux can forget a process's peak; elsewhere it stays that of the process's whole life.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")  # proc(5): resets the "high water mark" of the resident set
    except OSError:
        return


def peak_bytes(device: torch.device) -> int:
    """Returns the peak since `reset_peak`: of the device, or of the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def has_run_out(error: BaseException) -> bool:
    """Tells whether an allocation failed, on the device or on the CPU."""
    # The CPU's allocator has no class of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "DefaultCPUAllocator" in str(error)
    )


@contextmanager
def explained(step: int, micro_batch: int) -> Generator[None]:
    """Says where memory ran out, and what helps.

    Raises:
        TrainingMemoryError: It did, inside.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, TrainingMemoryError) or not has_run_out(error):
            raise
        problem = str(error).partition("\n")[0]
        raise TrainingMemoryError(step=step, micro_batch=micro_batch, problem=problem) from error


def smaller_micro_batch(micro_batch: int, configured: int) -> int | None:
    """Returns the greatest divisor of a micro-batch up to its half; None after three of them."""
    if micro_batch == 1 or configured // micro_batch >= 2**HALVINGS:
        return None
    return max(size for size in range(1, micro_batch // 2 + 1) if micro_batch % size == 0)


def release() -> None:
    """Gives unused memory of the device back, so that larger pieces fit."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
