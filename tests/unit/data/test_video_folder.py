"""Which videos a folder has, and what is said of those that cannot be had."""

import os
from pathlib import Path

import pytest

from qdexp.data.hash_index import HashIndex
from qdexp.data.video_folder import take_inventory
from qdexp.errors import DataError


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or path.name)
    return path


def names(folder: Path) -> list[str]:
    return sorted(video.name for video in take_inventory(folder, HashIndex()).videos)


def test_videos_of_every_kind_are_found_at_every_depth(tmp_path: Path) -> None:
    for name in ("a.mp4", "b/c.MKV", "b/d/e.webm", "f.avi", "g.mov", "h.gif", "i.mpg"):
        write(tmp_path / name)
    for name in ("notes.txt", "b/picture.png", "mp4", "._a.mp4"):
        write(tmp_path / name)

    assert names(tmp_path) == ["a.mp4", "b/c.MKV", "b/d/e.webm", "f.avi", "g.mov", "h.gif", "i.mpg"]


def test_names_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    write(tmp_path / "Ein Käfer 虫.mp4")

    assert names(tmp_path) == ["Ein Käfer 虫.mp4"]


def test_a_name_that_is_no_text_can_still_be_printed(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.mp4"
    with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(b"frames")

    (name,) = names(tmp_path)

    assert name.encode() == b"\\xff.mp4"


def test_a_single_file_is_a_folder_of_one(tmp_path: Path) -> None:
    assert names(write(tmp_path / "one.mp4")) == ["one.mp4"]


def test_order_is_that_of_hashes_not_of_names(tmp_path: Path) -> None:
    for name in "abcdef":
        write(tmp_path / f"{name}.mp4", f"content {name}")
    before = [video.sha256 for video in take_inventory(tmp_path, HashIndex()).videos]
    for name in "abcdef":
        (tmp_path / f"{name}.mp4").rename(tmp_path / f"{ord('z') - ord(name)}.mp4")

    after = [video.sha256 for video in take_inventory(tmp_path, HashIndex()).videos]

    assert before == after == sorted(before)


def test_a_second_copy_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", "same")
    write(tmp_path / "b.mp4", "same")

    inventory = take_inventory(tmp_path, HashIndex())

    assert [video.name for video in inventory.videos] == ["a.mp4"]
    assert inventory.notes == ("b.mp4: the same file as a.mp4, left out",)


def test_links_are_followed_and_one_that_leads_back_ends(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "a.mp4")
    folder = tmp_path / "videos"
    write(folder / "b.mp4")
    (folder / "more").symlink_to(elsewhere)
    (folder / "back").symlink_to(folder)

    assert names(folder) == ["b.mp4", "more/a.mp4"]


def test_a_link_to_nothing_is_a_bad_file_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")

    inventory = take_inventory(tmp_path, HashIndex())

    assert inventory.problems == (("gone.mp4", "no such file or directory"),)
    assert len(inventory.videos) == 1


def test_a_folder_below_that_cannot_be_entered_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "closed" / "b.mp4")
    scandir = os.scandir

    def refuse(path: str) -> object:  # permissions bind no administrator, who may run this
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    inventory = take_inventory(tmp_path, HashIndex())

    assert inventory.problems == (("closed/", "permission denied"),)
    assert [video.name for video in inventory.videos] == ["a.mp4"]


def test_a_folder_that_cannot_be_entered_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(DataError, match="that can be read, found permission denied"):
        take_inventory(tmp_path, HashIndex())


def test_a_folder_without_videos_is_refused_with_what_is_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt")

    with pytest.raises(DataError, match=r"expected videos \(.*\.mp4.*\), found none in it"):
        take_inventory(tmp_path, HashIndex())


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such file or directory"):
        take_inventory(tmp_path / "absent", HashIndex())
