"""A folder is whole or not there, however many processes build it."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qdexp.data.whole_folder import build_once

BUILDER = """
import sys
from pathlib import Path
from qdexp.data.whole_folder import build_once

def build(folder):
    (folder / "half").write_text("half")
    print("building", flush=True)
    sys.stdin.readline()
    (folder / "complete").write_text(sys.argv[2])

print("called", flush=True)
build_once(Path(sys.argv[1]), is_whole=lambda f: (f / "complete").exists(), build=build)
print("done", flush=True)
"""


def is_complete(folder: Path) -> bool:
    return (folder / "complete").exists()


def complete(folder: Path) -> None:
    (folder / "complete").write_text("here")


def start_builder(folder: Path, name: str) -> subprocess.Popen[str]:
    """Starts a process that builds `folder`, and waits for a line on stdin in the middle of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "called\n"
    return process


def test_of_two_processes_one_builds_and_the_other_waits_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with start_builder(folder, "first") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "building\n"
        with start_builder(folder, "second") as second:
            with (tmp_path / "folder.lock").open("a") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert not folder.exists()
            assert first.communicate("go on\n")[0] == "done\n"
            assert second.communicate("go on\n")[0] == "done\n"

    assert (folder / "complete").read_text() == "first"


def test_what_a_killed_build_left_is_never_used_and_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with start_builder(folder, "killed") as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "building\n"
        killed.send_signal(signal.SIGKILL)
    assert not folder.exists()
    assert (tmp_path / "folder.building" / "half").exists()

    build_once(folder, is_whole=is_complete, build=complete)

    assert [file.name for file in folder.iterdir()] == ["complete"]
    assert not (tmp_path / "folder.building").exists()


def test_a_build_that_fails_leaves_no_folder_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        build_once(tmp_path / "folder", is_whole=is_complete, build=fail)
    assert not (tmp_path / "folder").exists()

    build_once(tmp_path / "folder", is_whole=is_complete, build=complete)
    assert is_complete(tmp_path / "folder")


def test_a_damaged_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "damaged").touch()

    build_once(folder, is_whole=is_complete, build=complete)

    assert [file.name for file in folder.iterdir()] == ["complete"]


def test_a_whole_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "complete").write_text("earlier")

    build_once(folder, is_whole=is_complete, build=complete)

    assert (folder / "complete").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
