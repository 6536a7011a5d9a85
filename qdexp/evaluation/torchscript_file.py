"""Networks in TorchScript files, told apart by their content and not by where they are."""

# pyright: basic

import hashlib
import warnings
from pathlib import Path

import torch

from qdexp.errors import ConfigurationError


def open_network(field: str, path: Path, sha256: str, device: torch.device) -> torch.nn.Module:
    """Returns the network in a TorchScript file, for evaluation, once its hash is verified.

    Args:
        field: The configuration field that names the network, for messages.
        path: The file.
        sha256: Of its content.
        device: Where the network shall be.

    Raises:
        ConfigurationError: There is no such file, it is another one, or it holds no network.
    """
    if not path.is_file():
        raise ConfigurationError(f"{field}_path: expected a TorchScript file, found none at {path}")
    found = file_sha256(path)
    if found != sha256:
        raise ConfigurationError(
            f"{field}_path: expected a file with SHA-256 {sha256}, found {found} at {path}: get "
            f"the right file, or set {field}_sha256 to measure by this one under its own name"
        )
    try:
        with warnings.catch_warnings():
            # PyTorch would rather see no TorchScript, but published networks are in such files.
            warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
            network = torch.jit.load(path, map_location=device)
    except RuntimeError as error:
        problem = str(error).strip().splitlines()[0]
        raise ConfigurationError(
            f"{field}_path: expected a TorchScript file, found another kind at {path} ({problem}): "
            "save the network by torch.jit.script(network).save(path)"
        ) from None
    return network.eval()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
