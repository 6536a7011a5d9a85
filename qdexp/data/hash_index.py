"""Hashes of files that are remembered: hashing 100 GB of videos at every plan would be minutes.

A file is known by its path, size and time of change. One that changed within the last moments is
not remembered, since it could change again without its time showing it.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, cast

from qdexp.config.file_hash import file_sha256

INDEX = "hashes.json"

_UNSURE_NS = 2_000_000_000
"""The coarsest clock of a file system in use ticks every two seconds."""


class HashIndex:
    """The SHA-256 of files, remembered in one JSON file that only `save` writes.

    Args:
        file: Where hashes are remembered, or None for this process only. A damaged one is as good
            as none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known = _read(file)
        self._new: dict[str, list[Any]] = {}

    def sha256(self, path: Path) -> str:
        """Returns the hash of a file's bytes.

        Raises:
            OSError: It cannot be read.
        """
        found = path.stat()
        name, state = str(path.absolute()), [found.st_size, found.st_mtime_ns]
        known = self._new.get(name) or self._known.get(name)
        if known and known[:2] == state:
            return known[2]
        digest = file_sha256(path)
        if time.time_ns() - found.st_mtime_ns > _UNSURE_NS:
            self._new[name] = [*state, digest]
        return digest

    def save(self) -> None:
        """Writes what was learned, over what others wrote meanwhile.

        Raises:
            OSError: It cannot be written.
        """
        if self._file is None or not self._new:
            return
        self._known = _read(self._file) | self._new
        self._new = {}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self._known))
        temporary.replace(self._file)


def _read(file: Path | None) -> dict[str, list[Any]]:
    content: Any = None
    if file is not None:
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(file.read_bytes())
    if not isinstance(content, dict):
        return {}
    entries = cast("dict[str, Any]", content)
    return {name: entry for name, entry in entries.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, list):
        return False
    values = cast("list[Any]", entry)
    return [type(value) for value in values] == [int, int, str]
