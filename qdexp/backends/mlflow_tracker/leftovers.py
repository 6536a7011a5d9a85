# pyright: basic
"""What a killed driver leaves in a folder of artifacts."""

from pathlib import Path

from mlflow.entities import Run
from mlflow.utils.file_utils import local_file_uri_to_path

_UPLOADING = ".artifact.uploading.*"
"""What MLflow calls a file that it is still copying; it renames it when it is done."""


def remove_half_copied(run: Run) -> None:
    """Removes the artifacts of a run whose copying was not finished; they are copied again.

    Where artifacts are not in a folder of this machine, their store has to know of such things.
    """
    address = run.info.artifact_uri
    if not address or not address.startswith("file:"):
        return
    for leftover in Path(local_file_uri_to_path(address)).glob(_UPLOADING):
        leftover.unlink(missing_ok=True)
