"""Where results come from: code revision, versions, hardware."""

import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast

PACKAGES = ("qdexp", "torch", "ray", "mlflow", "numpy", "scikit-learn")


def driver_provenance() -> dict[str, Any]:
    """Returns the facts about this driver that every outcome keeps.

    ``commit`` and ``dirty`` are of the git checkout that holds the qdexp package, or else of the
    current folder; both are absent where there is none. ``session`` is this driver's own: times
    measured in different sessions may differ because of other load.
    """
    session = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {os.getpid()}"
    return {
        **_revision(),
        "session": session,
        "versions": _versions(),
        "hardware": _hardware(),
    }


def flat(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Returns provenance as one level of texts: ``versions.torch`` and so on."""
    texts: dict[str, str] = {}
    for name, value in provenance.items():
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            texts |= {f"{name}.{key}": str(item) for key, item in inner.items()}
        else:
            texts[name] = str(value)
    return texts


def _revision() -> dict[str, Any]:
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
            return {"commit": commit, "dirty": bool(changes)}
    return {}


def _git(folder: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _hardware() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
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
