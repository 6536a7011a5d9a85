"""What a driver sends to a cluster so that workers can import it: code, and a few variables."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qdexp.errors import RequestError
from qdexp.results.schema import LEDGER_FILE

LIMIT_MIB = 50
"""Code is small; what is larger than this is data that strayed in."""

_OURS = ("qdexp", "qdexp_analysis")
_PREFIXES = ("QDEXP_", "OMP_", "MKL_", "TORCH_", "CUBLAS_")
"""Variables that change what a trial computes, or where; `--env` adds others by name."""


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What a cluster's workers get.

    Args:
        runtime_env: The same in Ray's words, as folders of this machine.
        summary: The same in a line for people.
    """

    runtime_env: dict[str, Any]
    summary: str


@contextmanager
def packed(trainable: str, variables: Sequence[str] = ()) -> Generator[Shipment]:
    """Gathers copies of what workers import, which go away at the end.

    Args:
        trainable: ``package.module:function``; the folder that its package or module lies in is
            shipped, unless it was installed.
        variables: ``NAME`` or ``NAME=VALUE`` of further environment variables.

    Raises:
        RequestError: It is too large, or a variable is not set.
    """
    environment = _environment(variables)
    with TemporaryDirectory(prefix="qdexp-code-") as name:
        staged = Path(name)
        modules = [_copied(_package(each), staged / each) for each in _OURS]
        runtime_env: dict[str, Any] = {
            "py_modules": [str(each) for each in modules],
            "env_vars": environment,
        }
        parts = [" and ".join(_OURS)]
        folder = _own_folder(trainable)
        if folder is not None:
            runtime_env["working_dir"] = str(_copied(folder, staged / "working_dir"))
            parts.append(f"the folder {folder}")
        size = sum(_size(each) for each in staged.iterdir()) / 2**20
        names = ", ".join(sorted(environment)) or "none"
        summary = f"{', '.join(parts)} ({size:.1f} MiB); variables: {names}"
        yield Shipment(runtime_env=runtime_env, summary=summary)


def _environment(variables: Sequence[str]) -> dict[str, str]:
    """Returns the variables that workers get.

    Raises:
        RequestError: One is not set.
    """
    found = {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}
    found.pop("QDEXP_SCRATCH", None)  # each node's own
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if path:
        found["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in path)
    for each in variables:
        name, is_given, value = each.partition("=")
        if not is_given and name not in os.environ:
            raise RequestError(
                f"--env: expected NAME=VALUE, or the name of a variable that is set here, found "
                f"'{each}'"
            )
        found[name] = value if is_given else os.environ[name]
    return found


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _own_folder(trainable: str) -> Path | None:
    """Returns the folder that the top of the trainable's package lies in; None if installed."""
    top = trainable.partition(":")[0].partition(".")[0]
    spec = find_spec(top)
    if top in _OURS or spec is None:
        return None
    places = [Path(each) for each in spec.submodule_search_locations or []]
    places += [Path(spec.origin)] if spec.origin and not places else []
    installed = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib", "stdlib")}
    if not places or any(places[0].is_relative_to(each) for each in installed):
        return None
    return places[0].absolute().parent


def _copied(folder: Path, copy: Path) -> Path:
    """Copies code without what is not: hidden folders, environments, caches, runs folders.

    Raises:
        RequestError: It is larger than code is.
    """
    shutil.copytree(folder, copy, ignore=_ignored, symlinks=False, ignore_dangling_symlinks=True)
    size = _size(copy)
    if size > LIMIT_MIB * 2**20:
        largest = sorted(copy.iterdir(), key=_size, reverse=True)[:3]
        names = ", ".join(f"{each.name} {_size(each) / 2**20:.0f} MiB" for each in largest)
        raise RequestError(
            f"expected at most {LIMIT_MIB} MiB of code to send to the cluster, found "
            f"{size / 2**20:.0f} MiB in {folder} ({names}): move the trainable, with the modules "
            "that it imports, to a folder of its own and put that on PYTHONPATH, or install it on "
            "every node"
        )
    return copy


def _ignored(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if _is_no_code(Path(folder) / name)}


def _is_no_code(path: Path) -> bool:
    if path.name.startswith(".") or path.name in ("__pycache__", "node_modules"):
        return True
    if not path.is_dir():
        return not path.is_file()  # sockets, pipes and broken links
    is_environment = (path / "pyvenv.cfg").exists() or str(path.absolute()) == sys.prefix
    return is_environment or (path / LEDGER_FILE).exists() or (path / "driver.lock").exists()


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
