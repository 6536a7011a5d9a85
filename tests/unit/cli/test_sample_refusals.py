"""What `qdexp sample` cannot do it refuses, and it leaves nothing half done."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from qdexp.cli import sample_command
from qdexp.training import checkpoint, sampling
from tests.unit.cli.ended_command import Ended
from tests.unit.cli.sampled_folder import contents

Command = Callable[..., Ended]


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
    sample: Command, wrong: dict[str, Path], name: str, message: str
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
    sample: Command, words: tuple[object, ...], of: str, message: str
) -> None:
    ended = sample(*words, of=of)
    assert ended.code == 2
    assert message in ended.err
    assert not Path("out").exists()


def test_a_folder_in_place_of_a_checkpoint_is_answered_with_what_it_holds(
    sample: Command, checkpoints: dict[str, Path]
) -> None:
    ended = sample(of=checkpoints["diffusion"].parent)
    assert ended.code == 2
    assert f"did you mean {checkpoints['diffusion']}?" in ended.err


def test_weights_of_wan_that_moved_are_looked_for_where_they_are_said_to_be(
    sample: Command, checkpoints: dict[str, Path], tmp_path: Path
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


def test_other_samples_are_not_written_over(sample: Command) -> None:
    sample("--num-samples", 1)
    before = contents()
    for words, of in ((("--seed", 1), "diffusion"), ((), "dmd")):
        ended = sample("--num-samples", 1, *words, of=of)
        assert ended.code == 2
        assert "holds other samples, with" in ended.err
    assert "seed 0 instead of 1" in sample("--num-samples", 1, "--seed", 1).err
    assert contents() == before


def test_clips_without_the_file_that_says_what_they_are_stay(sample: Command) -> None:
    Path("out").mkdir()
    Path("out/sample_000.gif").write_bytes(b"someone's")
    ended = sample()
    assert ended.code == 2
    assert "holds sample_000.gif without a whole samples.safetensors" in ended.err
    assert contents() == {"sample_000.gif": b"someone's"}


def test_other_files_in_the_folder_are_left_alone(sample: Command) -> None:
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    assert sample("--num-samples", 1).code == 0
    assert contents()["notes.txt"] == b"mine"


def test_a_file_in_place_of_the_folder_is_refused(sample: Command) -> None:
    Path("out").write_text("a file")
    ended = sample()
    assert ended.code == 2
    assert "--out: expected a folder, found a file" in ended.err


def test_an_interruption_leaves_nothing(sample: Command, monkeypatch: pytest.MonkeyPatch) -> None:
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
    sample: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(sampling.Sampler, "warm_up", without)
    ended = sample()
    assert ended.code == 1
    assert "4 clips of 5 x 32 x 32 at once; lower --batch" in ended.err
    assert not Path("out").exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    sample: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample_command._Session, "_write_clips", full)
    ended = sample()
    assert ended.code == 1
    assert "No space left on device; free space or choose another" in ended.err
    assert not Path("out").exists()
