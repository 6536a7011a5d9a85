"""Does the memory of `qdexp encode` grow with the number or the length of videos?

    .venv/bin/python benchmarks/encode_memory.py

Makes videos, encodes each set in a process of its own, and writes the peak memory of each, as a
ratio to the smallest set's, to benchmarks/results/encode_memory.md.
"""

import json
import platform
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

NUM_FRAMES = 1224
"""Frames of a video of length 1: more clips than `pca3d` is ever fitted to."""

OVERLAP = 14
"""Frames that clips share, so that their latents together are larger than all that is needed."""

CASES = ((1, 1), (4, 1), (16, 1), (1, 4), (4, 4))
"""Sets of videos: how many, and how long."""

CLIP_MIB = 16 * 5 * 8 * 8 * 4 / 2**20
"""The latents of a clip of 17 x 64 x 64."""

RESULT = Path(__file__).parent / "results" / "encode_memory.md"

ENCODE = """
import json, resource, sys, time
from pathlib import Path
from qdexp.config.data_config import DataConfig
from qdexp.data.hash_index import HashIndex
from qdexp.data.preparation import prepare_latents
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = peak(), time.perf_counter()
config = DataConfig(kind="video_folder", path=sys.argv[1], overlap=int(sys.argv[3]))
manifest = prepare_latents(
    config, Path(sys.argv[2]), hashes=HashIndex(), watch=lambda _: None
)
clips = manifest.train_shape[0] + manifest.held_out_shape[0]
seconds = time.perf_counter() - began
print(json.dumps({"imported": before, "peak": peak(), "clips": clips, "seconds": seconds}))
"""


def make_video(path: Path, *, length: int, seed: int) -> None:
    """Writes a video of moving noise, 160 x 120 pixels, 24 frames a second."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(NUM_FRAMES * length):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number, axis=1))
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def measured(num_videos: int, length: int, folder: Path) -> dict[str, float]:
    """Returns the peak memory in MiB, the clips and the seconds of encoding a set of videos."""
    videos = folder / f"{num_videos}x{length}"
    videos.mkdir()
    for number in range(num_videos):
        make_video(videos / f"{number}.mp4", length=length, seed=number)
    out = folder / f"{videos.name}.latents"
    command = [sys.executable, "-c", ENCODE, str(videos), str(out), str(OVERLAP)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ended.stdout)


def main() -> None:
    """Measures every set and writes the table."""
    with tempfile.TemporaryDirectory() as name:
        found = {case: measured(*case, Path(name)) for case in CASES}
    least = found[CASES[0]]
    rows = [
        f"| {number} | {length} | {row['clips']:.0f} | {row['clips'] * CLIP_MIB:.0f} | "
        f"{row['peak']:.0f} | "
        f"{row['peak'] / least['peak']:.2f} | {row['peak'] - row['imported']:.0f} | "
        f"{row['clips'] / row['seconds']:.0f} |"
        for (number, length), row in found.items()
    ]
    RESULT.write_text(
        "# Memory of `qdexp encode`\n\n"
        "Written by `benchmarks/encode_memory.py`. Clips of 17 x 64 x 64 by `pca3d`, neighbours "
        f"sharing {OVERLAP} frames, out of\nvideos of {NUM_FRAMES} frames (length 1) of 160 x 120 "
        "pixels; "
        f"{platform.machine()}, Python {platform.python_version()}. Imported libraries take "
        f"{least['imported']:.0f} MiB of every peak.\n\n"
        "| videos | length | clips | latents, MiB | peak, MiB | ratio | above imports | clips/s |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n" + "\n".join(rows) + "\n"
    )
    sys.stdout.write(RESULT.read_text())


if __name__ == "__main__":
    main()
