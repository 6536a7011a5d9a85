"""What identifies the data, apart from what makes them: planning must load nothing heavy."""

from pathlib import Path
from typing import Any

from qdexp.config.data_config import DataConfig
from qdexp.data.canonical import canonical_sha256
from qdexp.data.hash_index import HashIndex
from qdexp.data.manifest import MANIFEST, Manifest, defining_fields
from qdexp.data.video_folder import Inventory, holds_videos, take_inventory
from qdexp.errors import DataError

FRAMES_SHA256 = "51eeb3dc6dc1279a17fafc452e5006d1109be03dee66105e7306a926f291e36e"
"""SHA-256 of the digit images and of the reference clips made from them; `prepare` verifies it."""

PCA3D_VERSION = 1
"""Raised whenever `pca3d` makes other latents of the same clips."""

WAN_VERSION = 1
"""Raised whenever `wan` makes other latents of the same clips and weights."""

READING_VERSION = 1
"""Raised whenever other clips are cut of the same videos, or others are held out."""

FORMAT_VERSION = 2
"""Raised whenever a folder of latents is laid out differently: 2 has the clips' sources."""


def fingerprint(config: DataConfig, hashes: HashIndex) -> str:
    """Returns the hash of all that the latents are made of, as 64 hexadecimal digits.

    Raises:
        DataError: Videos, latents or weights are not where they should be, or not what they should
            be.
    """
    if config.kind == "latents":
        return latents_fingerprint(config)
    if config.kind == "video_folder":
        return videos_fingerprint(config, inventory_of(config, hashes), hashes)
    made_of = {"frames_sha256": FRAMES_SHA256, "seed": config.seed}
    made_of |= {"clips": [config.num_train_clips, config.num_eval_clips]}
    return canonical_sha256(_of_any_kind(config, hashes) | made_of)


def inventory_of(config: DataConfig, hashes: HashIndex) -> Inventory:
    """Returns the videos of a configuration's folder.

    Raises:
        DataError: There are none.
    """
    try:
        return take_inventory(Path(config.path or "."), hashes)
    except DataError as error:
        raise DataError(f"data.path: {error}") from error


def videos_fingerprint(config: DataConfig, inventory: Inventory, hashes: HashIndex) -> str:
    """Returns the fingerprint of latents of these videos: of all their clips, however many.

    Raises:
        DataError: The autoencoder's weights are not there.
    """
    videos = [[video.name, video.sha256] for video in inventory.videos]
    made_of = {"videos": videos, "reading_version": READING_VERSION}
    return canonical_sha256(_of_any_kind(config, hashes) | made_of)


def latents_fingerprint(config: DataConfig) -> str:
    """Returns the fingerprint of latents that are there; clips must be what the manifest says.

    Raises:
        DataError: They are missing or damaged, or are other or fewer clips.
    """
    manifest = given_manifest(config)
    manifest.check_fits(config, Path(config.path or "."))
    return canonical_sha256({"kind": "latents", "manifest": manifest.sha256})


def given_manifest(config: DataConfig) -> Manifest:
    """Returns the manifest of latents that are there.

    Raises:
        DataError: They are missing or damaged.
    """
    folder = Path(config.path or ".")
    if (folder / MANIFEST).exists():
        try:
            return Manifest.read(folder)
        except DataError as error:
            raise DataError(f"data.path: {error}") from error
    if holds_videos(folder):
        found = "videos; did you mean data.kind: video_folder?"
    else:
        nothing = f"no {MANIFEST} in it" if folder.is_dir() else "no such folder"
        found = f"{nothing}: set the folder that qdexp encode wrote"
    raise DataError(f"data.path: {folder}: expected latents with a manifest, found {found}")


def weights_sha256(folder: Path, hashes: HashIndex) -> str:
    """Returns the hash of an autoencoder's configuration and weights, whatever the folder's name.

    Raises:
        DataError: They are not there, or cannot be read.
    """
    names = sorted(path.name for path in folder.glob("*.safetensors*"))
    if not (folder / "config.json").is_file() or not names:
        raise DataError(
            f"{folder}: expected AutoencoderKLWan's config.json and safetensors files, found "
            f"{_what_is_there(folder)}; data.autoencoder_path is the folder 'vae' of a Wan "
            "model in diffusers' layout"
        )
    try:
        return canonical_sha256(
            {name: hashes.sha256(folder / name) for name in ("config.json", *names)}
        )
    except OSError as error:
        raise DataError(f"{folder}: expected weights that can be read, found {error}") from error


def _of_any_kind(config: DataConfig, hashes: HashIndex) -> dict[str, Any]:
    autoencoder: dict[str, Any] = {"version": PCA3D_VERSION}
    if config.autoencoder == "wan":
        weights = weights_sha256(Path(config.autoencoder_path or "."), hashes)
        autoencoder = {"version": WAN_VERSION, "weights_sha256": weights}
    return {
        "kind": config.kind,
        "clips_are": defining_fields(config),
        "autoencoder": autoencoder,
        "format": FORMAT_VERSION,
    }


def _what_is_there(folder: Path) -> str:
    if not folder.is_dir():
        return "no folder"
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "") if names else "nothing"
