"""Latents in their folder: normalised, mapped from the file, and refused when damaged."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from qdexp.config.data_config import DataConfig
from qdexp.data.hash_index import HashIndex
from qdexp.data.latent_cache import HELD_OUT, TRAIN, open_latents
from qdexp.data.manifest import MANIFEST, are_whole
from qdexp.data.moving_digits import make_clips
from qdexp.data.preparation import prepare_latents
from qdexp.errors import DataError

CONFIG = DataConfig(num_train_clips=40, num_eval_clips=6, num_frames=5, height=32, width=40)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "latents"
    prepare_latents(CONFIG, folder, hashes=HashIndex(), watch=lambda _: None)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(prepared, tmp_path / "latents")


def test_training_latents_have_zero_mean_and_unit_deviation_in_each_channel(folder: Path) -> None:
    train = open_latents(folder).train.double()

    assert train.shape == (40, 16, 2, 4, 5)
    assert train.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-5
    assert (train.std(dim=(0, 2, 3, 4), correction=0) - 1).abs().max() < 1e-5


def test_decoded_latents_are_what_the_autoencoder_makes_of_the_clips(folder: Path) -> None:
    latents = open_latents(folder)
    clips = make_clips(CONFIG, "held_out", range(6))
    pixels = torch.from_numpy(clips.frames).float() / 255

    decoded = latents.space.decode(latents.held_out)

    direct = latents.space.autoencoder.decode(latents.space.autoencoder.encode(pixels))
    torch.testing.assert_close(decoded, direct, atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.held_out_labels, torch.from_numpy(clips.labels))


def test_labels_belong_to_their_clips(folder: Path) -> None:
    latents = open_latents(folder)

    expected = make_clips(CONFIG, "train", range(40)).labels

    assert torch.equal(latents.train_labels, torch.from_numpy(expected))


def test_a_made_clip_is_its_own_source(folder: Path) -> None:
    latents = open_latents(folder)

    assert latents.train_sources.tolist() == list(range(40))
    assert latents.held_out_sources.tolist() == list(range(6))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_opened_latents_are_mapped_from_the_file(folder: Path) -> None:
    latents = open_latents(folder)

    maps = Path("/proc/self/maps").read_text()

    assert latents.train.is_contiguous()
    assert str(folder / TRAIN) in maps


def test_writing_into_opened_latents_leaves_the_file_as_it_was(folder: Path) -> None:
    before = open_latents(folder).train.clone()

    open_latents(folder).train.zero_()

    assert torch.equal(open_latents(folder).train, before)


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected latents with a manifest"):
        open_latents(tmp_path / "absent")


def test_a_manifest_with_another_number_in_it_is_not_used(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["mean"][3] += 0.5
    (folder / MANIFEST).write_text(json.dumps(content))

    with pytest.raises(DataError, match="run the experiment again"):
        open_latents(folder)


def test_a_cut_shard_is_not_opened(folder: Path) -> None:
    shard = folder / HELD_OUT
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(DataError, match=f"expected {size} bytes, found {size - 1}"):
        open_latents(folder)


def test_latents_of_other_inputs_are_not_whole(folder: Path) -> None:
    fingerprint = json.loads((folder / MANIFEST).read_text())["fingerprint"]

    assert are_whole(folder, fingerprint=fingerprint)
    assert not are_whole(folder, fingerprint="0" * 64)
