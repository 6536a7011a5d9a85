"""The folder that samples are written into: all of them or none, and never over others."""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from qdexp.cli.out_folder import check_writable
from qdexp.errors import QdexpError, RequestError

SAMPLES = "samples.safetensors"
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True)
class SampleFolder:
    """Where samples go.

    Args:
        path: The folder, which may not exist yet.
        identity: What the samples are a function of, as plain data by name.
    """

    path: Path
    identity: dict[str, Any]

    def check(self) -> None:
        """Accepts a folder without samples, or with these very ones.

        Raises:
            RequestError: It holds other samples, or cannot be written.
        """
        check_writable(self.path)
        found = _identity_in(self.path / SAMPLES)
        if found is not None:
            differing = [
                f"{name} {found.get(name)} instead of {value}"
                for name, value in self.identity.items()
                if found.get(name) != value
            ]
            if differing:
                raise RequestError(
                    f"--out: {self.path} holds other samples, with {', '.join(differing)}: choose "
                    "another folder"
                )
        elif others := sorted(path.name for path in self.path.glob("sample_*")):
            raise RequestError(
                f"--out: {self.path} holds {others[0]} without a whole {SAMPLES} that says what "
                "it is: choose another folder"
            )

    @contextmanager
    def writing(self) -> Generator[Path]:
        """Lends a folder whose files are moved to their place at the end, if there is one.

        Raises:
            QdexpError: The disk is full, or failed.
        """
        existed, unfinished = self.path.is_dir(), self.path / _UNFINISHED
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            yield unfinished
            # The samples first: they say what the pictures beside them are of.
            for file in sorted(unfinished.iterdir(), key=lambda each: each.name != SAMPLES):
                file.replace(self.path / file.name)
        except OSError as error:
            raise QdexpError(
                f"--out: expected a folder that can be written, found {self.path}: "
                f"{error.strerror or error}; free space or choose another"
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not existed and self.path.is_dir() and not any(self.path.iterdir()):
                self.path.rmdir()


def _identity_in(path: Path) -> dict[str, Any] | None:
    """Returns what the samples in a file are a function of; None if it holds none."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:  # pyright: ignore
            metadata = cast("dict[str, str] | None", file.metadata())  # pyright: ignore
        return json.loads((metadata or {})["qdexp"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
