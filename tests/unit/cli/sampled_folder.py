"""What `qdexp sample` leaves in its folder."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open


def latents(folder: str = "out") -> torch.Tensor:
    with safe_open(f"{folder}/samples.safetensors", framework="pt") as file:
        return file.get_tensor("latents")


def meta(folder: str = "out") -> dict[str, Any]:
    with safe_open(f"{folder}/samples.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["qdexp"])


def contents(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
