"""What a folder of latents holds, and whether it still does."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from qdexp.config.data_config import READING_FIELDS, DataConfig
from qdexp.config.file_hash import file_sha256
from qdexp.data.canonical import canonical_sha256
from qdexp.errors import DataError

MANIFEST = "manifest.json"
_REMEDY = "run the experiment again, which rebuilds the latents, or qdexp encode, which wrote them"

DEFINING_FIELDS = ("num_frames", "height", "width", *READING_FIELDS, "autoencoder")
"""Fields of the configuration that say what clips and latents are."""


class ShardRecord(BaseModel):
    """What the bytes of a shard must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_bytes: int
    sha256: str


class Source(BaseModel):
    """A video; its number, by which its clips are known, is its place in the manifest's list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    num_train_clips: int
    num_held_out_clips: int


class Problem(BaseModel):
    """A file that could not be used, or not to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


class Manifest(BaseModel):
    """What a folder of latents holds; c channels, n clips.

    Args:
        fingerprint: Hash of the inputs that the latents are made of.
        made_by: The `DEFINING_FIELDS` of the configuration that they were made by.
        autoencoder: What the autoencoder says of itself, but for tensors: they are in a shard.
        mean: Each channel's mean over the training latents, before normalisation.
        deviation: Each channel's standard deviation over them.
        train_shape: Shape (n, c, t, y, x) of the training latents.
        held_out_shape: Shape of the held-out latents.
        sources: The videos that clips are from; none where clips are made.
        problems: The files that gave no clips, or not all that they should have.
        notes: What else is worth knowing.
        shards: The files by name.
        sha256: Hash of all the rest, empty until it is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    fingerprint: str
    made_by: dict[str, Any]
    autoencoder: dict[str, str]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    train_shape: tuple[int, ...]
    held_out_shape: tuple[int, ...]
    sources: tuple[Source, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    shards: dict[str, ShardRecord]
    sha256: str = ""

    @staticmethod
    def read(folder: Path) -> "Manifest":
        """Reads a folder's manifest.

        Raises:
            DataError: It is missing or damaged, or a shard has not the size that it should.
        """
        manifest = Manifest.read_alone(folder)
        for name, record in manifest.shards.items():
            found = _size(folder / name)
            if found != record.num_bytes:
                raise DataError(
                    f"{folder / name}: expected {record.num_bytes} bytes, found {found}; {_REMEDY}"
                )
        return manifest

    @staticmethod
    def read_alone(folder: Path) -> "Manifest":
        """Reads a folder's manifest without looking at the shards.

        Raises:
            DataError: It is missing or damaged.
        """
        try:
            return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            found = f"no {MANIFEST} in it" if folder.is_dir() else "no such folder"
        except (OSError, ValidationError) as error:
            found = f"a damaged {MANIFEST} ({type(error).__name__})"
        raise DataError(f"{folder}: expected latents with a manifest, found {found}; {_REMEDY}")

    def write(self, folder: Path) -> None:
        """Writes the manifest, with its hash."""
        sealed = self.model_copy(update={"sha256": self._content_sha256()})
        (folder / MANIFEST).write_text(sealed.model_dump_json(indent=2) + "\n")

    @property
    def data_section(self) -> dict[str, Any]:
        """The fields that a configuration needs to use all of these latents."""
        return {
            "num_train_clips": self.train_shape[0],
            "num_eval_clips": self.held_out_shape[0],
            **self.made_by,
        }

    def check_fits(self, config: DataConfig, folder: Path) -> None:
        """Accepts a configuration whose clips are the first ones of these.

        Raises:
            DataError: They are other clips, or fewer; the message has the values to set.
        """
        differing = {
            name: value for name, value in self.made_by.items() if getattr(config, name) != value
        }
        if differing:
            expected = ", ".join(
                f"data.{name}={_shown(value)}" for name, value in differing.items()
            )
            found = ", ".join(_shown(getattr(config, name)) for name in differing)
            raise DataError(
                f"{folder}: expected a configuration of the clips that these latents are of, found "
                f"{found} where they have {expected}: set "
                f"{'that' if len(differing) == 1 else 'those'}"
            )
        for field, num_clips in (
            ("num_train_clips", self.train_shape[0]),
            ("num_eval_clips", self.held_out_shape[0]),
        ):
            if getattr(config, field) > num_clips:
                raise DataError(
                    f"{folder}: expected data.{field} of at most {num_clips}, as many as there are,"
                    f" found {getattr(config, field)}: set data.{field}={num_clips}{_more(config)}"
                )

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
    return manifest.fingerprint == fingerprint and damaged_shard(folder, manifest) is None


def damaged_shard(folder: Path, manifest: Manifest) -> str | None:
    """Returns the name of a shard whose bytes are not what was written, if there is one."""
    for name, record in manifest.shards.items():
        if file_sha256(folder / name) != record.sha256:
            return name
    return None


def record_of(file: Path) -> ShardRecord:
    """Returns what the bytes of a file are."""
    return ShardRecord(num_bytes=_size(file), sha256=file_sha256(file))


def defining_fields(config: DataConfig) -> dict[str, Any]:
    """Returns what says which clips and latents a configuration means, as plain JSON values."""
    fields = config.model_dump(mode="json")
    return {name: fields[name] for name in DEFINING_FIELDS}


def _more(config: DataConfig) -> str:
    """Returns how there could be more clips."""
    if config.kind != "video_folder":
        return ""
    return ", or have more by a higher data.overlap or a lower data.num_frames"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _size(file: Path) -> int:
    """Returns a file's size in bytes, -1 if there is no such file."""
    return file.stat().st_size if file.is_file() else -1
