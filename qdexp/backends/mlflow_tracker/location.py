"""Where the MLflow store of a runs folder is, as MLflow wants it said."""

from pathlib import Path

from qdexp.errors import RequestError

_MISREAD = "%?#"
"""SQLAlchemy wants these quoted in an address, and MLflow makes folders with the quoted name."""


def database_file(runs: Path) -> Path:
    """Returns the database of a runs folder; absolute."""
    return runs.absolute() / "mlflow.db"


def database_address(file: Path) -> str:
    """Returns the address of an SQLite database.

    Raises:
        RequestError: Its path has characters that MLflow misreads.
    """
    if set(_MISREAD) & set(str(file)):
        raise RequestError(
            f"expected a path without {', '.join(_MISREAD)}, which MLflow misreads, found {file}: "
            "choose another with --runs"
        )
    return f"sqlite:///{file}"
