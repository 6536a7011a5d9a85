"""diffusers' own AutoencoderKLWan, small and with random weights."""

import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from qdexp.config.data_config import DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.dataset import LatentDataset
from qdexp.data.fingerprint import weights_sha256
from qdexp.data.hash_index import HashIndex
from qdexp.data.latent_cache import open_latents
from qdexp.data.latent_space import LatentSpace, autoencoder_from_plain
from qdexp.data.moving_digits import make_clips
from qdexp.data.wan import Wan
from qdexp.errors import DataError
from tests.unit.data.conftest import MakeVideo


def make_weights(folder: Path, *, seed: int = 0, z_dim: int = 16) -> None:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    torch.manual_seed(seed)
    network = AutoencoderKLWan(base_dim=4, z_dim=z_dim, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    network.save_pretrained(str(folder))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wan")
    make_weights(folder)
    return folder


@pytest.fixture(scope="module")
def wan(weights: Path) -> Wan:
    return Wan(folder=weights, sha256=weights_sha256(weights, HashIndex()))


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.from_numpy(make_clips(DataConfig(), "train", range(2)).frames).float() / 255


def test_seventeen_frames_of_64_are_five_latents_of_8(wan: Wan, pixels: Tensor) -> None:
    latents = wan.encode(pixels)

    assert isinstance(wan, Autoencoder)
    assert latents.shape == (2, 16, 5, 8, 8)
    assert latents.dtype == torch.float32
    assert wan.decode(latents).shape == pixels.shape


def test_latents_are_the_posterior_s_mode_of_pixels_from_minus_one_to_one(
    wan: Wan, weights: Path, pixels: Tensor
) -> None:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    with warnings.catch_warnings():
        network: Any = AutoencoderKLWan.from_pretrained(str(weights), low_cpu_mem_usage=False)
    with torch.no_grad():
        expected = network.encode(pixels[:1] * 2 - 1).latent_dist.mode()
        shown = (network.decode(expected).sample + 1) / 2

    torch.testing.assert_close(wan.encode(pixels[:1]), expected, atol=0, rtol=0)
    torch.testing.assert_close(wan.decode(expected), shown, atol=0, rtol=0)


def test_a_clip_s_latents_do_not_depend_on_those_beside(wan: Wan, pixels: Tensor) -> None:
    assert torch.equal(wan.encode(pixels)[1:], wan.encode(pixels[1:]))


def test_sixteen_frames_are_refused_since_the_network_would_drop_some(
    wan: Wan, pixels: Tensor
) -> None:
    with pytest.raises(DataError, match=r"1 \+ 4k frames, found 16; take 13 or 17"):
        wan.encode(pixels[:, :, :16])


def test_it_is_what_it_said_of_itself(wan: Wan, pixels: Tensor) -> None:
    plain = wan.to_plain()

    again = autoencoder_from_plain(plain)

    assert plain.keys() == {"kind", "folder", "sha256"}, "no weights in every checkpoint"
    assert torch.equal(again.encode(pixels[:1]), wan.encode(pixels[:1]))


def test_other_weights_in_its_place_are_refused_with_both_hashes(
    wan: Wan, tmp_path: Path, pixels: Tensor
) -> None:
    make_weights(tmp_path / "other", seed=1)
    other = Wan(folder=tmp_path / "other", sha256=wan.sha256)

    with pytest.raises(DataError, match=f"with SHA-256 {wan.sha256}, found [0-9a-f]{{64}}"):
        other.encode(pixels)


def test_weights_that_are_gone_are_refused_with_what_is_looked_for(
    wan: Wan, tmp_path: Path
) -> None:
    gone = Wan(folder=tmp_path / "gone", sha256=wan.sha256)

    with pytest.raises(DataError, match=r"config.json and safetensors files, found no folder"):
        gone.decode(torch.zeros(1, 16, 1, 4, 4))


def test_a_network_with_other_latents_is_refused(tmp_path: Path, pixels: Tensor) -> None:
    make_weights(tmp_path, z_dim=8)
    other = Wan(folder=tmp_path, sha256=weights_sha256(tmp_path, HashIndex()))

    with pytest.raises(DataError, match=r"of \(16, 4, 8\), as Wan 2.1 has, found \(8, 4, 8\)"):
        other.encode(pixels)


def test_without_diffusers_the_extra_is_named(
    wan: Wan, monkeypatch: pytest.MonkeyPatch, pixels: Tensor
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers.models.autoencoders.autoencoder_kl_wan", None)
    fresh = Wan(folder=wan.folder, sha256=wan.sha256)

    with pytest.raises(DataError, match=r"pip install 'qdexp\[wan\]', or take pca3d"):
        fresh.encode(pixels)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        make_video(folder / f"{number}.mp4", num_frames=10, seed=number)
    return folder


def config(videos: Path, weights: Path, **changes: object) -> DataConfig:
    fields = {
        "kind": "video_folder", "path": str(videos), "num_frames": 5, "height": 32, "width": 32,
        "num_train_clips": 1, "num_eval_clips": 1, "autoencoder": "wan",
        "autoencoder_path": str(weights),
    }  # fmt: skip
    return DataConfig.model_validate(fields | changes)


def test_videos_are_encoded_and_the_latents_say_whose_they_are(
    videos: Path, weights: Path, tmp_path: Path
) -> None:
    folder = LatentDataset().prepare(config(videos, weights), tmp_path)

    latents = open_latents(folder)
    assert latents.train.shape[1:] == (16, 2, 4, 4)
    assert latents.space.autoencoder.to_plain()["folder"] == str(weights)
    decoded = LatentSpace.from_plain(latents.space.to_plain()).decode(latents.held_out)
    assert decoded.shape[1:] == (3, 5, 32, 32)
    assert torch.equal(decoded, latents.space.decode(latents.held_out))


def test_made_clips_are_encoded_too(weights: Path, tmp_path: Path) -> None:
    made = DataConfig(
        num_train_clips=2, num_eval_clips=1, num_frames=5, height=32, width=32,
        autoencoder="wan", autoencoder_path=str(weights),
    )  # fmt: skip

    folder = LatentDataset().prepare(made, tmp_path)

    assert open_latents(folder).train.shape == (2, 16, 2, 4, 4)


def test_weights_decide_the_fingerprint_and_their_place_does_not(
    videos: Path, weights: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(weights, tmp_path / "copy")
    make_weights(tmp_path / "other", seed=1)
    dataset = LatentDataset()

    own, same, other = (
        dataset.fingerprint(config(videos, folder))
        for folder in (weights, copy, tmp_path / "other")
    )

    assert own == same != other


def test_weights_that_moved_are_found_by_the_configuration(
    videos: Path, weights: Path, tmp_path: Path
) -> None:
    first = shutil.copytree(weights, tmp_path / "first")
    folder = LatentDataset().prepare(config(videos, first), tmp_path)
    first.rename(tmp_path / "second")
    moved = config(folder, tmp_path / "second", kind="latents")

    latents = open_latents(LatentDataset().prepare(moved, tmp_path), moved)

    assert latents.space.decode(latents.held_out).shape[1:] == (3, 5, 32, 32)
