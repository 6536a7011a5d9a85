"""One training by command: what it leaves, alone or in several processes."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from qdexp.training import parallel
from tests.unit.cli.ended_command import Ended
from tests.unit.cli.trained_folder import names, outcome, results

Command = Callable[..., Ended]


def test_training_leaves_a_checkpoint_a_configuration_and_its_measurements(train: Command) -> None:
    ended = train("--seed", 3)
    assert ended.code == 0, ended.err
    folder = "outputs/small"
    assert {"final_checkpoint.pt", "configuration.json", "outcome.json"} <= names(folder)
    assert outcome(folder).status == "completed"
    assert "step 8/8, loss" in ended.err
    table = dict(line.split()[:2] for line in ended.out.splitlines())
    expected = outcome(folder).measurements["eval.denoising_loss"]
    assert float(table["eval.denoising_loss"]) == pytest.approx(expected, rel=1e-5)
    assert table["checkpoint:"] == str(Path(folder, "final_checkpoint.pt").absolute())
    written = json.loads(Path(folder, "configuration.json").read_text())
    assert written["training"]["max_steps"] == 8


def test_written_configuration_trains_the_same(train: Command) -> None:
    assert train("--out", "first").code == 0
    assert train("--config", "first/configuration.json", "--out", "second").code == 0
    assert results("first") == results("second")


class Group:
    """Two processes, of which this is one; the other wants to stop when it is asked again."""

    world_size = 2

    def __init__(self, rank: int, *, other_stops_at: int | None = None) -> None:
        self.rank, self.is_first = rank, rank == 0
        self._asked, self._stop = 0, other_stops_at

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        self._asked += 1
        return flag or self._asked == self._stop


def test_all_processes_stop_when_one_is_told_to(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "joined", lambda: nullcontext(Group(0, other_stops_at=4)))
    ended = train()
    assert ended.code == 130
    assert "2 processes, each with 3 clips of a micro-batch" in ended.err
    command = "torchrun --nproc_per_node=2 -m qdexp train --config small.yaml"
    assert ended.err.endswith(f"go on with: {command}\n")
    written = json.loads(Path("outputs/small/configuration.json").read_text())
    assert written["training"]["batch_size"] == 6


def test_processes_after_the_first_say_nothing(
    train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "joined", lambda: nullcontext(Group(1)))
    monkeypatch.setenv("LOCAL_RANK", "1")
    ended = train()
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert not {"configuration.json", "outcome.json"} & names("outputs/small")
    wrong = train("--set", "model.hiden_dim=3")
    assert (wrong.code, wrong.out, wrong.err) == (2, "", "")


def test_training_that_diverges_says_what_helps(train: Command) -> None:
    ended = train("--set", "training.learning_rate=1e+30")
    assert ended.code == 1
    assert "the training diverged: " in ended.err
    assert "lower training.learning_rate, raise training.warmup_steps" in ended.err
    assert ended.out == ""
    assert outcome("outputs/small").status == "diverged"
