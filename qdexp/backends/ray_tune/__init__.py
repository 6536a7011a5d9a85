"""Runs trials through Ray Tune, on this machine or a cluster."""

from qdexp.backends.ray_tune.cluster import local_cluster
from qdexp.backends.ray_tune.executor import RayTuneExecutor

__all__ = ["RayTuneExecutor", "local_cluster"]
