"""Where a ledger is imported from: a runs folder, or a bundle."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from qdexp.errors import LedgerError, RequestError
from qdexp.results import schema
from qdexp.results.folders import is_numbered_checkpoint, trial_folder
from qdexp.results.ledger import Ledger

_COPYING = ".importing.tmp"


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a trial somewhere else.

    Args:
        name: Its name, without a folder.
        size: Its bytes.
        open: Opens it to be read.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


class Source(Protocol):
    """What can be imported."""

    @property
    def origin(self) -> str:
        """Where it is, in words."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The ledger there."""
        ...

    def files(self, trial_id: str) -> Iterator[SourceFile]:
        """Yields the files that a trial has there."""
        ...


class RunsFolder:
    """Another runs folder; nothing is written there.

    Args:
        runs: The folder.

    Raises:
        RequestError: It has no ledger.
        LedgerError: Its ledger cannot be read.
    """

    def __init__(self, runs: Path) -> None:
        if not (runs / schema.LEDGER_FILE).is_file():
            raise RequestError(
                f"expected a runs folder or a bundle, found {runs}, which has no "
                f"{schema.LEDGER_FILE}"
            )
        self.origin = str(runs.absolute())
        self.ledger = Ledger(runs)

    def files(self, trial_id: str) -> Iterator[SourceFile]:
        """Yields the files of a trial's folder, but for links and what was being written."""
        folder = trial_folder(self.ledger.runs, trial_id)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_symlink() or not path.is_file() or is_passing(path.name):
                continue
            yield SourceFile(
                name=path.name, size=path.stat().st_size, open=lambda path=path: path.open("rb")
            )


def is_passing(name: str) -> bool:
    """Tells whether a file is one that is being written, or was when its writer was killed."""
    return name.startswith(".") or name.endswith(".tmp")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """How much was copied."""

    num_files: int
    num_bytes: int


def copy_files(source: Source, trial_ids: list[str], runs: Path, ledger: Ledger) -> Copied:
    """Copies the files of trials that are missing here; each appears whole or not at all.

    Checkpoints on the way to the final one are left out where the trial is done.

    Raises:
        LedgerError: A file cannot be copied; the same command again copies the rest.
    """
    num_files = num_bytes = 0
    for trial_id in trial_ids:
        record = ledger.find(trial_id)
        is_done = record is not None and record.is_settled
        for file in source.files(trial_id):
            path = trial_folder(runs, trial_id) / file.name
            if path.exists() or (is_done and is_numbered_checkpoint(file.name)):
                continue
            try:
                _copy(file, path)
            except OSError as error:
                raise LedgerError(
                    f"{path}: expected a file that can be copied from {source.origin}, found: "
                    f"{error}; the ledger is imported: free space or mend permissions, and the "
                    "same command copies what is missing"
                ) from error
            num_files, num_bytes = num_files + 1, num_bytes + file.size
    return Copied(num_files=num_files, num_bytes=num_bytes)


def _copy(file: SourceFile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}{_COPYING}")
    try:
        with file.open() as source, passing.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
            target.flush()
            os.fsync(target.fileno())
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)
