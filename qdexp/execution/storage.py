"""What files travel through between a driver and workers that share no folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """Files by name, with ``/`` between folders. Whatever it raises is an OSError."""

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Returns the bytes of every file under a folder, by its name below it; empty if none."""
        ...

    def put(self, file: Path, name: str) -> None:
        """Stores a file; who reads that name sees the former content or all of the new one."""
        ...

    def get(self, name: str, file: Path) -> None:
        """Fetches a file, which appears under its path with all of its content."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all in it; what is not there is removed already."""
        ...
