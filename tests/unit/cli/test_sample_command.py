"""`qdexp sample`: clips from a checkpoint alone, the same bytes every time, or a refusal."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from qdexp.cli import sample_command
from qdexp.cli.app import main
from qdexp.cli.sample_speed import Speeds
from qdexp.config.configuration import Configuration
from qdexp.data.dataset import LatentDataset
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.training import checkpoint, sampling
from qdexp.training.run_trial import run_trial

SMALL: dict[str, Any] = {
    "model.num_embeddings": 64, "model.embedding_dim": 8, "model.hidden_dim": 16,
    "model.num_layers": 2, "model.num_heads": 2, "model.patch_size": [1, 1, 1],
    "training.max_steps": 2, "training.batch_size": 3, "training.learning_rate": 1e-3,
    "diffusion.sampling_steps": 3, "data.num_train_clips": 8, "data.num_eval_clips": 4,
    "data.num_frames": 5, "data.height": 32, "data.width": 32, "evaluation.num_clips": 3,
    "evaluation.num_levels": 4, "evaluation.curve_steps": [0], "evaluation.curve_clips": 2,
    "evaluation.curve_levels": 2, "evaluation.codebook_tokens": 300, "evaluation.shown_clips": 0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


Sample = Callable[..., Ended]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Final checkpoints of small models: of each objective, and one without codes."""
    folder = tmp_path_factory.mktemp("trained")
    config = Configuration().replace(SMALL)
    latents = LatentDataset().prepare(config.data, folder / "cache")
    found: dict[str, Path] = {}
    for name, changes in {
        "none": {"model.quantizer": "none"},
        "diffusion": {},
        "dmd": {"training.objective": "dmd", "model.codes_per_token": 2},
    }.items():
        trial = Trial(configuration=config.replace(changes), seed=0, data_fingerprint="d")
        teacher = found["none"] if name == "dmd" else None
        space = Workspace(folder=folder / name, latents=latents, teacher=teacher)
        list(run_trial(trial, space))
        found[name] = space.folder / "final_checkpoint.pt"
    return found


@pytest.fixture
def sample(
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Sample:
    """Runs `qdexp sample` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def sample(*words: object, of: object = "diffusion", out: str = "out") -> Ended:
        checkpoint = checkpoints.get(str(of), of)
        command = ["sample", "--checkpoint", checkpoint, "--out", out, *words]
        monkeypatch.setattr("sys.argv", ["qdexp", *map(str, command)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(code=ended.value.code, out=captured.out, err=captured.err)

    return sample


def latents(folder: str = "out") -> torch.Tensor:
    with safe_open(f"{folder}/samples.safetensors", framework="pt") as file:
        return file.get_tensor("latents")


def meta(folder: str = "out") -> dict[str, Any]:
    with safe_open(f"{folder}/samples.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["qdexp"])


def contents(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.mark.parametrize("of", ["diffusion", "dmd", "none"])
def test_latents_and_clips_are_written_and_the_speed_is_printed(sample: Sample, of: str) -> None:
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
    sample: Sample, checkpoints: dict[str, Path]
) -> None:
    import hashlib

    sample("--num-samples", 1, "--steps", 2, "--seed", 7, "--num-frames", 9, "--eta", 0.5)
    found = meta()
    whole = hashlib.sha256(checkpoints["diffusion"].read_bytes()).hexdigest()
    assert found["checkpoint_sha256"] == whole
    assert (found["num_samples"], found["seed"], found["eta"]) == (1, 7, 0.5)
    assert (found["num_frames"], found["height"], found["width"]) == (9, 32, 32)
    assert (found["sampler"], found["timesteps"]) == ("ddim", [980, 499])


def test_the_same_command_makes_the_same_bytes(sample: Sample) -> None:
    words = ("--num-samples", 2, "--visualize", "--analyze-codebook")
    sample(*words, out="a")
    sample(*words, out="b")
    assert contents("a") == contents("b")
    assert sample(*words, out="a").code == 0
    assert contents("a") == contents("b")


@pytest.mark.parametrize("of", ["diffusion", "dmd"])
def test_the_first_of_a_larger_request_are_the_same_bytes(sample: Sample, of: str) -> None:
    sample("--num-samples", 2, "--batch", 3, out="few", of=of)
    sample("--num-samples", 7, "--batch", 3, out="many", of=of)
    few, many = contents("few"), contents("many")
    assert latents("few").numpy().tobytes() == latents("many")[:2].numpy().tobytes()
    assert all(many[name] == few[name] for name in few if name != "samples.safetensors")


@pytest.mark.parametrize("word", [("--seed", 1), ("--steps", 2), ("--eta", 1)])
def test_options_decide_the_samples(sample: Sample, word: tuple[str, int]) -> None:
    sample("--num-samples", 1, out="a")
    sample("--num-samples", 1, *word, out="b")
    assert not torch.allclose(latents("a"), latents("b"))


def test_clips_of_another_size_than_trained_are_made_with_a_caution(sample: Sample) -> None:
    size = ("--num-frames", 9, "--height", 40, "--width", 64)
    ended = sample(*size, "--num-samples", 1, "--visualize")
    assert ended.code == 0
    assert latents().shape == (1, 16, 3, 5, 8)
    assert "warning: trained on 5 frames of 32 x 32, sampling 9 of 40 x 64" in ended.err


def test_sheets_and_codes_are_drawn_where_asked(sample: Sample) -> None:
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


def test_surplus_samples_of_a_batch_are_not_counted(sample: Sample) -> None:
    sample("--num-samples", 1, "--batch", 5, "--analyze-codebook")
    codes = csv.DictReader(io.StringIO(Path("out/codebook.csv").read_text()))
    assert sum(int(row["tokens"]) for row in codes) == 3 * 2 * 4 * 4


@pytest.fixture
def wrong(tmp_path: Path, checkpoints: dict[str, Path]) -> dict[str, Path]:
    """Files that are no checkpoint to sample from."""
    content = checkpoints["diffusion"].read_bytes()
    files = {
        "text.pt": b"not a checkpoint",
        "empty.pt": b"",
        "cut.pt": content[: len(content) // 2],
        "flipped.pt": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    }
    for name, each in files.items():
        (tmp_path / name).write_bytes(each)
    buffer = io.BytesIO()
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, buffer)
    (tmp_path / "foreign.pt").write_bytes(buffer.getvalue())
    return {name: tmp_path / name for name in (*files, "foreign.pt", "missing.pt")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.pt", "no checkpoint: found 16 bytes that begin with b'not a checkpoint'"),
        ("empty.pt", "no checkpoint: found 0 bytes"),
        ("cut.pt", "is damaged, or not of qdexp"),
        ("flipped.pt", "is damaged, or not of qdexp"),
        ("foreign.pt", "not of qdexp: its last bytes are not the hash"),
        ("missing.pt", "expected a checkpoint, found nothing at"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(
    sample: Sample, wrong: dict[str, Path], name: str, message: str
) -> None:
    ended = sample(of=wrong[name])
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count(name) == 1
    assert "Traceback" not in ended.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "of", "message"),
    [
        (("--num-frames", 16), "diffusion", "the nearest are 13 and 17"),
        (("--steps", 1000), "diffusion", "--steps: expected at most 961"),
        (("--analyze-codebook",), "none", "expected a model with a codebook"),
        (("--eta", 0.5), "dmd", "--eta: expected none for a distilled student"),
        (("--autoencoder-path", "vae"), "none", "expected none with pca3d, found vae"),
        (("--num-samples", 0), "diffusion", "--num-samples"),
        (("--batch", 0), "diffusion", "--batch"),
    ],
)
def test_a_request_that_cannot_be_met_writes_nothing(
    sample: Sample, words: tuple[object, ...], of: str, message: str
) -> None:
    ended = sample(*words, of=of)
    assert ended.code == 2
    assert message in ended.err
    assert not Path("out").exists()


def test_a_folder_in_place_of_a_checkpoint_is_answered_with_what_it_holds(
    sample: Sample, checkpoints: dict[str, Path]
) -> None:
    ended = sample(of=checkpoints["diffusion"].parent)
    assert ended.code == 2
    assert f"did you mean {checkpoints['diffusion']}?" in ended.err


def test_a_students_other_steps_are_cautioned(sample: Sample) -> None:
    ended = sample("--steps", 2, "--num-samples", 1, of="dmd")
    assert ended.code == 0
    assert "warning: this student was made for 3 steps; with 2" in ended.err


def test_weights_of_wan_that_moved_are_looked_for_where_they_are_said_to_be(
    sample: Sample, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    found = checkpoint.read(checkpoints["diffusion"])
    there = {"kind": "wan", "folder": str(tmp_path / "gone"), "sha256": "0" * 64}
    space = found.latent_space | {"autoencoder": there}
    checkpoint.save(replace(found, latent_space=space), tmp_path / "wan.pt")
    gone = sample(of=tmp_path / "wan.pt")
    assert gone.code == 2
    assert f"{tmp_path / 'gone'}: expected AutoencoderKLWan's config.json" in gone.err
    assert "--autoencoder-path is the folder 'vae'" in gone.err
    (tmp_path / "vae").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "vae" / name).touch()
    moved = sample("--autoencoder-path", "vae", of=tmp_path / "wan.pt")
    assert moved.code == 2
    assert f"vae: expected AutoencoderKLWan's weights with SHA-256 {'0' * 64}" in moved.err


def test_other_samples_are_not_written_over(sample: Sample) -> None:
    sample("--num-samples", 1)
    before = contents()
    for words, of in ((("--seed", 1), "diffusion"), ((), "dmd")):
        ended = sample("--num-samples", 1, *words, of=of)
        assert ended.code == 2
        assert "holds other samples, with" in ended.err
    assert "seed 0 instead of 1" in sample("--num-samples", 1, "--seed", 1).err
    assert contents() == before


def test_clips_without_the_file_that_says_what_they_are_stay(sample: Sample) -> None:
    Path("out").mkdir()
    Path("out/sample_000.gif").write_bytes(b"someone's")
    ended = sample()
    assert ended.code == 2
    assert "holds sample_000.gif without a whole samples.safetensors" in ended.err
    assert contents() == {"sample_000.gif": b"someone's"}


def test_other_files_in_the_folder_are_left_alone(sample: Sample) -> None:
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    assert sample("--num-samples", 1).code == 0
    assert contents()["notes.txt"] == b"mine"


def test_a_file_in_place_of_the_folder_is_refused(sample: Sample) -> None:
    Path("out").write_text("a file")
    ended = sample()
    assert ended.code == 2
    assert "--out: expected a folder, found a file" in ended.err


def test_an_interruption_leaves_nothing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampling.Sampler.sample

    def stopped(self: sampling.Sampler, clips: range, watch: sampling.Watch) -> torch.Tensor:
        if clips.start:
            raise KeyboardInterrupt
        return whole(self, clips, watch)

    monkeypatch.setattr(sampling.Sampler, "sample", stopped)
    ended = sample("--num-samples", 4, "--batch", 2)
    assert ended.code == 130
    assert "stopped: nothing was written" in ended.err
    assert not Path("out").exists()


def test_memory_that_does_not_suffice_is_said_with_the_remedy(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(sampling.Sampler, "warm_up", without)
    ended = sample()
    assert ended.code == 1
    assert "4 clips of 5 x 32 x 32 at once; lower --batch" in ended.err
    assert not Path("out").exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample_command._Session, "_write_clips", full)
    ended = sample()
    assert ended.code == 1
    assert "No space left on device; free space or choose another" in ended.err
    assert not Path("out").exists()


def test_speed_is_the_median_over_batches_with_its_extremes() -> None:
    speeds = Speeds(frames=60, sampling=[1.0, 2.0, 3.0], decoding=[1.0, 1.0, 1.0])
    _, sampled, both = (line.split() for line in speeds.table().splitlines())
    assert sampled == ["sampling", "30", "20", "60", "3"]
    assert both == ["sampling", "and", "decoding", "20", "15", "30", "3"]
