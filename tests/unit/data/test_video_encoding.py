import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qdexp.config.data_config import DataConfig
from qdexp.data import video_encoding
from qdexp.data.dataset import LatentDataset
from qdexp.data.hash_index import INDEX, HashIndex
from qdexp.data.latent_cache import TRAIN, open_latents
from qdexp.data.manifest import MANIFEST, Manifest
from qdexp.data.preparation import prepare_latents
from qdexp.data.video_encoding import EncodingProgress
from qdexp.data.video_folder import Inventory, take_inventory
from qdexp.data.video_reader import VideoReader
from qdexp.errors import DataError
from tests.unit.data.conftest import MakeVideo

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


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    """Six videos with 2 to 7 clips of 5 frames each, last changed long ago."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        file = make_video(folder / f"{number}.mp4", num_frames=10 + 5 * number, seed=number)
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture(scope="module")
def prepared(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "latents"
    encode(videos_in(videos), folder)
    return folder


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


def test_progress_rises_to_the_whole(videos: Path, tmp_path: Path) -> None:
    heard: list[EncodingProgress] = []

    encode(videos_in(videos), tmp_path / "latents", heard.append)

    shares = [progress.share for progress in heard]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert [progress.num_clips for progress in heard] == list(range(1, 28))


@pytest.fixture
def bad_folder(videos: Path, tmp_path: Path, make_video: MakeVideo) -> Path:
    """Good videos beside everything that can be wrong with one."""
    folder = shutil.copytree(videos, tmp_path / "videos")
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    broken = make_video(folder / "broken.mkv", num_frames=200, seed=7)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    make_video(folder / "still.mp4", num_frames=1, seed=8)
    make_video(folder / "im Hof, früh 虫" / "a b.mp4", seed=9)
    make_video(folder / "phone.mp4", rotation=90, seed=10)
    times = [*range(0, 1000, 100), *range(1000, 1500, 50)]
    make_video(folder / "varying.mp4", num_frames=20, times=times, seed=11)
    shutil.copy(folder / "0.mp4", folder / "copy.mp4")
    return folder


def test_bad_videos_are_listed_and_the_rest_is_encoded(bad_folder: Path, tmp_path: Path) -> None:
    manifest = encode(videos_in(bad_folder), tmp_path / "latents")

    problems = {problem.name: problem.problem for problem in manifest.problems}
    assert list(problems) == ["broken.mkv", "still.mp4", "text.mp4", "zero.mp4"]
    assert "breaks off after" in problems["broken.mkv"]
    assert "clips kept" in problems["broken.mkv"]
    assert problems["still.mp4"] == "expected at least 5 frames for one clip, found 1"
    assert problems["zero.mp4"].startswith("expected a video, found 0 bytes")
    names = {source.name for source in manifest.sources}
    good = {"im Hof, früh 虫/a b.mp4", "phone.mp4", "varying.mp4", "broken.mkv"}
    assert names == good | {f"{number}.mp4" for number in range(NUM_VIDEOS)}
    notes = "\n".join(manifest.notes)
    assert "copy.mp4: the same file as 0.mp4, left out" in notes
    assert "varying.mp4: the frame rate varies, from 10 to 20 a second" in notes


def test_only_bad_videos_are_refused_with_every_reason(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mkv"):
        (tmp_path / "videos" / name).write_text(f"no video {name}")

    with pytest.raises(DataError) as refusal:
        encode(videos_in(tmp_path / "videos"), tmp_path / "latents")

    message = str(refusal.value)
    assert message.startswith("expected a video with at least one clip, found none:")
    assert "a.mp4: expected a video, found 14 bytes" in message
    assert "b.mkv: " in message
    assert not (tmp_path / "latents").exists()


def test_a_bad_video_alone_on_its_side_hands_it_to_a_good_one(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in (0, 1, 2):
        shutil.copy(videos / f"{number}.mp4", folder)
    least = min(video.sha256 for video in _inventory(folder).videos)
    attempt = 0
    while min(video.sha256 for video in _inventory(folder).videos) == least:
        (folder / "bad.mp4").write_text(f"no video {attempt}")  # until it is the first by hash
        attempt += 1

    manifest = encode(videos_in(folder, held_out_share=1e-9), tmp_path / "latents")

    assert [problem.name for problem in manifest.problems] == ["bad.mp4"]
    held_out = [source for source in manifest.sources if source.num_held_out_clips]
    assert [source.sha256 for source in held_out] == [least]
    assert manifest.train_shape[0] + manifest.held_out_shape[0] == 2 + 3 + 4


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


def test_a_video_that_bad_ones_leave_alone_is_encoded_as_an_only_one(
    videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(videos / "5.mp4", folder)
    encode(videos_in(folder), tmp_path / "alone")
    (folder / "bad.mp4").write_text("no video")

    manifest = encode(videos_in(folder), tmp_path / "beside")

    assert [problem.name for problem in manifest.problems] == ["bad.mp4"]
    alone, beside = contents(tmp_path / "alone"), contents(tmp_path / "beside")
    assert all(alone[name] == beside[name] for name in alone if name != MANIFEST)


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


# What follows goes through the dataset, as run, plan and train do.


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


def test_problems_and_notes_are_told_every_time(bad_folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    dataset = LatentDataset(tmp_path / "cache", say=told.append)

    for _ in range(2):
        told.clear()
        dataset.prepare(videos_in(bad_folder), tmp_path / "cache")

        assert sum(line.startswith("bad video: ") for line in told) == 4
        assert any(line.startswith("note: varying.mp4") for line in told)


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


def _inventory(folder: Path) -> Inventory:
    return take_inventory(folder, HashIndex())


def test_decoded_held_out_clips_resemble_the_videos(prepared: Path) -> None:
    latents = open_latents(prepared)

    decoded = latents.space.decode(latents.held_out).clamp(0, 1).numpy()

    assert 0.1 < np.std(decoded) < 0.5
