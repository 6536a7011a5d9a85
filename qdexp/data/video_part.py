# pyright: basic
"""The latents of one video, as a raw file, and a record beside it that says it is complete."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from qdexp.config.data_config import DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.shard import append_clip
from qdexp.data.video_folder import VideoFile
from qdexp.data.video_reader import VideoReader

Step = Callable[[float], None]
"""Hears, after each clip, the share of the video that is read."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What came of one video.

    Args:
        num_clips: Its clips.
        num_bytes: The raw file's size.
        problem: Why it has none, or not all that it should have.
        note: What is worth knowing about it.
    """

    num_clips: int
    num_bytes: int
    problem: str | None
    note: str | None


def raw_file(folder: Path, video: VideoFile) -> Path:
    """Returns where the latents of a video are."""
    return folder / f"{video.sha256}.f32"


def finished_part(folder: Path, video: VideoFile) -> Part | None:
    """Returns what an earlier attempt made of a video, if it came to the end of it."""
    try:
        part = Part(**json.loads(_record(folder, video).read_bytes()))
        is_whole = raw_file(folder, video).stat().st_size == part.num_bytes
    except (OSError, ValueError, TypeError):
        return None
    return part if is_whole else None


def encode_part(
    folder: Path, video: VideoFile, config: DataConfig, autoencoder: Autoencoder, step: Step
) -> Part:
    """Encodes a video from its beginning; the record is written last.

    Raises:
        OSError: The disk cannot be written.
    """
    device = computing_device(config)
    reader = VideoReader(video.path, config)
    with raw_file(folder, video).open("wb") as out:
        for clip in reader.clips():
            pixels = torch.from_numpy(clip)[None].to(device).float() / 255
            append_clip(out, autoencoder.encode(pixels)[0].cpu().numpy())
            step(reader.share_read)
        out.flush()
        os.fsync(out.fileno())
    part = Part(
        num_clips=reader.num_clips,
        num_bytes=raw_file(folder, video).stat().st_size,
        problem=reader.problem,
        note=None if reader.problem else reader.note,
    )
    temporary = _record(folder, video).with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(part)))
    temporary.replace(_record(folder, video))
    return part


def computing_device(config: DataConfig) -> torch.device:
    """Returns where an autoencoder computes: components are too little work for a GPU."""
    is_large = config.autoencoder == "wan" and torch.cuda.is_available()
    return torch.device("cuda" if is_large else "cpu")


def _record(folder: Path, video: VideoFile) -> Path:
    return folder / f"{video.sha256}.json"
