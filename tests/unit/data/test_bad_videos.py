"""Bad videos are listed with their reasons, and the others are encoded without them."""

import shutil
from pathlib import Path

import pytest

from qdexp.data.dataset import LatentDataset
from qdexp.data.hash_index import HashIndex
from qdexp.data.manifest import MANIFEST
from qdexp.data.video_folder import Inventory, take_inventory
from qdexp.errors import DataError
from tests.unit.data.conftest import MakeVideo
from tests.unit.data.encoded_videos import NUM_VIDEOS, contents, encode, videos_in


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


def test_problems_and_notes_are_told_every_time(bad_folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    dataset = LatentDataset(tmp_path / "cache", say=told.append)

    for _ in range(2):
        told.clear()
        dataset.prepare(videos_in(bad_folder), tmp_path / "cache")

        assert sum(line.startswith("bad video: ") for line in told) == 4
        assert any(line.startswith("note: varying.mp4") for line in told)


def _inventory(folder: Path) -> Inventory:
    return take_inventory(folder, HashIndex())
