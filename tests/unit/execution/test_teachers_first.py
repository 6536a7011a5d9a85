"""Teachers run before their students, once for all that share them."""

from pathlib import Path
from typing import Literal

import pytest

from qdexp.errors import InterruptedRunError
from qdexp.execution.conduct import Conducted
from qdexp.execution.ports import Assignment
from qdexp.results.folders import FINAL_CHECKPOINT, trial_folder
from qdexp.results.outcome import Failure, Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.sealed import seal
from tests.unit.execution.fakes import Bench, FakeExecutor, saved

DISTILLED = """\
name: sizes
question: Does a student need a large codebook?
preset: tiny
set: {training.objective: dmd, diffusion.sampling_steps: 4, distillation.max_steps: 50}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
"""


def is_teacher(assignment: Assignment) -> bool:
    return assignment.trial.ours.training.objective == "diffusion"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, DISTILLED)


def test_teachers_run_first_and_every_student_gets_the_weights_of_its_seeds(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    assert bench.conduct(executor).num_run == 6
    teachers, students = executor.assignments[:2], executor.assignments[2:]

    assert [is_teacher(each) for each in executor.assignments] == [True] * 2 + [False] * 4
    of_seed = {each.trial.seed: each.workspace.folder / FINAL_CHECKPOINT for each in teachers}
    assert [each.workspace.teacher for each in students] == [
        of_seed[each.trial.seed] for each in students
    ]
    assert all(each.workspace.start_from is None for each in executor.assignments)
    again = FakeExecutor()
    assert bench.conduct(again).num_run == 0


def test_a_plan_shows_teachers_first_and_who_waits_for_them(bench: Bench) -> None:
    plan = bench.plan()
    teachers, students = plan.trials[:2], plan.trials[2:]

    assert [each.is_teacher for each in plan.trials] == [True] * 2 + [False] * 4
    known = {each.trial.seed: each.trial.trial_id for each in teachers}
    assert [each.waits_for for each in students] == [known[each.trial.seed] for each in students]
    assert [each.waits_for for each in teachers] == [None, None]


def test_a_new_codebook_size_and_another_experiment_share_the_teachers(bench: Bench) -> None:
    bench.conduct(FakeExecutor(saved))
    executor = FakeExecutor(saved)
    more = DISTILLED.replace("[64, 128]", "[64, 128, 256]").replace("name: sizes", "name: more")
    bench.conduct(executor, more)

    assert [is_teacher(each) for each in executor.assignments] == [False, False]
    assert all(each.workspace.teacher for each in executor.assignments)


@pytest.mark.parametrize(("status", "is_tried_again"), [("failed", True), ("diverged", False)])
def test_a_teacher_that_does_not_complete_is_its_students_reason(
    bench: Bench, status: Literal["failed", "diverged"], *, is_tried_again: bool
) -> None:
    def end(assignment: Assignment) -> Outcome:
        if assignment.trial.seed or not is_teacher(assignment):
            return saved(assignment)
        failure = Failure(reason="it broke", step=3)
        return Outcome(trial_id=assignment.trial.trial_id, status=status, step=3, failure=failure)

    executor = FakeExecutor(end)
    assert bench.conduct(executor) == Conducted(num_run=6, num_incomplete=3, notes=())
    assert [each.trial.seed for each in executor.assignments] == [0, 1, 1, 1]
    teacher, *students = [each for each in bench.outcomes() if each and each.status == status]
    assert len(students) == 2
    for student in students:
        assert student.step == 0
        assert student.failure is not None
        expected = f"its teacher, trial {teacher.trial_id}, {status}: it broke"
        assert student.failure.reason == expected
    again = FakeExecutor(saved)
    bench.conduct(again)
    assert len(again.assignments) == (3 if is_tried_again else 0)


@pytest.mark.parametrize("problem", ["gone", "damaged"])
def test_a_teacher_whose_weights_are_gone_is_run_again_only_if_a_student_needs_them(
    bench: Bench, problem: str
) -> None:
    bench.conduct(FakeExecutor(saved))
    teacher = bench.plan().trials[0].trial
    weights = trial_folder(bench.runs, teacher.trial_id) / FINAL_CHECKPOINT
    weights.unlink()
    if problem == "damaged":
        weights.write_bytes(b"veights" + seal(b"weights"))
    assert bench.plan().to_run == ()

    more = DISTILLED.replace("[64, 128]", "[64, 128, 256]")
    planned = bench.plan(more).trials[0]
    assert (planned.trial.trial_id, planned.state) == (teacher.trial_id, "new")
    assert f"its final checkpoint is {problem}" in planned.reason
    executor = FakeExecutor(saved)
    bench.conduct(executor, more)
    assert [is_teacher(each) for each in executor.assignments] == [True, False, False]


def test_a_run_stopped_between_teachers_and_students_goes_on_with_the_students(
    bench: Bench,
) -> None:
    with pytest.raises(InterruptedRunError):
        bench.conduct(FakeExecutor(lambda a: saved(a) if is_teacher(a) else None))
    executor = FakeExecutor(saved)
    bench.conduct(executor)

    assert [is_teacher(each) for each in executor.assignments] == [False] * 4


def test_invalidated_teacher_trains_again_before_its_students(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    bench.conduct(executor)
    teacher = executor.assignments[0].trial
    with Recorder(bench.runs) as recorder:
        void = recorder.record_invalidation(teacher.trial_id, "a bad disk")
    assert len(void) == 3
    assert all("a bad disk" in each.reason for each in bench.plan().to_run)
    again = FakeExecutor(saved)
    assert bench.conduct(again).num_run == 3
    assert [is_teacher(each) for each in again.assignments] == [True, False, False]
    assert all(each.trial.seed == teacher.seed for each in again.assignments)


def test_a_condition_that_is_its_own_teacher_is_one_trial(bench: Bench) -> None:
    both = (
        DISTILLED.replace("training.objective: dmd, diffusion.sampling_steps: 4, ", "")
        .replace(
            "model.num_embeddings: {levels: [64, 128], baseline: 64}",
            "training.objective: {levels: [diffusion, dmd], baseline: diffusion}",
        )
        .replace("set: {", "set: {model.quantizer: none, ")
    )
    plan = bench.plan(both)

    assert len(plan.trials) == 4
    assert not any(each.is_teacher for each in plan.trials)
    objectives = [each.trial.ours.training.objective for each in plan.trials]
    assert objectives == ["diffusion", "dmd"] * 2
    executor = FakeExecutor(saved)
    bench.conduct(executor, both)
    assert [is_teacher(each) for each in executor.assignments] == [True, True, False, False]
