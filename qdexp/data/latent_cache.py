# pyright: basic
"""Latents on disk: safetensors shards and a JSON manifest in one folder, mapped into memory.

Each split is one shard, so that it is one tensor without a copy. Axes: n clips, c channels,
t y x latent positions, b f h w as in `autoencoder`.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int64
from safetensors.torch import load_file, save
from torch import Tensor

from qdexp.data.latent_space import LatentSpace, autoencoder_from_plain, per_channel
from qdexp.data.manifest import Manifest, record_of
from qdexp.data.pca3d import Pca3d

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
        sources: The number of the video that each clip is from; a made clip is its own.
    """

    latents: Float[Tensor, "n c t y x"]
    labels: Int64[Tensor, "n digits"]
    sources: Int64[Tensor, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """The clips of both splits as latents.

    Args:
        train: Zero mean and unit deviation in each channel.
        held_out: On the same scale.
        train_labels: The digits in each clip, -1 where there are fewer.
        held_out_labels: The same of the held-out clips.
        train_sources: The number of the video that each clip is from; a made clip is its own.
        held_out_sources: The same of the held-out clips: clips of one video are no independent
            replicates.
        space: What they mean.
    """

    train: Float[Tensor, "n c t y x"]
    held_out: Float[Tensor, "m c t y x"]
    train_labels: Int64[Tensor, "n digits"]
    held_out_labels: Int64[Tensor, "m digits"]
    train_sources: Int64[Tensor, " n"]
    held_out_sources: Int64[Tensor, " m"]
    space: LatentSpace


def open_latents(folder: Path) -> Latents:
    """Opens prepared latents; the tensors are mapped, so trials on one machine share the memory.

    Raises:
        DataError: The manifest or a shard is missing or damaged.
    """
    manifest = Manifest.read(folder)
    train, held_out = load_file(folder / TRAIN), load_file(folder / HELD_OUT)
    return Latents(
        train=train["latents"],
        held_out=held_out["latents"],
        train_labels=train["labels"],
        held_out_labels=held_out["labels"],
        train_sources=train["sources"],
        held_out_sources=held_out["sources"],
        space=LatentSpace(
            autoencoder=autoencoder_from_plain(
                {"kind": manifest.autoencoder, "tensors": load_file(folder / AUTOENCODER)}
            ),
            mean=per_channel(manifest.mean),
            deviation=per_channel(manifest.deviation),
        ),
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
        normalised = (split.latents - per_channel(mean)) / per_channel(deviation)
        # Through bytes: safetensors' own files can be read by nobody but their owner.
        tensors = {"latents": normalised, "labels": split.labels, "sources": split.sources}
        (folder / name).write_bytes(save(tensors))
    (folder / AUTOENCODER).write_bytes(save(autoencoder.to_plain()["tensors"]))
    Manifest(
        fingerprint=fingerprint,
        autoencoder="pca3d",
        mean=mean,
        deviation=deviation,
        train_shape=tuple(train.latents.shape),
        held_out_shape=tuple(held_out.latents.shape),
        shards={name: record_of(folder / name) for name in (TRAIN, HELD_OUT, AUTOENCODER)},
    ).write(folder)
