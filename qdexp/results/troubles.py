"""What is wrong with a ledger's file, in words that say what to do."""

import errno
import sqlite3
from pathlib import Path

from qdexp.errors import LedgerError
from qdexp.results.schema import BUSY_SECONDS

_KEPT = "then give the same command again: what is recorded is kept"

_REMEDIES = {
    sqlite3.SQLITE_BUSY: f"another program held it locked for {BUSY_SECONDS} s: close what has it "
    f"open, such as a database browser or a backup, {_KEPT}",
    sqlite3.SQLITE_FULL: f"the disk is full: free space, {_KEPT}",
    sqlite3.SQLITE_IOERR: f"the disk takes no more, or fails: free space, {_KEPT}",
    sqlite3.SQLITE_READONLY: "it may not be written: mend its permissions and its folder's, or "
    "choose another folder with --runs",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is damaged, or no ledger",
}
_REMEDIES[sqlite3.SQLITE_LOCKED] = _REMEDIES[sqlite3.SQLITE_BUSY]
_REMEDIES[sqlite3.SQLITE_CANTOPEN] = _REMEDIES[sqlite3.SQLITE_READONLY]

_RESTORE = (
    "put it aside and an earlier copy in its place; what a bundle or another machine has comes "
    "back by `qdexp import`, and `sqlite3 FILE .recover` may save the rest"
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def trouble(path: Path, expected: str, error: Exception) -> LedgerError:
    """Returns the error that says what is wrong with a ledger and what to do.

    Args:
        path: The ledger's file.
        expected: What it should have been, such as ``a writable ledger``.
        error: What SQLite, the system or the reading of a row found.
    """
    found = f"{path}: expected {expected}, found: {error}"
    if isinstance(error, OSError):
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code = sqlite3.SQLITE_FULL if is_full else sqlite3.SQLITE_READONLY
        return LedgerError(f"{found}; {_REMEDIES[code]}")
    if not isinstance(error, sqlite3.Error):  # a row that makes no sense
        return LedgerError(f"{found}; the file is damaged: {_RESTORE}")
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None  # the rest says where it happened
    remedy = _REMEDIES.get(primary, "") if primary is not None else ""
    if primary in _DAMAGED:
        remedy = f"{remedy}: {_RESTORE}"
    return LedgerError(f"{found}; {remedy}" if remedy else found)
