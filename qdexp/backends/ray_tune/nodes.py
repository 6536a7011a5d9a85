# pyright: basic
"""What the nodes of a running cluster are asked before trials start there."""

import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from qdexp.errors import RequestError
from qdexp.execution.journey import scratch_folder

ANSWER_SECONDS = 120
"""A node first unpacks the code that is sent, and starts a process."""

_COMPARED = ("torch", "numpy", "qdexp")


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What one node says of itself.

    Args:
        host: Its name.
        versions: Of what numbers depend on, by package.
        sees_folder: Whether the driver's runs folder is there.
        problem: Why it cannot run trials, or nothing.
    """

    host: str
    versions: dict[str, str]
    sees_folder: bool
    problem: str = ""


def versions_here() -> dict[str, str]:
    """Returns the versions of what numbers depend on, in this process."""
    found = {"python": platform.python_version()}
    for name in _COMPARED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def asked(able: Sequence[Mapping[str, Any]], mark: Path, scratch: str | None) -> list[NodeReport]:
    """Returns what each node says of itself.

    Args:
        able: Nodes as `ray.nodes` describes them.
        mark: A file of the driver's in the runs folder, which a node sees where it is shared.
        scratch: The URI of a storage whose scratch folder must be writable, or None.

    Raises:
        RequestError: One did not answer.
    """
    question = ray.remote(num_cpus=0, max_retries=0)(_report)
    answers = {}
    for node in able:
        here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asking = question.options(scheduling_strategy=here).remote(str(mark), scratch)
        answers[asking] = node["NodeManagerAddress"]
    done, late = ray.wait(list(answers), num_returns=len(answers), timeout=ANSWER_SECONDS)
    if late:
        names = ", ".join(answers[each] for each in late)
        raise RequestError(
            f"expected every node of the cluster to answer within {ANSWER_SECONDS} s, found none "
            f"from {names}: see whether its raylet works"
        )
    reports = []
    for each in done:
        try:
            reports.append(ray.get(each))
        except RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise RequestError(
                f"expected a node that can run trials, found that {answers[each]} cannot: {last}"
            ) from error
    return reports


def judged(reports: Sequence[NodeReport], folder: Path, *, is_shared: bool) -> list[str]:
    """Accepts nodes that can run trials; returns in words what people should know of them.

    Raises:
        RequestError: One cannot, or does not see the folder that all must share.
    """
    for report in reports:
        if report.problem:
            raise RequestError(
                f"expected nodes that can run trials, found that {report.host} cannot: "
                f"{report.problem}"
            )
    blind = sorted({report.host for report in reports if not report.sees_folder})
    if is_shared and blind:
        raise RequestError(
            f"expected a runs folder that every node sees, found that {', '.join(blind)} "
            f"{'does' if len(blind) == 1 else 'do'} not see {folder}: choose one on a shared file "
            "system with --runs, or let files travel through a storage with --storage URI"
        )
    here = versions_here()
    notes = []
    for report in reports:
        other = {name for name in here if report.versions.get(name) != here[name]}
        for name in sorted(other):
            notes.append(
                f"{report.host} has {name} {report.versions.get(name)}, this machine has "
                f"{here[name]}: numbers may differ in their last bits"
            )
    return sorted(set(notes))


def clean(nodes: Sequence[Mapping[str, Any]], uri: str) -> None:
    """Removes the scratch folders of a storage from nodes, as far as they answer."""
    remove = ray.remote(num_cpus=0, max_retries=0)(_remove_scratch)
    removing = [
        remove.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(uri)
        for node in nodes
    ]
    if removing:
        ray.wait(removing, num_returns=len(removing), timeout=30)


def _report(mark: str, scratch: str | None) -> NodeReport:
    problem = ""
    if scratch is not None:
        try:
            folder = scratch_folder(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / uuid.uuid4().hex
            probe.touch()
            probe.unlink()
        except OSError as error:
            problem = f"its scratch folder cannot be written: {error}; set QDEXP_SCRATCH there"
        from qdexp.backends.fsspec_storage import FsspecStorage  # noqa: PLC0415 - on the node

        try:
            FsspecStorage(scratch).check()
        except (OSError, RequestError) as error:
            problem = f"the storage {scratch} cannot be used from it: {error}"
    return NodeReport(
        host=platform.node(),
        versions=versions_here(),
        sees_folder=Path(mark).exists(),
        problem=problem,
    )


def _remove_scratch(uri: str) -> None:
    import shutil  # noqa: PLC0415 - on the node

    shutil.rmtree(scratch_folder(uri), ignore_errors=True)
