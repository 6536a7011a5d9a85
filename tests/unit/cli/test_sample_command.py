"""`qdexp sample`: clips from a checkpoint alone, the same bytes every time."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from qdexp.cli.sample_speed import Speeds
from tests.unit.cli.ended_command import Ended
from tests.unit.cli.sampled_folder import contents, latents, meta

Command = Callable[..., Ended]


@pytest.mark.parametrize("of", ["diffusion", "dmd", "none"])
def test_latents_and_clips_are_written_and_the_speed_is_printed(sample: Command, of: str) -> None:
    ended = sample("--num-samples", 3, "--batch", 2, of=of)
    assert ended.code == 0, ended.err
    assert sorted(contents()) == [
        *(f"sample_00{n}.{end}" for n in range(3) for end in ("gif", "mp4")),
        "samples.safetensors",
    ]
    assert latents().shape == (3, 16, 2, 4, 4)
    for number in range(3):
        with av.open(f"out/sample_00{number}.mp4") as container:
            assert len(list(container.decode(video=0))) == 5
        with Image.open(f"out/sample_00{number}.gif") as image:
            assert image.size == (32, 32)
    rows = [line.split() for line in ended.out.splitlines()]
    assert [row[-1] for row in rows[1:3]] == ["3", "3"], "one was thrown away"
    assert "timing more batches, which are thrown away: 1" in ended.err
    assert rows[-1] == ["samples:", str(Path("out").absolute())]
    assert "sampled 3 of 3" in ended.err


def test_the_file_says_what_its_samples_are_a_function_of(
    sample: Command, checkpoints: dict[str, Path]
) -> None:
    import hashlib

    sample("--num-samples", 1, "--steps", 2, "--seed", 7, "--num-frames", 9, "--eta", 0.5)
    found = meta()
    whole = hashlib.sha256(checkpoints["diffusion"].read_bytes()).hexdigest()
    assert found["checkpoint_sha256"] == whole
    assert (found["num_samples"], found["seed"], found["eta"]) == (1, 7, 0.5)
    assert (found["num_frames"], found["height"], found["width"]) == (9, 32, 32)
    assert (found["sampler"], found["timesteps"]) == ("ddim", [980, 499])


def test_the_same_command_makes_the_same_bytes(sample: Command) -> None:
    words = ("--num-samples", 2, "--visualize", "--analyze-codebook")
    sample(*words, out="a")
    sample(*words, out="b")
    assert contents("a") == contents("b")
    assert sample(*words, out="a").code == 0
    assert contents("a") == contents("b")


@pytest.mark.parametrize("of", ["diffusion", "dmd"])
def test_the_first_of_a_larger_request_are_the_same_bytes(sample: Command, of: str) -> None:
    sample("--num-samples", 2, "--batch", 3, out="few", of=of)
    sample("--num-samples", 7, "--batch", 3, out="many", of=of)
    few, many = contents("few"), contents("many")
    assert latents("few").numpy().tobytes() == latents("many")[:2].numpy().tobytes()
    assert all(many[name] == few[name] for name in few if name != "samples.safetensors")


@pytest.mark.parametrize("word", [("--seed", 1), ("--steps", 2), ("--eta", 1)])
def test_options_decide_the_samples(sample: Command, word: tuple[str, int]) -> None:
    sample("--num-samples", 1, out="a")
    sample("--num-samples", 1, *word, out="b")
    assert not torch.allclose(latents("a"), latents("b"))


def test_clips_of_another_size_than_trained_are_made_with_a_caution(sample: Command) -> None:
    size = ("--num-frames", 9, "--height", 40, "--width", 64)
    ended = sample(*size, "--num-samples", 1, "--visualize")
    assert ended.code == 0
    assert latents().shape == (1, 16, 3, 5, 8)
    assert "warning: trained on 5 frames of 32 x 32, sampling 9 of 40 x 64" in ended.err


def test_sheets_and_codes_are_drawn_where_asked(sample: Command) -> None:
    ended = sample("--num-samples", 2, "--visualize", "--analyze-codebook", of="dmd")
    assert ended.code == 0, ended.err
    names = set(contents())
    assert {"sample_000.png", "sample_001.png", "codebook.png", "codebook.csv"} <= names
    for name in ("sample_000.png", "codebook.png"):
        with Image.open(f"out/{name}") as image:
            assert np.asarray(image.convert("L")).std() > 5
    tokens = 2 * 2 * 4 * 4
    codes = list(csv.DictReader(io.StringIO(Path("out/codebook.csv").read_text())))
    assert len(codes) == 2 * 64
    assert sum(int(row["tokens"]) for row in codes) == 2 * 3 * tokens
    steps = list(csv.DictReader(io.StringIO(Path("out/codebook_by_timestep.csv").read_text())))
    assert [int(row["timestep"]) for row in steps] == meta()["timesteps"]
    assert {int(row["tokens"]) for row in steps} == {tokens}
    table = [line.split() for line in ended.out.splitlines()]
    assert [row[0] for row in table if len(row) > 5 and row[0] in ("all", "980")] == ["all", "980"]
    assert "codes used and perplexity are at most 128" in ended.out


def test_surplus_samples_of_a_batch_are_not_counted(sample: Command) -> None:
    sample("--num-samples", 1, "--batch", 5, "--analyze-codebook")
    codes = csv.DictReader(io.StringIO(Path("out/codebook.csv").read_text()))
    assert sum(int(row["tokens"]) for row in codes) == 3 * 2 * 4 * 4


def test_a_students_other_steps_are_cautioned(sample: Command) -> None:
    ended = sample("--steps", 2, "--num-samples", 1, of="dmd")
    assert ended.code == 0
    assert "warning: this student was made for 3 steps; with 2" in ended.err


def test_speed_is_the_median_over_batches_with_its_extremes() -> None:
    speeds = Speeds(frames=60, sampling=[1.0, 2.0, 3.0], decoding=[1.0, 1.0, 1.0])
    _, sampled, both = (line.split() for line in speeds.table().splitlines())
    assert sampled == ["sampling", "30", "20", "60", "3"]
    assert both == ["sampling", "and", "decoding", "20", "15", "30", "3"]
