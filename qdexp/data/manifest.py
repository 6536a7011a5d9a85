"""What a folder of latents holds, and whether it still does."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from qdexp.data.fingerprint import canonical_sha256
from qdexp.errors import DataError

MANIFEST = "manifest.json"
_REMEDY = "run the experiment again, which rebuilds the latents"


class ShardRecord(BaseModel):
    """What the bytes of a shard must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a folder of latents holds; c channels, n clips.

    Args:
        fingerprint: Hash of the inputs that the latents are made of.
        autoencoder: The kind of autoencoder; its hash is its shard's.
        mean: Each channel's mean over the training latents, before normalisation.
        deviation: Each channel's standard deviation over them.
        train_shape: Shape (n, c, t, y, x) of the training latents.
        held_out_shape: Shape of the held-out latents.
        shards: The files by name.
        sha256: Hash of all the rest, empty until it is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    fingerprint: str
    autoencoder: Literal["pca3d"]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    train_shape: tuple[int, ...]
    held_out_shape: tuple[int, ...]
    shards: dict[str, ShardRecord]
    sha256: str = ""

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """Reads a folder's manifest.

        Raises:
            DataError: It is missing or damaged, or a shard has not the size that it should.
        """
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(
                f"{folder}: expected latents with a manifest, found {type(error).__name__}; "
                f"{_REMEDY}"
            ) from error
        for name, record in manifest.shards.items():
            found = _size(folder / name)
            if found != record.num_bytes:
                raise DataError(
                    f"{folder / name}: expected {record.num_bytes} bytes, found {found}; {_REMEDY}"
                )
        return manifest

    def write(self, folder: Path) -> None:
        """Writes the manifest, with its hash."""
        sealed = self.model_copy(update={"sha256": self._content_sha256()})
        (folder / MANIFEST).write_text(sealed.model_dump_json(indent=2) + "\n")

    def _content_sha256(self) -> str:
        return canonical_sha256(self.model_dump(mode="json", exclude={"sha256"}))

    @model_validator(mode="after")
    def _is_undamaged(self) -> "Manifest":
        if self.sha256 and self.sha256 != self._content_sha256():
            raise ValueError("the manifest is not what was written")
        return self


def are_whole(folder: Path, *, fingerprint: str) -> bool:
    """Tells whether `folder` has the latents of these inputs, every byte as it was written."""
    try:
        manifest = Manifest.read(folder)
    except DataError:
        return False
    return manifest.fingerprint == fingerprint and all(
        _sha256(folder / name) == record.sha256 for name, record in manifest.shards.items()
    )


def record_of(file: Path) -> ShardRecord:
    """Returns what the bytes of a file are."""
    return ShardRecord(num_bytes=_size(file), sha256=_sha256(file))


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _size(file: Path) -> int:
    """Returns a file's size in bytes, -1 if there is no such file."""
    return file.stat().st_size if file.is_file() else -1
