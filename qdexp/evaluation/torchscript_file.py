"""Networks in TorchScript files, told apart by their content and not by where they are."""

# pyright: basic

import warnings
from pathlib import Path

import torch

from qdexp.config.network_file import check_network_file
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
    check_network_file(field, path, sha256)
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
