"""A trained network as its checkpoint alone describes it: no data, no training, ready to sample."""

# pyright: basic

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration, field_names
from qdexp.config.file_hash import file_sha256
from qdexp.data.latent_space import LatentSpace
from qdexp.errors import CheckpointError, ConfigurationError
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.training import checkpoint
from qdexp.training.training_state import result_tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a checkpoint holds for those who only sample.

    Args:
        configuration: What it was trained with.
        step: Optimizer steps done.
        sha256: Of the file.
        model: The network, with averaged weights where there are averages, on the CPU.
        space: What its latents mean.
    """

    configuration: Configuration
    step: int
    sha256: str
    model: QuantizedDiffusionPredictor
    space: LatentSpace


def open_trained(path: Path) -> Trained:
    """Reads a checkpoint.

    Raises:
        CheckpointError: It is missing, damaged, no checkpoint, or of another version.
    """
    found = checkpoint.read(path)
    configuration = _configuration(path, found.configuration)
    with torch.device("meta"):  # no initial values: all are in the checkpoint
        model = QuantizedDiffusionPredictor(configuration.model)
    tensors = result_tensors(found.state)
    _check_fits(path, model, tensors)
    model.load_state_dict(tensors, assign=True)
    space = LatentSpace.from_plain(found.latent_space)
    channels = configuration.model.latent_channels
    if len(space.mean) != channels:
        raise CheckpointError(
            f"{path.name}: expected an autoencoder of {channels} channels, found one of "
            f"{len(space.mean)}"
        )
    return Trained(
        configuration=configuration,
        step=found.step,
        sha256=file_sha256(path),
        model=model.requires_grad_(False),
        space=space,
    )


def _configuration(path: Path, fields: dict[str, Any]) -> Configuration:
    """Returns the configuration; fields that are newer than the checkpoint have their defaults."""
    unknown = sorted(set(fields) - set(field_names()))
    try:
        return Configuration().replace(fields)
    except ConfigurationError as error:
        found = f"the unknown fields {', '.join(unknown)}" if unknown else str(error)
        raise CheckpointError(
            f"{path.name}: expected a configuration of this version of qdexp, found {found}; use "
            "the version that trained it"
        ) from None


def _check_fits(path: Path, model: QuantizedDiffusionPredictor, tensors: dict[str, Tensor]) -> None:
    """Accepts tensors that are all that the network has.

    Raises:
        CheckpointError: They are another network's.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"{path.name}: expected the network of its own configuration, with {name} of shape "
                f"{expected.get(name, 'none')}, found {found.get(name, 'none')}: it was changed "
                "after training, or trained by another version of qdexp"
            )
