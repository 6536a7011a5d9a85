"""What happens first where a trial arrives: its files are there, or it says what is missing."""

import platform
import shutil
from collections.abc import Generator
from contextlib import suppress

from qdexp.backends.fsspec_storage import FsspecStorage
from qdexp.errors import RequestError
from qdexp.execution.attempt import trainable_reports
from qdexp.execution.journey import located, travelling
from qdexp.execution.ports import Assignment


def settled(assignment: Assignment) -> Assignment:
    """Returns an assignment with this node's folders; the trial's is empty if files travel."""
    here = located(assignment)
    if here.storage is not None:
        shutil.rmtree(here.workspace.folder, ignore_errors=True)  # of an attempt killed here
        with suppress(OSError):  # whoever fetches the files says what is wrong
            here.workspace.folder.mkdir(parents=True)
    return here


def arrived_reports(assignment: Assignment) -> Generator[object, None, None]:
    """Yields what the trainable reports, with its files from the storage if there is one.

    Raises:
        RequestError: This node does not see the runs folder.
    """
    if assignment.storage is not None:
        storage = FsspecStorage(assignment.storage)
        yield from travelling(assignment, storage, trainable_reports)
        return
    above = assignment.workspace.folder.parent
    if not above.is_dir():  # a node that joined the cluster after the driver had looked
        raise RequestError(
            f"expected the runs folder on {platform.node()}, found no {above}: share it with this "
            "node, or let files travel through --storage"
        )
    yield from trainable_reports(assignment)
