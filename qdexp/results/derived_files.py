"""Where the specs of experiments lie that follow from a search."""

import os
from pathlib import Path

from qdexp.errors import RequestError

FOLDER = "searches"


def derived_file(runs: Path, name: str) -> Path:
    """Returns the file of a derived experiment's spec."""
    return runs / FOLDER / f"{name}.yaml"


def keep(runs: Path, file: Path, text: str) -> None:
    """Writes a derived experiment's spec; any other is its author's file.

    Raises:
        RequestError: The folder cannot be written.
    """
    if file == derived_file(runs, file.stem):
        _write(file, text)


def _write(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        problem = f"expected a folder that can be written, found: {error.strerror or error}"
        raise RequestError(f"{file}: {problem}") from None
