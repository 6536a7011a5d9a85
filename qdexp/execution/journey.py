"""The way of a trial's files to a worker that does not see the driver's folders, and back.

The storage is a place of transit: the runs folder stays the truth. What a trial needs is put there
before it starts, its worker fetches it into a scratch folder and puts there each new file, and the
driver takes them back, and out of the storage, when the trial ends or when it was interrupted.

Under the storage's folder: ``trials/<id>/`` what a running trial's folder holds, ``checkpoints/``
what others begin with, ``cache/`` latents, which stay since their names say what is in them.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from qdexp.execution.ports import Assignment, Workspace
from qdexp.execution.storage import Storage
from qdexp.execution.trial_log import LOG_FILE

SCRATCH = "QDEXP_SCRATCH"
"""The variable that names, on each node, where scratch folders are made."""

_WHOLE = "whole"
"""A file beside stored latents, written last: all of them are there."""


def scratch_folder(uri: str) -> Path:
    """Returns this node's scratch folder for what travels through a storage."""
    above = os.environ.get(SCRATCH) or tempfile.gettempdir()
    return Path(above).absolute() / f"qdexp-{hashlib.sha256(uri.encode()).hexdigest()[:12]}"


def located(assignment: Assignment) -> Assignment:
    """Returns an assignment with this node's folders: the same where all see the driver's."""
    if assignment.storage is None:
        return assignment
    scratch, former = scratch_folder(assignment.storage), assignment.workspace
    start_from, teacher = former.start_from, former.teacher
    workspace = Workspace(
        folder=scratch / _trial(former),
        latents=former.latents and scratch / _cache(assignment),
        start_from=scratch / _checkpoint(start_from) if start_from else None,
        teacher=scratch / _checkpoint(teacher) if teacher else None,
    )
    return replace(assignment, workspace=workspace)


def hand_over(assignment: Assignment, storage: Storage) -> None:
    """Puts into the storage what a trial begins with, from the driver's folders."""
    workspace = assignment.workspace
    storage.remove(_trial(workspace))
    for file in _files(workspace.folder):
        storage.put(file, f"{_trial(workspace)}/{file.relative_to(workspace.folder).as_posix()}")
    for checkpoint in (workspace.start_from, workspace.teacher):
        if checkpoint:
            storage.put(checkpoint, _checkpoint(checkpoint))
    _hand_over_latents(assignment, storage)


def bring_back(folder: Path, storage: Storage) -> None:
    """Moves a trial's files from the storage into the driver's folder of that trial."""
    name = f"trials/{folder.name}"
    stored = storage.sizes(name)
    for file in stored:
        storage.get(f"{name}/{file}", folder / file)
    if stored:
        for file in folder.glob("checkpoint_step_*.pt"):  # as in the worker: the last two are kept
            if file.name not in stored:
                file.unlink()
    storage.remove(name)


class Luggage:
    """The files of one trial in a worker: fetched, sent as they appear, and gone at the end.

    Args:
        assignment: Located on this node.
        storage: Where they come from and go to.
    """

    def __init__(self, assignment: Assignment, storage: Storage) -> None:
        self._workspace = assignment.workspace
        self._latents = _cache(assignment)
        self._storage = storage
        self._sent: dict[str, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Fetches what the trial begins with."""
        workspace = self._workspace
        workspace.folder.mkdir(parents=True, exist_ok=True)
        for name in self._storage.sizes(_trial(workspace)):
            if name == LOG_FILE:
                self._fetch_log()
            else:
                self._storage.get(f"{_trial(workspace)}/{name}", workspace.folder / name)
        self._sent = self._present()
        for checkpoint in (workspace.start_from, workspace.teacher):
            if checkpoint and not checkpoint.exists():
                self._storage.get(_checkpoint(checkpoint), checkpoint)
        if workspace.latents:
            _fetch_latents(workspace.latents, self._latents, self._storage)

    def _fetch_log(self) -> None:
        """Puts the log of earlier attempts before what this one has in its own, which is open."""
        log = self._workspace.folder / LOG_FILE
        earlier = log.with_name(f".{LOG_FILE}.tmp")
        self._storage.get(f"{_trial(self._workspace)}/{LOG_FILE}", earlier)
        begun = log.read_bytes() if log.exists() else b""
        with log.open("r+b" if begun else "wb") as file:
            file.write(earlier.read_bytes() + begun)
        earlier.unlink()

    def send(self) -> None:
        """Stores what is new or changed in the trial's folder, then removes what is gone from it.

        In this order, so that a checkpoint is always there.
        """
        present = self._present()
        for name, stamp in present.items():
            if self._sent.get(name) != stamp:
                self._storage.put(
                    self._workspace.folder / name, f"{_trial(self._workspace)}/{name}"
                )
        for name in self._sent.keys() - present.keys():
            self._storage.remove(f"{_trial(self._workspace)}/{name}")
        self._sent = present

    def leave(self) -> None:
        """Removes the trial's folder; latents stay for the next trial."""
        shutil.rmtree(self._workspace.folder, ignore_errors=True)

    def _present(self) -> dict[str, tuple[int, int]]:
        folder = self._workspace.folder
        found: dict[str, tuple[int, int]] = {}
        for file in _files(folder):
            with suppress(FileNotFoundError):
                status = file.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                found[file.relative_to(folder).as_posix()] = stamp
        return found


def travelling(
    assignment: Assignment,
    storage: Storage,
    source: Callable[[Assignment], Generator[object, None, None]],
) -> Generator[object, None, None]:
    """Yields what `source` reports; its files are stored before each report is handed on."""
    luggage = Luggage(assignment, storage)
    luggage.fetch()
    try:
        with closing(source(assignment)) as reports:
            for report in reports:
                luggage.send()
                yield report
    finally:
        luggage.send()  # closing saved a checkpoint
        luggage.leave()


def _trial(workspace: Workspace) -> str:
    return f"trials/{workspace.folder.name}"


def _cache(assignment: Assignment) -> str:
    """Returns the name of a trial's latents, which says what is in them."""
    return f"cache/{hashlib.sha256(assignment.trial.data_fingerprint.encode()).hexdigest()[:16]}"


def _checkpoint(path: Path) -> str:
    return f"checkpoints/{path.parent.name}/{path.name}"


def _files(folder: Path) -> Sequence[Path]:
    """Returns the finished files in a folder."""
    return [each for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix != ".tmp"]


def _hand_over_latents(assignment: Assignment, storage: Storage) -> None:
    latents, name = assignment.workspace.latents, _cache(assignment)
    if not latents or not latents.exists() or _WHOLE in storage.sizes(name):
        return
    for file in _files(latents):
        storage.put(file, f"{name}/{file.relative_to(latents).as_posix()}")
    with tempfile.NamedTemporaryFile() as empty:
        storage.put(Path(empty.name), f"{name}/{_WHOLE}")


def _fetch_latents(latents: Path, name: str, storage: Storage) -> None:
    """Fetches latents that are not on this node; of workers that do so at once the first counts."""
    if latents.exists():
        return
    latents.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=latents.parent))
    try:
        for file in storage.sizes(name):
            storage.get(f"{name}/{file}", partial / file)
        with suppress(OSError):
            partial.rename(latents)
        if not latents.exists():
            raise FileNotFoundError(f"{latents} could not be made")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
