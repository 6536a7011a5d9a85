"""A video is hashed once, and again when it may have changed."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from qdexp.data.hash_index import HashIndex

LONG_AGO = 1_600_000_000


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"frames")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_the_hash_is_that_of_the_bytes(video: Path) -> None:
    assert HashIndex().sha256(video) == hashlib.sha256(b"frames").hexdigest()


def test_nothing_is_written_before_it_is_saved(video: Path, tmp_path: Path) -> None:
    HashIndex(tmp_path / "cache" / "hashes.json").sha256(video)

    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_a_file_that_is_known_is_not_read_again(video: Path, tmp_path: Path) -> None:
    index = tmp_path / "hashes.json"
    first = HashIndex(index)
    known = first.sha256(video)
    first.save()
    video.write_bytes(b"FRAMES")  # of the same size, and with its time put back
    os.utime(video, (LONG_AGO, LONG_AGO))

    assert HashIndex(index).sha256(video) == known


@pytest.mark.parametrize(("content", "when"), [(b"longer frames", 0), (b"FRAMES", 1)])
def test_another_size_or_time_is_hashed_again(
    video: Path, tmp_path: Path, content: bytes, when: int
) -> None:
    index = HashIndex(tmp_path / "hashes.json")
    index.sha256(video)
    index.save()
    video.write_bytes(content)
    os.utime(video, (LONG_AGO + when, LONG_AGO + when))

    assert index.sha256(video) == hashlib.sha256(content).hexdigest()


def test_a_file_that_has_just_changed_is_not_remembered(video: Path, tmp_path: Path) -> None:
    os.utime(video)
    index = HashIndex(tmp_path / "hashes.json")
    index.sha256(video)
    index.save()

    assert not (tmp_path / "hashes.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "not JSON", '{"video.mp4": [1]}', '{"a": 5}'])
def test_a_damaged_index_is_as_good_as_none(video: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "hashes.json"
    file.write_text(content)
    index = HashIndex(file)

    assert index.sha256(video) == hashlib.sha256(b"frames").hexdigest()
    index.save()
    assert list(json.loads(file.read_text())) == [str(video)]


def test_what_others_learned_meanwhile_is_kept(video: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"more")
    os.utime(other, (LONG_AGO, LONG_AGO))
    first, second = (HashIndex(tmp_path / "hashes.json") for _ in range(2))
    first.sha256(video)
    second.sha256(other)

    first.save()
    second.save()

    assert sorted(json.loads((tmp_path / "hashes.json").read_text())) == [str(other), str(video)]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HashIndex().sha256(tmp_path / "absent.mp4")
