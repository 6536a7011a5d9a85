"""Runs trials through Ray Tune, on this machine or a cluster."""

from qdexp.backends.ray_tune import environment

# isort: split
from qdexp.backends.ray_tune.cluster import local_cluster
from qdexp.backends.ray_tune.executor import RayTuneExecutor
from qdexp.backends.ray_tune.running import RunningCluster

__all__ = ["RayTuneExecutor", "RunningCluster", "environment", "local_cluster"]
