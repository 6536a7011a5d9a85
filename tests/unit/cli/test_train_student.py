"""A student by command: its teacher is trained first, and once."""

from collections.abc import Callable
from pathlib import Path

from qdexp.training import checkpoint
from tests.unit.cli.ended_command import Ended
from tests.unit.cli.trained_folder import damaged, outcome, results

Command = Callable[..., Ended]


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
