"""Mirrors the ledger in MLflow, and serves its UI."""

from qdexp.backends.mlflow_tracker.server import serve
from qdexp.backends.mlflow_tracker.tracker import MlflowTracker

__all__ = ["MlflowTracker", "serve"]
