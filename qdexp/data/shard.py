# pyright: basic
"""Latents that are written one clip at a time: first as they are encoded, then as a shard.

Files of raw float32 clips grow while a video is read; nobody knows yet how many clips it has, or
what the mean will be. A shard is one safetensors file, whose header comes first, so that what is
read from it is one mapped tensor.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, Int64

LEAST_DEVIATION = 1e-3
"""A channel that varies less than this (they are whitened: 1 is usual) is not amplified further."""

_LATENT = np.dtype("<f4")


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredClips:
    """The clips of one split, in raw files, in the order in which they will be used.

    Args:
        shape: Shape (c, t, y, x) of each.
        files: The raw files.
        places: The file and the place in it of each clip.
        labels: The digits in each clip, -1 where there are fewer.
        sources: The number of the video that each clip is from; a made clip is its own.
    """

    shape: tuple[int, ...]
    files: tuple[Path, ...]
    places: Int64[np.ndarray, "n 2"]
    labels: Int64[np.ndarray, "n digits"]
    sources: Int64[np.ndarray, " n"]

    def __iter__(self) -> Iterator[Float[np.ndarray, "c t y x"]]:
        """Yields the clips, each read when its turn comes."""
        size = int(np.prod(self.shape)) * _LATENT.itemsize
        with contextlib.ExitStack() as opened:
            current, handle = -1, None
            for file, place in self.places.tolist():
                if handle is None or file != current:
                    opened.close()  # one file at a time: there may be more than can be open
                    handle, current = opened.enter_context(self.files[file].open("rb")), file
                handle.seek(place * size)
                yield np.frombuffer(handle.read(size), _LATENT).reshape(self.shape)


def append_clip(file: IO[bytes], latents: Float[np.ndarray, "c t y x"]) -> None:
    """Writes a clip at the end of a raw file."""
    file.write(np.ascontiguousarray(latents, _LATENT).tobytes())


def moments(clips: StoredClips) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns each channel's mean and deviation over all clips and positions."""
    channels = clips.shape[0]
    total, squares = np.zeros(channels), np.zeros(channels)
    for clip in clips:
        exact = clip.reshape(channels, -1).astype(np.float64)
        total += exact.sum(axis=1)
        squares += np.square(exact).sum(axis=1)
    count = len(clips.places) * int(np.prod(clips.shape[1:]))
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, LEAST_DEVIATION**2))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def write_shard(
    file: Path, clips: StoredClips, *, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> None:
    """Writes a split's clips, normalised, with labels and sources, as safetensors."""
    num_clips = len(clips.places)
    whole = {"labels": clips.labels, "sources": clips.sources}
    entries: dict[str, object] = {}
    end = 0
    for name, array in whole.items():
        entries[name] = _entry("I64", array.shape, end, end := end + array.nbytes)
    num_bytes = num_clips * int(np.prod(clips.shape)) * _LATENT.itemsize
    entries["latents"] = _entry("F32", (num_clips, *clips.shape), end, end + num_bytes)
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors begin where any number may
    centre, scale = (np.array(each, np.float32).reshape(-1, 1, 1, 1) for each in (mean, deviation))
    with file.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for array in whole.values():
            out.write(array.astype("<i8").tobytes())
        for clip in clips:
            append_clip(out, (clip - centre) / scale)


def _entry(dtype: str, shape: tuple[int, ...], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
