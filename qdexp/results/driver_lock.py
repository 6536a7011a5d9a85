"""The lock of a runs folder's one writer: the kernel's, so it ends with its holder."""

import fcntl
import os
import socket
import time
from pathlib import Path

from qdexp.errors import LedgerInUseError

LOCK_FILE = "driver.lock"


def is_in_use(runs: Path) -> bool:
    """Tells whether a driver is writing to the runs folder now."""
    try:
        descriptor = os.open(runs / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, num_tries: int = 5) -> None:
    """Takes the lock; who only looks whether it is held holds it for a moment too."""
    for number in range(num_tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if number == num_tries - 1:
                raise
            time.sleep(0.02)
        else:
            return


def locked(path: Path) -> int:
    """Opens and locks a file, and writes into it who holds it.

    Raises:
        LedgerInUseError: Another process holds it; the message names that.
        OSError: The file cannot be written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        raise LedgerInUseError(
            f"expected a runs folder that no other driver uses, found {path.parent} in use by "
            f"{holder or 'another process'}; wait for it, or choose another with --runs"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def driver_began(runs: Path) -> float | None:
    """Returns when the last driver took the runs folder, seconds since 1970, or None."""
    try:
        return (runs / LOCK_FILE).stat().st_mtime
    except OSError:
        return None
