"""Videos become latents: every clip, each video on one side, the same bytes each time."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from qdexp.config.data_config import DataConfig
from qdexp.data import video_encoding
from qdexp.data.latent_cache import open_latents
from qdexp.data.manifest import Manifest
from qdexp.data.video_reader import VideoReader
from qdexp.errors import DataError
from tests.unit.data.conftest import MakeVideo
from tests.unit.data.encoded_videos import NUM_VIDEOS, contents, encode, videos_in

if TYPE_CHECKING:
    from qdexp.data.video_encoding import EncodingProgress


def test_every_clip_of_every_video_is_encoded(prepared: Path) -> None:
    manifest, latents = Manifest.read(prepared), open_latents(prepared)

    counts = {s.name: s.num_train_clips + s.num_held_out_clips for s in manifest.sources}
    assert counts == {f"{number}.mp4": 2 + number for number in range(NUM_VIDEOS)}
    assert latents.train.shape[1:] == (16, 2, 6, 8)
    assert len(latents.train) + len(latents.held_out) == 27
    assert latents.train_labels.shape == (len(latents.train), 0)
    assert not list(prepared.parent.glob("*.parts"))


def test_no_video_is_on_both_sides_and_clips_know_their_video(prepared: Path) -> None:
    manifest, latents = Manifest.read(prepared), open_latents(prepared)

    train, held_out = (set(s.tolist()) for s in (latents.train_sources, latents.held_out_sources))
    assert train | held_out == set(range(NUM_VIDEOS))
    assert not train & held_out
    for number, source in enumerate(manifest.sources):
        assert (latents.train_sources == number).sum() == source.num_train_clips
        assert (latents.held_out_sources == number).sum() == source.num_held_out_clips


def test_the_first_clips_are_of_different_videos(prepared: Path) -> None:
    sources = open_latents(prepared).train_sources

    num_videos = len(set(sources.tolist()))
    assert len(set(sources[:num_videos].tolist())) == num_videos


def test_latents_decode_to_the_clips_of_their_video(prepared: Path, videos: Path) -> None:
    latents, manifest = open_latents(prepared), Manifest.read(prepared)
    decoded = latents.space.decode(latents.held_out)

    for pixels, source in zip(decoded, latents.held_out_sources.tolist(), strict=True):
        reader = VideoReader(videos / manifest.sources[source].name, videos_in(videos))
        errors = [
            (pixels - torch.from_numpy(clip).float() / 255).square().mean()
            for clip in reader.clips()
        ]
        assert min(errors) < 0.01
        assert sorted(errors)[1] > 2 * min(errors), "the clips of a video differ"


def test_training_latents_have_zero_mean_and_unit_deviation(prepared: Path) -> None:
    train = open_latents(prepared).train.double()

    assert train.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-5
    assert (train.std(dim=(0, 2, 3, 4), correction=0) - 1).abs().max() < 1e-5


def test_as_many_clips_are_opened_as_the_configuration_says(prepared: Path, videos: Path) -> None:
    config = videos_in(videos, num_train_clips=7, num_eval_clips=2)

    some, everything = open_latents(prepared, config), open_latents(prepared)

    assert len(some.train) == len(some.train_sources) == len(some.train_labels) == 7
    assert len(some.held_out) == len(some.held_out_sources) == len(some.held_out_labels) == 2
    assert torch.equal(some.train, everything.train[:7])


def test_the_same_videos_give_the_same_bytes(videos: Path, prepared: Path, tmp_path: Path) -> None:
    encode(videos_in(videos), tmp_path / "again")

    assert contents(tmp_path / "again") == contents(prepared)


def test_progress_rises_to_the_whole(videos: Path, tmp_path: Path) -> None:
    heard: list[EncodingProgress] = []

    encode(videos_in(videos), tmp_path / "latents", heard.append)

    shares = [progress.share for progress in heard]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert [progress.num_clips for progress in heard] == list(range(1, 28))


def test_the_last_clips_of_an_only_video_are_held_out_and_that_is_said(
    videos: Path, tmp_path: Path
) -> None:
    config = videos_in(videos / "5.mp4", overlap=2, held_out_share=0.3)

    manifest = encode(config, tmp_path / "latents")

    (source,) = manifest.sources
    # 35 frames are 11 clips, 3 apart: 3 held out, and the one before shares frames with them
    assert (source.num_train_clips, source.num_held_out_clips) == (7, 3)
    assert "the only video, so its last clips are held out (3, with 7" in manifest.notes[0]
    assert set(open_latents(tmp_path / "latents").held_out_sources.tolist()) == {0}


def test_an_only_video_with_one_clip_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    video = make_video(tmp_path / "videos" / "a.mp4", num_frames=9)

    with pytest.raises(DataError, match="enough clips to hold some out, found 1: add videos"):
        encode(videos_in(video), tmp_path / "latents")


def test_an_only_video_with_two_clips_has_one_for_each_side(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    video = make_video(tmp_path / "videos" / "a.mp4", num_frames=10)

    manifest = encode(videos_in(video), tmp_path / "latents")

    assert (manifest.train_shape[0], manifest.held_out_shape[0]) == (1, 1)


def test_another_video_in_the_folder_moves_no_other_to_the_other_side(
    videos: Path, tmp_path: Path, make_video: MakeVideo
) -> None:
    folder = shutil.copytree(videos, tmp_path / "videos")
    before = encode(videos_in(folder, held_out_share=0.4), tmp_path / "before")
    make_video(folder / "new.mp4", seed=12)

    after = encode(videos_in(folder, held_out_share=0.4), tmp_path / "after")

    sides = {source.name: source.num_held_out_clips > 0 for source in after.sources}
    assert {source.name: source.num_held_out_clips > 0 for source in before.sources}.items() <= (
        sides.items()
    )


def test_components_are_fitted_to_training_videos_only(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    class Spy(VideoReader):
        def __init__(
            self, path: Path, config: DataConfig, *, start: float = 0.0, stop: float = 1.0
        ) -> None:
            read.append(path.name)
            super().__init__(path, config, start=start, stop=stop)

    monkeypatch.setattr(video_encoding, "VideoReader", Spy)

    manifest = encode(videos_in(videos), tmp_path / "latents")

    held_out = {source.name for source in manifest.sources if source.num_held_out_clips}
    assert read
    assert not held_out & set(read)


def test_decoded_held_out_clips_resemble_the_videos(prepared: Path) -> None:
    latents = open_latents(prepared)

    decoded = latents.space.decode(latents.held_out).clamp(0, 1).numpy()

    assert 0.1 < np.std(decoded) < 0.5
