"""Files with networks that measure: told apart by their content, and checked before a run."""

from pathlib import Path

from qdexp.config.file_hash import file_sha256
from qdexp.config.sample_metrics import I3D_SHA256, WEIGHTS
from qdexp.config.sections import EvaluationConfig
from qdexp.errors import ConfigurationError


def check_network_files(evaluation: EvaluationConfig) -> None:
    """Accepts an evaluation whose networks' files, where they are given, are those that it names.

    Raises:
        ConfigurationError: A file is not there, or is another one.
    """
    if not evaluation.num_samples:
        return
    for what in ("backbone", "classifier"):
        path, sha256 = (getattr(evaluation, f"{what}_{end}") for end in ("path", "sha256"))
        if getattr(evaluation, what) in WEIGHTS and path is not None:
            check_network_file(f"evaluation.{what}", Path(path), sha256 or I3D_SHA256)


def check_network_file(field: str, path: Path, sha256: str) -> None:
    """Accepts the file that a hash names.

    Args:
        field: The configuration field that names the network, for messages.
        path: The file.
        sha256: Of its content.

    Raises:
        ConfigurationError: There is no such file, or it is another one.
    """
    if not path.is_file():
        raise ConfigurationError(f"{field}_path: expected a TorchScript file, found none at {path}")
    found = file_sha256(path)
    if found != sha256:
        raise ConfigurationError(
            f"{field}_path: expected a file with SHA-256 {sha256}, found {found} at {path}: get "
            f"the right file, or set {field}_sha256 to measure by this one under its own name"
        )
