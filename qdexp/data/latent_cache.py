# pyright: basic
"""Latents on disk: safetensors shards and a JSON manifest in one folder, mapped into memory.

Each split is one shard, so that it is one tensor without a copy. Axes: n clips, c channels,
t y x latent positions, b f h w as in `autoencoder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int64
from safetensors.torch import load_file, save
from torch import Tensor

from qdexp.config.data_config import DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.latent_space import LatentSpace, autoencoder_from_plain, per_channel
from qdexp.data.manifest import Manifest, Problem, Source, defining_fields, record_of
from qdexp.data.shard import StoredClips, moments, write_shard

AUTOENCODER = "autoencoder.safetensors"
TRAIN = "train.safetensors"
HELD_OUT = "held_out.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """The clips of both splits as latents.

    Args:
        train: Zero mean and unit deviation in each channel.
        held_out: On the same scale.
        train_labels: The digits in each clip, -1 where there are fewer; videos have none.
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """What becomes a folder of latents.

    Args:
        autoencoder: What made the latents.
        train: The clips to train on.
        held_out: The clips held out.
        sources: The videos that they are from.
        problems: The files that gave no clips, or not all that they should have.
        notes: What else is worth knowing.
    """

    autoencoder: Autoencoder
    train: StoredClips
    held_out: StoredClips
    sources: Sequence[Source] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


def open_latents(folder: Path, data: DataConfig | None = None) -> Latents:
    """Opens prepared latents; the tensors are mapped, so trials on one machine share the memory.

    Args:
        folder: The folder that was prepared.
        data: The configuration that uses them: as many clips as it says, or all of them.

    Raises:
        DataError: The manifest or a shard is missing or damaged.
    """
    manifest = Manifest.read(folder)
    train, held_out = load_file(folder / TRAIN), load_file(folder / HELD_OUT)
    first, others = (data.num_train_clips, data.num_eval_clips) if data else (None, None)
    return Latents(
        train=train["latents"][:first],
        held_out=held_out["latents"][:others],
        train_labels=train["labels"][:first],
        held_out_labels=held_out["labels"][:others],
        train_sources=train["sources"][:first],
        held_out_sources=held_out["sources"][:others],
        space=LatentSpace(
            autoencoder=_autoencoder(manifest, folder, data),
            mean=per_channel(manifest.mean),
            deviation=per_channel(manifest.deviation),
        ),
    )


def write_latents(folder: Path, *, config: DataConfig, fingerprint: str, encoded: Encoded) -> None:
    """Normalises the latents, and writes shards and manifest into `folder`."""
    mean, deviation = moments(encoded.train)
    splits = {TRAIN: encoded.train, HELD_OUT: encoded.held_out}
    for name, split in splits.items():
        write_shard(folder / name, split, mean=mean, deviation=deviation)
    plain = encoded.autoencoder.to_plain()
    names = list(splits)
    if tensors := plain.pop("tensors", None):
        # Through bytes: safetensors' own files can be read by nobody but their owner.
        (folder / AUTOENCODER).write_bytes(save(tensors))
        names.append(AUTOENCODER)
    Manifest(
        fingerprint=fingerprint,
        made_by=defining_fields(config),
        autoencoder=plain,
        mean=mean,
        deviation=deviation,
        train_shape=(len(encoded.train.places), *encoded.train.shape),
        held_out_shape=(len(encoded.held_out.places), *encoded.held_out.shape),
        sources=tuple(encoded.sources),
        problems=tuple(encoded.problems),
        notes=tuple(encoded.notes),
        shards={name: record_of(folder / name) for name in names},
    ).write(folder)


def _autoencoder(manifest: Manifest, folder: Path, data: DataConfig | None) -> Autoencoder:
    plain: dict[str, Any] = dict(manifest.autoencoder)
    if AUTOENCODER in manifest.shards:
        plain["tensors"] = load_file(folder / AUTOENCODER)
    if data and data.autoencoder_path:  # the weights may have moved since
        plain["folder"] = data.autoencoder_path
    return autoencoder_from_plain(plain)
