"""The videos in a folder, with their hashes; importing this loads nothing heavy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qdexp.data.hash_index import HashIndex
from qdexp.errors import DataError

SUFFIXES = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """A file that should be a video.

    Args:
        name: Its path inside the folder, as text that can be printed.
        path: Where it is.
        num_bytes: Its size.
        sha256: The hash of its bytes.
    """

    name: str
    path: Path
    num_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What a folder has.

    Args:
        videos: Each content once, ordered by hash.
        problems: What could not be read, and why, by name.
        notes: What is worth knowing.
    """

    videos: tuple[VideoFile, ...]
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def take_inventory(folder: Path, hashes: HashIndex) -> Inventory:
    """Returns the videos below a folder, or the one video that `folder` is.

    Raises:
        DataError: There is no such folder, it cannot be read, or it has no videos.
    """
    problems: list[tuple[str, str]] = []
    found: dict[str, VideoFile] = {}
    notes: list[str] = []
    paths = sorted(_video_paths(folder, problems))
    for path in paths:
        name = _printable(path.relative_to(folder) if path != folder else Path(path.name))
        try:
            file = VideoFile(
                name=name,
                path=path,
                num_bytes=path.stat().st_size,
                sha256=hashes.sha256(path),
            )
        except OSError as error:
            problems.append((name, _reason(error)))
            continue
        if file.sha256 in found:
            notes.append(f"{name}: the same file as {found[file.sha256].name}, left out")
        else:
            found[file.sha256] = file
    if not paths and not problems:
        raise DataError(
            f"{folder}: expected videos ({', '.join(SUFFIXES)}), found none in it or below it"
        )
    videos = tuple(found[sha256] for sha256 in sorted(found))
    return Inventory(videos=videos, problems=tuple(problems), notes=tuple(notes))


def holds_videos(folder: Path) -> bool:
    """Tells whether there are videos below a folder, or it is one; their bytes are not read."""
    try:
        return any(_is_video_name(path.name) for path in _video_paths(folder, []))
    except DataError:
        return False


def _video_paths(folder: Path, problems: list[tuple[str, str]]) -> Iterator[Path]:
    """Yields the videos; what cannot be entered below the folder becomes a problem.

    Raises:
        DataError: The folder itself is not there or cannot be entered.
    """
    try:
        if folder.is_file():
            yield folder
            return
        os.scandir(folder).close()
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder of videos that can be read, found {_reason(error)}"
        ) from error
    seen: set[tuple[int, int]] = set()

    def note(error: OSError) -> None:
        where = Path(error.filename)
        problems.append((f"{_printable(where.relative_to(folder))}/", _reason(error)))

    for here, folders, names in os.walk(folder, onerror=note, followlinks=True):
        state = Path(here).stat()
        if (state.st_dev, state.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders.sort()
        yield from (Path(here, name) for name in names if _is_video_name(name))


def _is_video_name(name: str) -> bool:
    return not name.startswith("._") and Path(name).suffix.lower() in SUFFIXES


def _printable(path: Path) -> str:
    """Returns a path as text that every file and terminal takes; names can be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
