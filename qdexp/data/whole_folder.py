"""A folder that is built once, by one process, and is there whole or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path


def build_once(
    folder: Path, *, is_whole: Callable[[Path], bool], build: Callable[[Path], None]
) -> None:
    """Makes sure that `folder` is whole, building it if it is missing or damaged.

    Concurrent callers wait for the one that builds. A build that is killed leaves a folder under
    another name, which the next build removes.

    Args:
        folder: The folder; its parents are made.
        is_whole: Tells whether a folder, which may not exist, has all that it should.
        build: Fills the empty folder that it is given.
    """
    if is_whole(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if is_whole(folder):  # another process built it while this one waited
            return
        building = folder.with_name(f"{folder.name}.building")
        _remove(building)
        building.mkdir()
        build(building)
        for file in building.iterdir():
            _sync(file)
        _sync(building)
        _remove(folder)
        building.rename(folder)
        _sync(folder.parent)


@contextlib.contextmanager
def _locked(file: Path) -> Generator[None]:
    """Holds the one lock on `file`; the kernel releases it when the process ends, however it does.

    The file stays: removing it would let two processes lock two files of the same name.
    """
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parts_of(folder: Path) -> Path:
    """Returns the folder beside it in which its parts are made; nobody needs it afterwards."""
    return folder.with_name(f"{folder.name}.parts")
