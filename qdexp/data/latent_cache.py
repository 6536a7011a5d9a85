# pyright: basic
"""Latents on disk: safetensors shards and a JSON manifest in one folder, mapped into memory.

Each split is one shard, so that it is one tensor without a copy. Axes: n clips, c channels,
t y x latent positions, b f h w as in `autoencoder`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Float, Int64
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from safetensors.torch import load_file, save
from torch import Tensor

from qdexp.data.autoencoder import Autoencoder
from qdexp.data.fingerprint import canonical_sha256
from qdexp.data.pca3d import Pca3d
from qdexp.errors import DataError

MANIFEST = "manifest.json"
AUTOENCODER = "autoencoder.safetensors"
TRAIN = "train.safetensors"
HELD_OUT = "held_out.safetensors"

_LEAST_DEVIATION = 1e-3
"""A channel that varies less than this (they are whitened: 1 is usual) is not amplified further."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """The clips of one split, encoded.

    Args:
        latents: As the autoencoder makes them.
        labels: The digits in each clip, -1 where there are fewer.
    """

    latents: Float[Tensor, "n c t y x"]
    labels: Int64[Tensor, "n digits"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """The clips of both splits as latents.

    Args:
        train: Zero mean and unit deviation in each channel.
        held_out: On the same scale.
        train_labels: The digits in each clip, -1 where there are fewer.
        held_out_labels: The same of the held-out clips.
        autoencoder: What made them.
        mean: Each channel's mean over the training latents, before normalisation.
        deviation: Each channel's standard deviation over them.
    """

    train: Float[Tensor, "n c t y x"]
    held_out: Float[Tensor, "m c t y x"]
    train_labels: Int64[Tensor, "n digits"]
    held_out_labels: Int64[Tensor, "m digits"]
    autoencoder: Autoencoder
    mean: Float[Tensor, "c 1 1 1"]
    deviation: Float[Tensor, "c 1 1 1"]

    def decode(self, latents: Float[Tensor, "b c t y x"]) -> Float[Tensor, "b 3 f h w"]:
        """Returns the pixels of normalised latents; real clips are in 0..1, nothing is clipped."""
        deviation, mean = self.deviation.to(latents.device), self.mean.to(latents.device)
        return self.autoencoder.decode(latents * deviation + mean)


class ShardRecord(BaseModel):
    """What the bytes of a shard must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a folder of latents holds.

    Args:
        fingerprint: Hash of the inputs that the latents are made of.
        autoencoder: The kind of autoencoder; its hash is its shard's.
        mean: Each channel's mean over the training latents, before normalisation.
        deviation: Each channel's standard deviation over them.
        train_shape: Shape (n, c, t, y, x) of the training latents.
        held_out_shape: Shape of the held-out latents.
        shards: The files by name.
        sha256: Hash of all the rest, empty until it is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    fingerprint: str
    autoencoder: Literal["pca3d"]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    train_shape: tuple[int, ...]
    held_out_shape: tuple[int, ...]
    shards: dict[str, ShardRecord]
    sha256: str = ""

    def sealed(self) -> "Manifest":
        """Returns the same manifest with its hash."""
        return self.model_copy(update={"sha256": self._content_sha256()})

    def _content_sha256(self) -> str:
        return canonical_sha256(self.model_dump(mode="json", exclude={"sha256"}))

    @model_validator(mode="after")
    def _is_undamaged(self) -> Self:
        if self.sha256 and self.sha256 != self._content_sha256():
            raise ValueError("the manifest is not what was written")
        return self


def open_latents(folder: Path) -> Latents:
    """Opens prepared latents; the tensors are mapped, so trials on one machine share the memory.

    Raises:
        DataError: The manifest or a shard is missing or damaged.
    """
    manifest = _read_manifest(folder)
    for name, record in manifest.shards.items():
        found = _size(folder / name)
        if found != record.num_bytes:
            raise DataError(
                f"{folder / name}: expected {record.num_bytes} bytes, found {found}; run the "
                "experiment again, which rebuilds the latents"
            )
    train, held_out = load_file(folder / TRAIN), load_file(folder / HELD_OUT)
    return Latents(
        train=train["latents"],
        held_out=held_out["latents"],
        train_labels=train["labels"],
        held_out_labels=held_out["labels"],
        autoencoder=Pca3d.load(folder / AUTOENCODER),
        mean=_per_channel(manifest.mean),
        deviation=_per_channel(manifest.deviation),
    )


def are_whole(folder: Path, *, fingerprint: str) -> bool:
    """Tells whether `folder` has the latents of these inputs, every byte as it was written."""
    try:
        manifest = _read_manifest(folder)
    except DataError:
        return False
    return manifest.fingerprint == fingerprint and all(
        _size(folder / name) == record.num_bytes and _sha256(folder / name) == record.sha256
        for name, record in manifest.shards.items()
    )


def write_latents(
    folder: Path, *, fingerprint: str, autoencoder: Pca3d, train: Encoded, held_out: Encoded
) -> None:
    """Normalises the latents, and writes shards and manifest into `folder`."""
    positions = (0, 2, 3, 4)
    exact = train.latents.double()
    mean = tuple(exact.mean(positions).tolist())
    deviation = exact.std(positions, correction=0).clamp(min=_LEAST_DEVIATION)
    deviation = tuple(deviation.tolist())
    for name, split in {TRAIN: train, HELD_OUT: held_out}.items():
        normalised = (split.latents - _per_channel(mean)) / _per_channel(deviation)
        # Through bytes: safetensors' own files can be read by nobody but their owner.
        (folder / name).write_bytes(save({"latents": normalised, "labels": split.labels}))
    autoencoder.save(folder / AUTOENCODER)
    manifest = Manifest(
        fingerprint=fingerprint,
        autoencoder="pca3d",
        mean=mean,
        deviation=deviation,
        train_shape=tuple(train.latents.shape),
        held_out_shape=tuple(held_out.latents.shape),
        shards={name: _record(folder / name) for name in (TRAIN, HELD_OUT, AUTOENCODER)},
    )
    (folder / MANIFEST).write_text(manifest.sealed().model_dump_json(indent=2) + "\n")


def _read_manifest(folder: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{folder}: expected latents with a manifest, found {type(error).__name__}; run the "
            "experiment again, which rebuilds the latents"
        ) from error


def _record(file: Path) -> ShardRecord:
    return ShardRecord(num_bytes=_size(file), sha256=_sha256(file))


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _size(file: Path) -> int:
    """Returns a file's size in bytes, -1 if there is no such file."""
    return file.stat().st_size if file.is_file() else -1


def _per_channel(values: tuple[float, ...]) -> Float[Tensor, "c 1 1 1"]:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
