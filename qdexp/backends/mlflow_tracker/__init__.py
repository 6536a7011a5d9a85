"""Mirrors the ledger in MLflow, compares the two, and serves MLflow's UI."""

from qdexp.backends.mlflow_tracker.location import Location, location_of
from qdexp.backends.mlflow_tracker.server import serve
from qdexp.backends.mlflow_tracker.tracker import MlflowTracker

__all__ = ["Location", "MlflowTracker", "location_of", "serve"]
