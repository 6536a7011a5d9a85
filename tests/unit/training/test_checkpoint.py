"""Checkpoints are whole, or not there."""

import errno
import os
from pathlib import Path

import pytest
import torch

from qdexp.errors import CheckpointError
from qdexp.training import checkpoint
from qdexp.training.checkpoint import Checkpoint


def made(step: int, trajectory_id: str = "a") -> Checkpoint:
    return Checkpoint(
        trajectory_id=trajectory_id,
        configuration={"model.patch_size": [1, 1, 1]},
        step=step,
        state={"weights": torch.arange(6.0) * step},
        record={"history": {"train.loss": [(1, 0.1 + 0.2)]}},
        latent_space={"mean": [0.5]},
    )


def save(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint_step_{step}.pt"
    checkpoint.save(made(step), path)
    return path


def test_what_is_read_is_what_was_saved_to_the_bit(tmp_path: Path) -> None:
    found, expected = checkpoint.read(save(tmp_path, 3)), made(3)

    assert torch.equal(found.state["weights"], expected.state["weights"])
    assert found.record == expected.record
    assert (found.step, found.configuration) == (expected.step, expected.configuration)


def test_a_checkpoint_is_also_a_plain_torch_file(tmp_path: Path) -> None:
    assert torch.load(save(tmp_path, 3), weights_only=True)["step"] == 3


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match="is damaged"):
            checkpoint.read(path)


@pytest.mark.parametrize("kept", [0, 10, 33, 1000])
def test_a_truncated_checkpoint_is_noticed(tmp_path: Path, kept: int) -> None:
    path = save(tmp_path, 3)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.read(path)


def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save(tmp_path, 6).write_bytes(b"")
    found, warnings = checkpoint.first_whole(checkpoint.newest_first(tmp_path))

    assert found is not None
    assert found.step == 3
    assert [warning.partition(" ")[0] for warning in warnings] == ["checkpoint_step_6.pt"]


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.newest_first(tmp_path / "absent") == []
    assert checkpoint.first_whole([]) == (None, [])


def test_steps_are_ordered_as_numbers_and_the_final_one_is_newest(tmp_path: Path) -> None:
    for name in ("checkpoint_step_100.pt", "checkpoint_step_9.pt", "final_checkpoint.pt"):
        (tmp_path / name).touch()

    names = [path.name for path in checkpoint.newest_first(tmp_path)]
    assert names == ["final_checkpoint.pt", "checkpoint_step_100.pt", "checkpoint_step_9.pt"]


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 99, 100):
        save(tmp_path, step)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoint_step_99.pt", "checkpoint_step_100.pt"}


def test_a_full_disk_leaves_the_former_checkpoint_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, 3)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for step in (3, 6):
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path, step)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_said_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_step_1.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 1)


def test_a_checkpoint_executes_nothing_when_it_is_read(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("executed",)

    path = tmp_path / "checkpoint_step_1.pt"
    checkpoint.save(
        Checkpoint(
            trajectory_id="a",
            configuration={},
            step=1,
            state={"x": Exploit()},
            record={},
            latent_space={},
        ),
        path,
    )
    with pytest.raises(CheckpointError, match="more than plain data"):
        checkpoint.read(path)


def test_a_checkpoint_of_this_trajectory_up_to_the_end_is_accepted() -> None:
    checkpoint.check_belongs(made(5), trajectory_id="a", num_steps=5)


def test_a_foreign_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointError, match="trajectory b, found one of a"):
        checkpoint.check_belongs(made(5), trajectory_id="b", num_steps=5)


def test_a_checkpoint_beyond_the_end_is_refused() -> None:
    with pytest.raises(CheckpointError, match="at most 4 steps, found 5"):
        checkpoint.check_belongs(made(5), trajectory_id="a", num_steps=4)
