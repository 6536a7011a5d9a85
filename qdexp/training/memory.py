"""The greatest memory that a trial held, also in a process that other trials used before it."""

# pyright: basic

import resource
import sys
from pathlib import Path

import torch

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
