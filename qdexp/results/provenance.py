"""Where results come from: code revision, versions, hardware, command.

Who ran it is none of it: nothing in a result depends on that, and ledgers and bundles are given to
others. For the same reason passwords and the place of the home folder are left out of the command.
"""

import os
import platform
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from qdexp.results.code_revision import code_revision
from qdexp.results.machine import hardware
from qdexp.results.passwords import without_password

LONG_FACTS = frozenset({"diff"})
"""Facts that are long texts: the ledger keeps each text once, and outcomes have its hash."""

OF_THE_MOMENT = frozenset(
    {"pid", "started_at", "finished_at", "session", "resumed_from_step", "seconds"}
)
"""Facts that differ between any two attempts, and say nothing of the result."""

_COMPANIONS = (
    "diffusers",
    "jax",
    "jaxlib",
    "lightgbm",
    "nvidia-cublas",
    "nvidia-cublas-cu12",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "nvidia-nccl-cu12",
    "nvidia-nccl-cu13",
    "optuna",
    "psycopg2-binary",
    "sqlalchemy",
    "tensorflow",
    "transformers",
    "triton",
    "xgboost",
)
"""Distributions whose version can matter though qdexp does not ask for them by name."""

_COMMAND_CHARACTERS = 2_000


def driver_provenance() -> dict[str, Any]:
    """Returns the facts about this driver that every outcome keeps.

    ``commit``, ``dirty`` and ``diff`` are of the git checkout that holds the qdexp package, or else
    of the current folder; they are absent where there is none. ``session`` is this driver's own:
    times measured in different sessions may differ because of other load.
    """
    session = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {os.getpid()}"
    return {
        **code_revision(),
        "session": session,
        "command": command_line(sys.argv),
        "driver": socket.gethostname(),
        **process_provenance(),
    }


def process_provenance() -> dict[str, Any]:
    """Returns what is a fact of this very process, worker or driver: versions and hardware."""
    return {"versions": dict(_versions()), "hardware": hardware()}


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


def duration(provenance: Mapping[str, Any]) -> float | None:
    """Returns how many seconds an attempt took, or None if that is not known.

    Older ledgers have two times only, between which the clock may have been set.
    """
    if "seconds" in provenance:
        return float(provenance["seconds"])
    if not {"started_at", "finished_at"} <= provenance.keys():
        return None
    seconds = float(provenance["finished_at"]) - float(provenance["started_at"])
    return seconds if seconds >= 0 else None


def command_line(arguments: list[str]) -> str:
    """Returns a command as one would type it, without what is nobody's business.

    Args:
        arguments: As in ``sys.argv``.
    """
    if not arguments:
        return ""
    program, *rest = arguments
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name
    text = shlex.join([name, *map(without_password, rest)])
    text = re.sub(r"://[^/@\s]+@", "://...@", text)  # a user's name in an address
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(re.escape(home) + r"(?=/|\s|'|$)", "~", text)
    return text[:_COMMAND_CHARACTERS]


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("qdexp", *_required(), *_COMPANIONS):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _required() -> list[str]:
    """Returns the distributions that qdexp needs, without those of its extras."""
    try:
        required = metadata.requires("qdexp") or []
    except metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[A-Za-z0-9._-]+", each) for each in required if "extra ==" not in each)
    return [name[0] for name in names if name]
