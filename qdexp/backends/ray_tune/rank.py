# pyright: basic
"""One of the processes that share the training of a trial."""

import os
import socket
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import ray

from qdexp.backends.ray_tune.arrival import arrived_reports
from qdexp.backends.ray_tune.watchdog import end_at_sigterm
from qdexp.errors import TrialTimeoutError
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment
from qdexp.results.outcome import Outcome, Progress


class Rank:
    """An actor that iterates a trial's attempt in step with the others of its group."""

    def __init__(self) -> None:
        end_at_sigterm()
        self._membership = ExitStack()

    def address(self) -> tuple[str, int]:
        """Returns where the others can meet, if this is the first of them."""
        with socket.socket() as found:
            found.bind(("", 0))
            return ray.util.get_node_ip_address(), found.getsockname()[1]

    def join(self, rank: int, size: int, first: tuple[str, int]) -> None:
        """Joins the others, as in a process of torchrun's; returns when all are there.

        Args:
            rank: This one's place.
            size: How many they are.
            first: The address of the first one.
        """
        host, port = first
        os.environ |= {
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_RANK": "0",  # Ray shows each process its own devices only
            "MASTER_ADDR": host,
            "MASTER_PORT": str(port),
        }
        from qdexp.training.parallel import joined  # noqa: PLC0415 - the driver needs no model

        self._membership.enter_context(joined())

    def begin(self, assignment: str) -> None:
        """Takes a trial up."""
        here = Assignment.from_json(assignment)
        self._reports = attempt(here, arrived_reports, owns_process=True)

    def step(self) -> dict[str, Any]:
        """Advances to the next report, and returns it."""
        return _plain(next(self._reports))

    def time_out(self, seconds: float) -> dict[str, Any]:
        """Closes the trial at a safe point, and returns the outcome that this is."""
        error = TrialTimeoutError(seconds, "was stopped at its next report")
        return _plain(self._reports.throw(error))

    def close(self) -> None:
        """Closes the trial at a safe point."""
        self._reports.close()


def _plain(report: Progress | Outcome) -> dict[str, Any]:
    if isinstance(report, Outcome):
        return {"outcome": report.to_json()}
    return {"progress": asdict(report)}


def report_of(answer: dict[str, Any]) -> Progress | Outcome:
    """Returns the report that a rank sent."""
    if "outcome" in answer:
        return Outcome.from_json(answer["outcome"])
    return Progress(**answer["progress"])
