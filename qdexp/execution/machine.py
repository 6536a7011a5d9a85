"""What this machine has, as far as can be told without importing an engine."""

import os
import re
from pathlib import Path

_DEVICES = Path("/dev")
_GPU = re.compile(r"nvidia\d+")


def num_cpus() -> int:
    """Returns the number of CPUs, as Ray counts them on this machine."""
    return os.cpu_count() or 1


def num_gpus(devices: Path = _DEVICES) -> int:
    """Returns the number of NVIDIA GPUs that processes started here may use.

    The drivers' device files are counted: PyTorch would know better, and takes seconds to import.

    Args:
        devices: The folder of the device files.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        present = sum(bool(_GPU.fullmatch(each.name)) for each in devices.iterdir())
    except OSError:
        return 0
    if visible is None:
        return present
    return min(
        present, len([each for each in visible.split(",") if each.strip() not in ("", "-1")])
    )
