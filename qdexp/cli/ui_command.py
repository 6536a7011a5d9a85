"""`qdexp ui`: MLflow's pages over the runs folder."""

from pathlib import Path

from qdexp.results.folders import runs_folder


def serve(port: int, *, runs: Path | None) -> int:
    """Serves until it is stopped and returns the exit code.

    Raises:
        RequestError: There is nothing to serve yet, or the port is taken.
    """
    from qdexp.backends.mlflow_tracker import serve as serve_mlflow

    return serve_mlflow(runs_folder(runs), port)
