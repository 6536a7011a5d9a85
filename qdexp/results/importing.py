"""The import of another machine's ledger, from where it lies to the files of its trials."""

import zipfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from qdexp.errors import RequestError
from qdexp.results.bundle_reading import Bundle
from qdexp.results.foreign import ForeignLedger
from qdexp.results.ledger import Ledger
from qdexp.results.merging import Merged, merge
from qdexp.results.recorder import Recorder
from qdexp.results.sources import Copied, RunsFolder, Source, copy_files


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did.

    Args:
        origin: Where it was imported from.
        merged: To the ledger.
        copied: To the trials' folders.
    """

    origin: str
    merged: Merged
    copied: Copied


def import_ledger(place: Path, runs: Path, *, with_files: bool) -> Imported:
    """Merges another ledger into that of a runs folder, and copies files that are missing there.

    The ledger is as before or complete, whenever this is killed; the same call again copies the
    files that are still missing.

    Args:
        place: Another runs folder, or a bundle.
        runs: Ours; made if missing.
        with_files: Whether files are copied.

    Raises:
        RequestError: There is nothing to import, or it is ours.
        LedgerInUseError: A driver runs here.
        LedgerError: A ledger cannot be read or written, or a file not copied.
    """
    if place.resolve() == runs.resolve():
        raise RequestError(f"expected another runs folder than {runs}, found the same one")
    with _opened(place) as source, Recorder(runs) as recorder, Ledger(runs) as ours:
        with source.ledger.snapshot(), recorder.transaction() as write:
            merged = merge(write, ours, ForeignLedger(source.ledger, source.origin))
        recorder.set_folders_aside()
        copied = Copied(num_files=0, num_bytes=0)
        if with_files:
            copied = copy_files(source, merged.sharing_files, runs, ours)
    return Imported(origin=source.origin, merged=merged, copied=copied)


@contextmanager
def _opened(place: Path) -> Generator[Source]:
    if zipfile.is_zipfile(place):
        with Bundle(place) as bundle:
            yield bundle
        return
    if place.is_file():
        raise RequestError(
            f"expected a runs folder or a bundle, found the file {place}, which is neither, or "
            "only a part of one"
        )
    folder = RunsFolder(place)
    with closing(folder.ledger):
        yield folder
