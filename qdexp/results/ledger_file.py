"""How a ledger's file is opened to be read, wherever it lies and however old it is."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from qdexp.results import schema
from qdexp.results.troubles import trouble


def opened(path: Path) -> sqlite3.Connection:
    """Opens a ledger to read it; a file that is not there reads as an empty one.

    Raises:
        LedgerError: The file is no ledger, or one of another version, or cannot be read.
    """
    try:
        if not path.exists():
            return _empty()
        if _has_log(path) and not os.access(path.parent, os.W_OK):
            return _copy_with_log(path)
        connection = sqlite3.connect(_uri(path), uri=True, timeout=schema.BUSY_SECONDS)
        if schema.is_blank(connection):
            connection.close()
            return _empty()
        is_older = schema.version_of(connection, str(path)) < schema.SCHEMA_VERSION
        return _upgraded_copy(connection, str(path)) if is_older else connection
    except (OSError, sqlite3.Error) as error:
        raise trouble(path, "a ledger", error) from error


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.TABLES)
    return connection


def _upgraded_copy(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """Returns an older ledger in memory as this version has it; only a writer upgrades the file."""
    copy = sqlite3.connect(":memory:")
    with closing(connection):
        connection.backup(copy)
    schema.upgrade(copy, path)
    return copy


def _uri(path: Path) -> str:
    """Returns how SQLite opens the file to read it.

    A reader of a write-ahead log creates files beside it. Where it may not, and where there is no
    log, nobody writes: the file is immutable.
    """
    is_immutable = not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if is_immutable else "")


def _has_log(path: Path) -> bool:
    """Tells whether a write-ahead log lies beside the file: its writer is alive, or was killed."""
    return path.with_name(f"{path.name}-wal").exists()


def _copy_with_log(path: Path) -> sqlite3.Connection:
    """Returns in memory a ledger whose log nobody may fold in where it lies."""
    with TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            shutil.copyfile(path.with_name(path.name + suffix), Path(folder, path.name + suffix))
        copy = sqlite3.connect(Path(folder, path.name))
        if schema.is_blank(copy):
            copy.close()
            return _empty()
        schema.version_of(copy, str(path))
        return _upgraded_copy(copy, str(path))
