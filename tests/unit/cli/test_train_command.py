"""One training by command: begun, gone on with, refused."""

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.cli.app import main
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress
from qdexp.training import checkpoint, parallel, run_trial
from qdexp.training.course import Course
from qdexp.training.record import Record
from qdexp.training.training_state import TrainingState

SMALL = """\
model: {num_embeddings: 64, embedding_dim: 8, hidden_dim: 16, num_layers: 2, num_heads: 2,
  patch_size: [1, 1, 1], ema_decay: 0.9, dead_code_threshold: 0.3}
training: {max_steps: 8, batch_size: 3, learning_rate: 1e-3, warmup_steps: 3, log_every_steps: 2,
  checkpoint_every_steps: 3}
data: {num_train_clips: 8, num_eval_clips: 4, num_frames: 5, height: 32, width: 32}
evaluation: {num_clips: 3, num_levels: 4, curve_steps: [0, 4], curve_clips: 2, curve_levels: 2,
  codebook_tokens: 300}
"""
TRAIN = run_trial.run_trial


class Ended:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder whose latents all tests share."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def train(
    tmp_path: Path,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs `qdexp train --config small.yaml` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QDEXP_RUNS", str(runs))
    Path("small.yaml").write_text(SMALL)

    def train(*words: object) -> Ended:
        command = ["qdexp", "train", "--config", "small.yaml", *map(str, words)]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return train


def outcome(folder: str) -> Outcome:
    return Outcome.from_json((Path(folder) / "outcome.json").read_text())


def results(folder: str) -> dict[str, Any]:
    """Returns all that was measured, times and memory excepted."""
    found = outcome(folder)
    numbers = {**found.measurements, **found.history}
    return {name: value for name, value in numbers.items() if not name.startswith("cost.")}


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def signals_at(
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    *,
    number: signal.Signals = signal.SIGINT,
) -> None:
    """Lets Ctrl-C, or another signal, come while the training is on its way to a step."""

    def interrupted(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
        for report in (reports := TRAIN(trial, workspace)):
            if report.step == step:
                signal.raise_signal(number)
            try:
                yield report
            except GeneratorExit:
                reports.close()
                raise

    monkeypatch.setattr(run_trial, "run_trial", interrupted)


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


STUDENT = [
    *("--set", "training.objective=dmd"),
    *("--set", "diffusion.sampling_steps=2"),
    *("--set", "distillation.max_steps=6"),
]


def test_student_is_trained_after_its_teacher_which_is_trained_once(train: Command) -> None:
    ended = train(*STUDENT)
    assert ended.code == 0, ended.err
    teacher = Path("outputs/small/teacher")
    assert outcome(str(teacher)).status == "completed"
    before = (teacher / "outcome.json").stat().st_mtime_ns
    for text in ("training the teacher", "training the student"):
        assert text in ended.err
    ended = train(*STUDENT, "--set", "distillation.max_steps=9")
    assert ended.code == 0
    assert "going on from step 6 of 9" in ended.err
    assert "training the teacher" not in ended.err
    assert (teacher / "outcome.json").stat().st_mtime_ns == before


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damaged_teacher_is_trained_again_to_the_same_weights(train: Command) -> None:
    train(*STUDENT)
    weights = Path("outputs/small/teacher/final_checkpoint.pt")
    before = results("outputs/small")
    damaged(weights)
    ended = train(*STUDENT)
    assert ended.code == 0, ended.err
    assert "warning: final_checkpoint.pt is damaged" in ended.err
    assert "training the teacher" in ended.err
    assert checkpoint.read(weights).step == 8
    assert results("outputs/small") == before


def test_student_that_goes_on_elsewhere_takes_the_teacher_along(train: Command) -> None:
    train(*STUDENT, "--out", "done")
    resume = ["--resume", "done/final_checkpoint.pt", "--out", "here"]
    ended = train(*STUDENT, *resume, "--set", "distillation.max_steps=9")
    assert ended.code == 0, ended.err
    assert "here/teacher: finished at step 8, nothing left to train" in ended.err
    assert "here: going on from step 6 of 9" in ended.err


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
