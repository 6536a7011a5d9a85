# pyright: basic
"""Whether a cluster still has a machine: without one, Tune waits for ever, and says nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from qdexp.errors import InterruptedRunError

_SECONDS = 2.0
"""Between two looks, each of which asks Ray's head."""


class Pulse:
    """Looks now and then whether any machine of the cluster is alive.

    Args:
        nodes: Tells of the machines, as Ray does.
    """

    def __init__(self, nodes: Callable[[], Sequence[Mapping[str, Any]]] = ray.nodes) -> None:
        self._nodes = nodes
        self._due = 0.0

    def check(self) -> None:
        """Does nothing while there is a machine.

        Raises:
            InterruptedRunError: There is none: Ray's process on each of them died.
        """
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS
        if not any(node["Alive"] for node in self._nodes()):
            raise InterruptedRunError(
                "stopped: expected a Ray cluster with a machine that is alive, found none (its "
                "process `raylet` ended, killed for want of memory perhaps): what is finished is "
                "kept, and the same command starts a cluster and goes on from there"
            )
