"""A training goes on from what is in its folder, or from another's checkpoint, or refuses."""

import hashlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from qdexp.training import checkpoint, run_trial
from qdexp.training.course import Course
from qdexp.training.record import Record
from qdexp.training.training_state import TrainingState
from tests.unit.cli.ended_command import Ended
from tests.unit.cli.trained_folder import damaged, names, results, signals_at

Command = Callable[..., Ended]


def test_finished_training_is_only_measured_again(train: Command) -> None:
    train()
    before, size = results("outputs/small"), len(names("outputs/small"))
    ended = train()
    assert ended.code == 0
    assert "finished at step 8, nothing left to train" in ended.err
    assert results("outputs/small") == before
    assert len(names("outputs/small")) == size


def test_longer_training_goes_on_to_the_numbers_of_one_from_the_start(train: Command) -> None:
    train("--out", "grown")
    ended = train("--out", "grown", "--set", "training.max_steps=11")
    assert "going on from step 8 of 11" in ended.err
    train("--out", "fresh", "--set", "training.max_steps=11")
    assert results("grown") == results("fresh")
    assert checkpoint.read(Path("grown/final_checkpoint.pt")).step == 11


def test_longer_training_that_was_stopped_goes_on_from_where_it_was(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    with monkeypatch.context() as patch:
        signals_at(patch, 10)
        assert train("--set", "training.max_steps=12").code == 130
    assert "going on from step 10 of 12" in train("--set", "training.max_steps=12").err


@pytest.mark.parametrize(
    ("step", "number"), [(0, signal.SIGINT), (4, signal.SIGTERM), (8, signal.SIGUSR1)]
)
def test_stopped_training_goes_on_to_the_same_numbers(
    train: Command, monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals
) -> None:
    with monkeypatch.context() as patch:
        signals_at(patch, step, number=number)
        ended = train("--out", "stopped", "--seed", 1)
    assert ended.code == 130
    saved = Path("stopped", f"checkpoint_step_{step}.pt").absolute()
    command = "qdexp train --config small.yaml --out stopped --seed 1"
    assert f"stopped at step {step} of 8; saved in {saved}; go on with: {command}\n" in ended.err
    assert not Path("stopped", "outcome.json").exists()
    assert train("--out", "stopped", "--seed", 1).code == 0
    train("--out", "whole", "--seed", 1)
    assert results("stopped") == results("whole")


def test_second_signal_stops_at_once(train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    step_of = run_trial.take_step

    def interrupted(state: TrainingState, course: Course, record: Record) -> dict[str, float]:
        if state.step == 4:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return step_of(state, course, record)

    monkeypatch.setattr(run_trial, "take_step", interrupted)
    ended = train()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert names("outputs/small") == {"configuration.json", "checkpoint_step_3.pt"}


def test_checkpoint_of_another_folder_is_gone_on_from(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        signals_at(patch, 4)
        train("--out", "stopped")
    ended = train("--out", "here", "--resume", "stopped/checkpoint_step_4.pt")
    assert "going on from step 4 of 8" in ended.err
    train("--out", "whole")
    assert results("here") == results("whole")
    again = train("--out", "here", "--resume", "stopped/checkpoint_step_4.pt")
    assert "finished at step 8" in again.err


def test_damaged_checkpoint_is_passed_over_aloud(train: Command) -> None:
    train()
    damaged(Path("outputs/small/final_checkpoint.pt"))
    ended = train()
    assert ended.code == 0
    assert "warning: final_checkpoint.pt is damaged" in ended.err
    assert "going on from step 6 of 8" in ended.err


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def exploit(path: Path) -> None:
    known: dict[str, object] = {
        "trajectory_id": "a",
        "configuration": {},
        "step": 1,
        "record": {},
        "latent_space": {},
    }
    torch.save(known | {"state": Exploit()}, path)
    body = path.read_bytes()
    path.write_bytes(body + hashlib.sha256(body).digest())


WRONG = {
    "nothing.pt": "nothing.pt cannot be read: No such file or directory",
    "damaged.pt": "damaged.pt is damaged",
    "exploit.pt": "exploit.pt holds more than plain data",
    "done/final_checkpoint.pt --set training.max_steps=4": "at most 4 steps, found 8",
    "done/final_checkpoint.pt --set model.num_heads=4": "model.num_heads 2 instead of 4",
    "done/final_checkpoint.pt --set training.lr_schedule=cosine": '"constant" instead of "cosine"',
    "done/final_checkpoint.pt --seed 1": "another seed, other data or another version",
    "done/final_checkpoint.pt --out stopped": "not passed, found step 8 where the folder is at 4",
}


def test_checkpoint_that_cannot_be_gone_on_from_is_refused_before_anything_is_written(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--out", "done")
    with monkeypatch.context() as patch:
        signals_at(patch, 4)
        train("--out", "stopped")
    Path("damaged.pt").write_bytes(Path("done/final_checkpoint.pt").read_bytes())
    damaged(Path("damaged.pt"))
    exploit(Path("exploit.pt"))
    before = sorted(Path().rglob("*"))
    for words, message in WRONG.items():
        ended = train("--resume", *words.split())
        assert (ended.code, ended.out) == (2, ""), words
        assert message in ended.err
    assert sorted(Path().rglob("*")) == before


def test_folder_that_holds_something_else_is_refused(train: Command) -> None:
    train()
    Path("file").touch()
    before = results("outputs/small")
    for words, message in {
        "--set training.quantization_weight=0.2": "training.quantization_weight 0.1 instead of 0.2",
        "--set training.max_steps=4": "at most 4 steps, found 8",
        "--out file": "--out: expected a folder, found a file",
        "--out file/within": "--out: expected a folder, found a file",
    }.items():
        ended = train(*words.split())
        assert (ended.code, ended.out) == (2, "")
        assert message in ended.err
    assert results("outputs/small") == before


def test_evaluation_may_change_where_training_is_finished(train: Command) -> None:
    train()
    ended = train("--set", "evaluation.num_levels=6", "--set", "training.checkpoint_every_steps=5")
    assert ended.code == 0
    assert "nothing left to train" in ended.err
