# pyright: basic
"""Which machines of a cluster are alive, and whether any is."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from qdexp.errors import InterruptedRunError

_SECONDS = 2.0
"""Between two looks, each of which asks Ray's head."""


Nodes = Callable[[], Sequence[Mapping[str, Any]]]
"""Tells of the machines of a cluster, as Ray does."""


def living(nodes: Nodes = ray.nodes) -> list[Mapping[str, Any]]:
    """Returns the machines of the cluster that are alive."""
    return [node for node in nodes() if node["Alive"]]


def check_alive(nodes: Nodes = ray.nodes) -> None:
    """Does nothing while a machine of the cluster is alive.

    Raises:
        InterruptedRunError: None is: Ray's process on each of them died.
    """
    if not living(nodes):
        raise InterruptedRunError(
            "stopped: expected a Ray cluster with a machine that is alive, found none (its "
            "process `raylet` ended, killed for want of memory perhaps): what is finished is "
            "kept, and the same command starts a cluster and goes on from there"
        )


class Pulse:
    """Looks now and then whether any machine is alive: without one, Tune waits for ever.

    Args:
        nodes: Tells of the machines, as Ray does.
    """

    def __init__(self, nodes: Nodes = ray.nodes) -> None:
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
        check_alive(self._nodes)
