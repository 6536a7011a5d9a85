"""An encoding that was interrupted or damaged goes on to the same bytes."""

import shutil
from pathlib import Path

import pytest

from qdexp.data.latent_cache import TRAIN
from qdexp.data.video_encoding import EncodingProgress
from tests.unit.data.encoded_videos import contents, encode, videos_in


def test_a_damaged_shard_is_found_and_encoded_again(
    videos: Path, prepared: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "latents")
    shard = bytearray((folder / TRAIN).read_bytes())
    shard[len(shard) // 2] ^= 1
    (folder / TRAIN).write_bytes(shard)

    encode(videos_in(videos), folder)

    assert contents(folder) == contents(prepared)


def test_an_interrupted_encoding_goes_on_with_the_video_that_it_was_at(
    videos: Path, prepared: Path, tmp_path: Path
) -> None:
    heard: list[EncodingProgress] = []

    def interrupt_at_the_tenth(progress: EncodingProgress) -> None:
        heard.append(progress)
        if len(heard) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(videos_in(videos), tmp_path / "latents", interrupt_at_the_tenth)
    assert not (tmp_path / "latents").exists()
    interrupted_at = heard[-1].name

    heard.clear()
    encode(videos_in(videos), tmp_path / "latents", heard.append)

    assert heard[0].name == interrupted_at
    assert len(heard) < 27
    assert heard[0].num_clips == 1
    assert heard[0].own_share < heard[0].share
    assert contents(tmp_path / "latents") == contents(prepared)
    assert not (tmp_path / "latents.parts").exists()


def test_a_raw_file_that_was_cut_is_encoded_again(
    videos: Path, prepared: Path, tmp_path: Path
) -> None:
    def interrupt_late(progress: EncodingProgress) -> None:
        if progress.num_clips == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(videos_in(videos), tmp_path / "latents", interrupt_late)
    (record, *_) = sorted((tmp_path / "latents.parts").rglob("*.json"))
    raw = record.with_suffix(".f32")
    raw.write_bytes(raw.read_bytes()[:-4])

    encode(videos_in(videos), tmp_path / "latents")

    assert contents(tmp_path / "latents") == contents(prepared)
