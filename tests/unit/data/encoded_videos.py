"""Configurations of folders of videos, and their latents."""

from collections.abc import Callable
from pathlib import Path

from qdexp.config.data_config import DataConfig
from qdexp.data.hash_index import HashIndex
from qdexp.data.manifest import Manifest
from qdexp.data.preparation import prepare_latents

NUM_VIDEOS = 6


def videos_in(folder: Path, **changes: object) -> DataConfig:
    sizes = {"num_frames": 5, "height": 48, "width": 64, "num_train_clips": 1, "num_eval_clips": 1}
    return DataConfig.model_validate(
        {"kind": "video_folder", "path": str(folder)} | sizes | changes
    )


def encode(config: DataConfig, folder: Path, watch: Callable[..., None] | None = None) -> Manifest:
    folder.parent.mkdir(exist_ok=True)
    told = watch or (lambda _: None)
    return prepare_latents(config, folder, hashes=HashIndex(), watch=told)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
