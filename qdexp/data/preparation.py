# pyright: basic
"""From a configuration to latents on disk: makes the clips, fits the autoencoder, encodes."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import torch

from qdexp.config.sections import DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.fingerprint import fingerprint
from qdexp.data.latent_cache import Encoded, write_latents
from qdexp.data.manifest import are_whole
from qdexp.data.moving_digits import Split, make_clips, verify_reference
from qdexp.data.pca3d import Pca3d
from qdexp.data.whole_folder import build_once

FITTED_CLIPS = 64
"""Training clips, the first ones, whose patches the autoencoder is fitted to."""

_CLIPS_AT_ONCE = 8


def prepare_latents(config: DataConfig, folder: Path) -> None:
    """Makes sure that `folder` holds the latents of `config`.

    Raises:
        DataError: The installed libraries make other clips than every other machine.
    """
    identity = fingerprint(config)
    build_once(
        folder,
        is_whole=lambda found: are_whole(found, fingerprint=identity),
        build=lambda building: _build(config, building),
    )


def _build(config: DataConfig, folder: Path) -> None:
    verify_reference()
    fitted = make_clips(config, "train", range(min(FITTED_CLIPS, config.num_train_clips)))
    with _one_thread():
        autoencoder = Pca3d.fit(torch.from_numpy(fitted.frames))
        train = encode_split(config, "train", config.num_train_clips, autoencoder)
        held_out = encode_split(config, "held_out", config.num_eval_clips, autoencoder)
    write_latents(
        folder,
        fingerprint=fingerprint(config),
        autoencoder=autoencoder,
        train=train,
        held_out=held_out,
    )


@contextlib.contextmanager
def _one_thread() -> Generator[None]:
    """Lets torch compute with one thread: their number changes the last bits of latents."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def encode_split(
    config: DataConfig, split: Split, num_clips: int, autoencoder: Autoencoder
) -> Encoded:
    """Returns the first `num_clips` clips of a split as latents, not yet normalised."""
    latents: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    for start in range(0, num_clips, _CLIPS_AT_ONCE):
        clips = make_clips(config, split, range(start, min(start + _CLIPS_AT_ONCE, num_clips)))
        latents.append(autoencoder.encode(torch.from_numpy(clips.frames).float() / 255))
        labels.append(torch.from_numpy(clips.labels))
    return Encoded(
        latents=torch.cat(latents), labels=torch.cat(labels), sources=torch.arange(num_clips)
    )
