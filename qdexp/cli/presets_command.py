"""`qdexp presets`: the preset configurations as files."""

import json
from pathlib import Path

import typer

from qdexp.config.presets import PRESETS, preset
from qdexp.errors import RequestError


def write(folder: Path) -> None:
    """Writes ``config_NAME.json`` for every preset and prints the paths.

    Raises:
        RequestError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PRESETS:
            path = folder / f"config_{name}.json"
            path.write_text(json.dumps(preset(name).model_dump(mode="json"), indent=2) + "\n")
            typer.echo(path)
    except OSError as error:
        raise RequestError(
            f"--out: expected a folder that can be written, found {folder}: {error.strerror}"
        ) from None
