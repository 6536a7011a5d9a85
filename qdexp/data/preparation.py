# pyright: basic
"""From a configuration to latents on disk: makes or reads the clips, encodes, normalises."""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch

from qdexp.config.data_config import DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.fingerprint import fingerprint, inventory_of, weights_sha256
from qdexp.data.hash_index import HashIndex
from qdexp.data.latent_cache import Encoded, write_latents
from qdexp.data.manifest import Manifest, are_whole
from qdexp.data.moving_digits import Split, make_clips, verify_reference
from qdexp.data.pca3d import Pca3d
from qdexp.data.shard import StoredClips, append_clip
from qdexp.data.video_encoding import VideoEncoding, Watch
from qdexp.data.wan import Wan
from qdexp.data.whole_folder import build_once, parts_of

FITTED_CLIPS = 64
"""Training clips, the first ones, whose patches the autoencoder is fitted to."""

_CLIPS_AT_ONCE = 8


def prepare_latents(
    config: DataConfig, folder: Path, *, hashes: HashIndex, watch: Watch
) -> Manifest:
    """Makes sure that `folder` holds the latents of `config`, which are not those of `latents`.

    Raises:
        DataError: The installed libraries make other clips than every other machine, or no video
            has a clip.
        OSError: The disk cannot be written.
    """
    identity = fingerprint(config, hashes)
    parts = parts_of(folder)

    def build(building: Path) -> None:
        with _computing(config):
            if config.kind == "video_folder":
                encoded = _videos(config, parts, hashes, watch)
            else:
                encoded = _made_clips(config, parts, hashes)
            write_latents(building, config=config, fingerprint=identity, encoded=encoded)

    build_once(folder, is_whole=lambda found: are_whole(found, fingerprint=identity), build=build)
    shutil.rmtree(parts, ignore_errors=True)  # another process may be looking in it
    return Manifest.read(folder)


@contextlib.contextmanager
def _computing(config: DataConfig) -> Generator[None]:
    """Lets `pca3d` compute with one thread: their number changes the last bits of latents.

    A network would be too slow; the identity of its latents is that of their inputs.
    """
    before = torch.get_num_threads()
    if config.autoencoder == "pca3d":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _given(config: DataConfig, hashes: HashIndex) -> Wan | None:
    """Returns the autoencoder that is not fitted, if that is what is wanted."""
    if config.autoencoder != "wan":
        return None
    weights = Path(config.autoencoder_path or ".")
    return Wan(folder=weights, sha256=weights_sha256(weights, hashes))


def _videos(config: DataConfig, parts: Path, hashes: HashIndex, watch: Watch) -> Encoded:
    inventory = inventory_of(config, hashes)
    encoding = VideoEncoding(config, inventory, parts, given=_given(config, hashes), watch=watch)
    return encoding.run()


def _made_clips(config: DataConfig, parts: Path, hashes: HashIndex) -> Encoded:
    verify_reference()
    parts.mkdir(exist_ok=True)
    autoencoder = _given(config, hashes)
    if autoencoder is None:
        fitted = make_clips(config, "train", range(min(FITTED_CLIPS, config.num_train_clips)))
        autoencoder = Pca3d.fit(torch.from_numpy(fitted.frames))
    return Encoded(
        autoencoder=autoencoder,
        train=encode_split(config, "train", config.num_train_clips, autoencoder, parts),
        held_out=encode_split(config, "held_out", config.num_eval_clips, autoencoder, parts),
    )


def encode_split(
    config: DataConfig, split: Split, num_clips: int, autoencoder: Autoencoder, parts: Path
) -> StoredClips:
    """Encodes the first `num_clips` clips of a split into a raw file."""
    file = parts / f"{split}.f32"
    labels: list[np.ndarray] = []
    shape: tuple[int, ...] = ()
    with file.open("wb") as out:
        for start in range(0, num_clips, _CLIPS_AT_ONCE):
            clips = make_clips(config, split, range(start, min(start + _CLIPS_AT_ONCE, num_clips)))
            latents = autoencoder.encode(torch.from_numpy(clips.frames).float() / 255)
            for clip in latents.numpy():
                append_clip(out, clip)
            labels.append(clips.labels)
            shape = tuple(latents.shape[1:])
    numbers = np.arange(num_clips)
    return StoredClips(
        shape=shape,
        files=(file,),
        places=np.stack([np.zeros_like(numbers), numbers], axis=1),
        labels=np.concatenate(labels),
        sources=numbers,
    )
