"""A folder of latents that `qdexp encode` wrote is used where it is, or refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from qdexp.config.data_config import DataConfig
from qdexp.data.dataset import LatentDataset
from qdexp.data.latent_cache import TRAIN
from qdexp.errors import DataError
from tests.unit.data.encoded_videos import videos_in


def latents_in(folder: Path, **changes: object) -> DataConfig:
    return videos_in(folder, kind="latents", **changes)


def test_encoded_latents_are_used_where_they_are(prepared: Path, tmp_path: Path) -> None:
    dataset = LatentDataset(tmp_path)

    assert dataset.prepare(latents_in(prepared), tmp_path) == prepared
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_of_latents_is_that_of_their_content(
    prepared: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(prepared, tmp_path / "copy")

    fingerprints = {LatentDataset().fingerprint(latents_in(each)) for each in (prepared, copy)}

    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"num_frames": 9}, "found 9 where they have data.num_frames=5: set that"),
        (
            {"height": 64, "width": 32},
            "found 64, 32 where they have data.height=48, data.width=64: set those",
        ),
        ({"fps": 5.0}, "found 5.0 where they have data.fps=null"),
        ({"autoencoder": "wan"}, "found wan where they have data.autoencoder=pca3d"),
        ({"num_eval_clips": 500}, "found 500: set data.num_eval_clips="),
    ],
)
def test_latents_of_other_clips_are_refused_with_what_to_set(
    prepared: Path, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DataError) as refusal:
        LatentDataset().fingerprint(latents_in(prepared, **change))

    assert problem in str(refusal.value)


def test_damaged_latents_are_refused_and_not_overwritten(prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "latents")
    shard = bytearray((folder / TRAIN).read_bytes())
    shard[-1] ^= 1
    (folder / TRAIN).write_bytes(shard)

    with pytest.raises(DataError, match="expected the bytes that were written, found others"):
        LatentDataset().prepare(latents_in(folder), tmp_path)
    assert (folder / TRAIN).read_bytes() == shard


def test_a_folder_that_is_no_latents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such folder"):
        LatentDataset().fingerprint(latents_in(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"found no manifest.json in it"):
        LatentDataset().fingerprint(latents_in(tmp_path))
