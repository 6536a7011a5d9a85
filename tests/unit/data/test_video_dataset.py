"""Videos through the dataset, as run, plan and train use them: fingerprints, clips, the cache."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from qdexp.data.dataset import LatentDataset
from qdexp.data.hash_index import INDEX
from qdexp.data.manifest import Manifest
from qdexp.errors import DataError
from tests.unit.data.conftest import MakeVideo
from tests.unit.data.encoded_videos import NUM_VIDEOS, videos_in


def test_where_the_videos_are_changes_no_fingerprint(videos: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(videos, tmp_path / "elsewhere")

    fingerprints = {
        LatentDataset().fingerprint(videos_in(folder)) for folder in (videos, elsewhere)
    }

    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    "change",
    [{"num_frames": 9}, {"height": 56}, {"fps": 5.0}, {"stride": 2}, {"overlap": 1},
     {"fit": "letterbox"}, {"held_out_share": 0.2}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_how_videos_are_read_enters_the_fingerprint(videos: Path, change: dict[str, Any]) -> None:
    dataset = LatentDataset()

    assert dataset.fingerprint(videos_in(videos, **change)) != dataset.fingerprint(
        videos_in(videos)
    )


@pytest.mark.parametrize("change", [{"num_train_clips": 5}, {"num_eval_clips": 2}, {"seed": 3}])
def test_what_is_used_of_the_clips_needs_no_other_encoding(
    videos: Path, change: dict[str, Any]
) -> None:
    dataset = LatentDataset()

    assert dataset.fingerprint(videos_in(videos, **change)) == dataset.fingerprint(
        videos_in(videos)
    )


def test_a_changed_video_is_other_data(videos: Path, tmp_path: Path, make_video: MakeVideo) -> None:
    folder = shutil.copytree(videos, tmp_path / "videos")
    before = LatentDataset().fingerprint(videos_in(folder))
    make_video(folder / "3.mp4", seed=99)

    assert LatentDataset().fingerprint(videos_in(folder)) != before


def test_a_fingerprint_writes_nothing_and_prepare_remembers_hashes(
    videos: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    dataset = LatentDataset(cache)

    dataset.fingerprint(videos_in(videos))
    assert not cache.exists()

    folder = dataset.prepare(videos_in(videos), cache)
    assert folder.parent == cache / "latents"
    known = json.loads((cache / INDEX).read_text())
    assert sorted(Path(name).name for name in known) == [f"{n}.mp4" for n in range(NUM_VIDEOS)]


def test_more_clips_than_there_are_are_refused_with_their_number(
    videos: Path, prepared: Path, tmp_path: Path
) -> None:
    there = Manifest.read(prepared).train_shape[0]
    config = videos_in(videos, num_train_clips=1000)
    dataset = LatentDataset(tmp_path)

    with pytest.raises(DataError, match=rf"at most {there}, as many as there are, found 1000"):
        dataset.prepare(config, tmp_path)
    with pytest.raises(DataError, match=rf"set data.num_train_clips={there}"):
        dataset.fingerprint(config)  # a plan knows it from then on
