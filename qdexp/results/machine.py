"""The machine that this process runs on, without any library that would have to be loaded."""

import os
import platform
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def hardware() -> dict[str, Any]:
    """Returns host, CPU, cores, memory in GiB, and GPUs with their memory and driver if any."""
    return dict(_hardware())


@cache
def _hardware() -> dict[str, Any]:
    gpus = _gpus()
    return {
        "host": socket.gethostname(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": _memory_gib(),
        **({"gpus": "; ".join(gpus)} if gpus else {}),
        "system": f"{platform.system()} {platform.machine()}",
    }


def cpu_model() -> str:
    """Returns the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> int | None:
    """Returns the memory in whole GiB: the rest differs from one start of a machine to the next."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    except (OSError, ValueError):
        return None


def _gpus() -> list[str]:
    """Returns a line for each GPU, as the driver's own tool says; none where it is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        result = subprocess.run(
            [tool, *_QUERY], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if result.returncode != 0:
        return []
    return [_gpu(line) for line in result.stdout.splitlines() if line.count(",") == 2]


def _gpu(line: str) -> str:
    name, memory, driver = (part.strip() for part in line.split(","))
    return f"{name}, {memory}, driver {driver}"
