"""Whatever happens to trials is in the ledger first, and nothing is run twice."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from qdexp.config.data_config import DataConfig
from qdexp.errors import InterruptedRunError, RequestError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted, conduct
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Assignment, Begun, Entry, Listener, Reported
from qdexp.execution.silence import SilentDisplay
from qdexp.experiment.plan import Plan
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Array, Failure, Outcome, Progress
from qdexp.results.recorder import Recorder
from qdexp.results.sealed import seal

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set: {training.max_steps: 200}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
"""
DISTILLED = """\
name: sizes
question: Does a student need a large codebook?
preset: tiny
set: {training.objective: dmd, diffusion.sampling_steps: 4, distillation.max_steps: 50}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
"""
SAMPLED = """\
name: sizes
question: How many steps does sampling need?
preset: tiny
factors:
  diffusion.sampling_steps: {levels: [2, 4, 8], baseline: 4}
seeds: 1
"""


class FakeDataset:
    def fingerprint(self, config: DataConfig) -> str:
        return f"digits {config.seed}"

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        return cache / f"latents {config.seed}"


def completed(assignment: Assignment) -> Outcome:
    trial = assignment.trial
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=trial.configuration.num_steps,
        measurements={"eval.denoising_loss": 0.5},
        arrays={"eval.code_counts": Array(shape=(2,), values=(1.0, 2.0))},
        provenance={"host": "worker"},
    )


def saved(assignment: Assignment) -> Outcome:
    (assignment.workspace.folder / FINAL_CHECKPOINT).write_bytes(b"weights" + seal(b"weights"))
    return completed(assignment)


def is_teacher(assignment: Assignment) -> bool:
    return assignment.trial.ours.training.objective == "diffusion"


class FakeExecutor:
    """Ends every assignment as it is told to, and remembers what it got."""

    def __init__(self, end: Callable[[Assignment], Outcome | None] = completed) -> None:
        self.end = end
        self.refusal = ""
        self.assignments: list[Assignment] = []
        self.deadlines: list[float | None] = []

    def check(self) -> None:
        if self.refusal:
            raise RequestError(self.refusal)

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.deadlines.append(deadline)
        for assignment in assignments:
            self.assignments.append(assignment)
            listener.on_start(assignment.trial.trial_id)
            listener.on_progress(assignment.trial.trial_id, Progress(step=1, num_steps=2))
            outcome = self.end(assignment)
            if outcome is None:
                raise InterruptedRunError("stopped")
            listener.on_outcome(outcome)


class FakeTracker:
    def __init__(self, notes: Sequence[str] = (), unable: Collection[str] = ()) -> None:
        self.notes = notes
        self.unable = unable
        self.mirrored: list[str] = []
        self.calls: list[tuple[str, str]] = []

    @property
    def place(self) -> str:
        return "here"

    def open_experiment(self, entry: Entry) -> None:
        self.calls.append(("experiment", f"{entry.name}: {entry.question}"))

    def start_trial(self, begun: Begun) -> None:
        assert begun.started_at > 0
        assert begun.tags["commit"] == "abc"
        assert begun.condition or begun.trial.ours.model.quantizer == "none"
        self.calls.append(("start", begun.trial.trial_id))

    def log(self, trial_id: str, progress: Progress) -> None:
        assert progress.step > 0
        self.calls.append(("log", trial_id))

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        assert [file.name for file in files] == (["codes.png"] if outcome.arrays else [])
        self.calls.append(("end", outcome.trial_id))
        if outcome.trial_id not in self.unable:
            self.mirrored.append(outcome.trial_id)

    def end_experiment(self, reported: Reported) -> None:
        self.calls.append(("report", " ".join(reported.summary)))

    def newly_mirrored(self) -> Sequence[str]:
        mirrored, self.mirrored = self.mirrored, []
        return mirrored

    def close(self) -> Sequence[str]:
        return self.notes


class FakeDisplay(SilentDisplay):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_plan(self, plan: Plan) -> None:
        self.seen.append(plan.summary())

    def on_preparation(self, what: str) -> None:
        self.seen.append(what)

    def on_start(self, trial_id: str) -> None:
        self.seen.append(f"start {trial_id}")

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self.seen.append(f"progress {trial_id} {progress.step}")

    def on_outcome(self, outcome: Outcome) -> None:
        self.seen.append(f"end {outcome.trial_id}")


class Bench:
    """A runs folder with everything around it faked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.tracker = FakeTracker()

    def spec(self, text: str = SPEC) -> Spec:
        path = self.folder / "spec.yaml"
        path.write_text(text)
        return read_spec(path)

    def plan(self, text: str = SPEC) -> Plan:
        with Ledger(self.runs) as ledger:
            return plan_of(self.spec(text), ledger, FakeDataset())

    def conduct(
        self, executor: FakeExecutor, text: str = SPEC, *, is_tracked: bool = True
    ) -> Conducted:
        outside = Collaborators(
            dataset=FakeDataset(),
            executor=executor,
            tracker=self.tracker if is_tracked else NoTracker(),
            display=FakeDisplay(),
            draw=lambda outcome, folder: [folder / "codes.png"] if outcome.arrays else [],
            provenance={"commit": "abc"},
        )
        return conduct(self.spec(text), self.runs, outside)

    def outcomes(self) -> list[Outcome | None]:
        with Ledger(self.runs) as ledger:
            return [member.outcome for member in ledger.members("sizes")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_trial_runs_once_and_is_recorded(bench: Bench) -> None:
    first, again = FakeExecutor(), FakeExecutor()
    assert bench.conduct(first) == Conducted(num_run=4, num_incomplete=0, notes=())
    assert len({each.trial.trial_id for each in first.assignments}) == 4
    assert bench.conduct(again) == Conducted(num_run=0, num_incomplete=0, notes=())
    assert again.assignments == []
    for outcome in bench.outcomes():
        assert outcome is not None
        assert {"commit": "abc", "host": "worker"}.items() <= outcome.provenance.items()
        assert outcome.provenance["experiment"] == "sizes"


def test_new_level_runs_only_its_own_trials(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    bench.conduct(executor, SPEC.replace("[64, 128]", "[64, 128, 256]"))
    assert {each.trial.ours.model.num_embeddings for each in executor.assignments} == {256}
    assert len(executor.assignments) == 2


def test_other_experiment_shares_trials(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    bench.conduct(executor, SPEC.replace("name: sizes", "name: others"))
    assert executor.assignments == []


def test_failed_trial_is_recorded_and_tried_again(bench: Bench) -> None:
    def end(assignment: Assignment) -> Outcome:
        outcome = completed(assignment)
        if assignment.trial.seed == 0:
            return outcome
        failure = Failure(reason="ValueError: no", kind="exception")
        return replace(outcome, status="failed", failure=failure, measurements={}, arrays={})

    assert bench.conduct(FakeExecutor(end)).num_incomplete == 2
    again = FakeExecutor()
    assert bench.conduct(again).num_incomplete == 0
    assert {each.trial.seed for each in again.assignments} == {1}


def test_diverged_trial_is_a_result(bench: Bench) -> None:
    def end(assignment: Assignment) -> Outcome:
        failure = Failure(reason="loss is nan at step 3", step=3)
        return replace(completed(assignment), status="diverged", failure=failure)

    assert bench.conduct(FakeExecutor(end)).num_incomplete == 4
    again = FakeExecutor()
    assert bench.conduct(again).num_incomplete == 4
    assert again.assignments == []


def test_interruption_keeps_what_is_finished(bench: Bench) -> None:
    ends = iter([completed, lambda _: None])
    with pytest.raises(InterruptedRunError):
        bench.conduct(FakeExecutor(lambda assignment: next(ends)(assignment)))
    assert [outcome is not None for outcome in bench.outcomes()] == [True, False, False, False]
    assert bench.conduct(FakeExecutor()).num_run == 3


def test_executor_that_cannot_run_here_is_refused_before_anything_is_written(bench: Bench) -> None:
    executor = FakeExecutor()
    executor.refusal = "expected at most 2 CPUs, found 64"
    with pytest.raises(RequestError, match="found 64"):
        bench.conduct(executor)
    assert not bench.runs.exists()


def test_seed_s_trials_are_neighbours_so_that_early_results_are_paired(bench: Bench) -> None:
    executor = FakeExecutor()
    bench.conduct(executor)
    assert [each.trial.seed for each in executor.assignments] == [0, 0, 1, 1]


def test_tracker_hears_each_outcome_once(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    bench.conduct(FakeExecutor())
    assert [kind for kind, _ in bench.tracker.calls].count("end") == 4
    assert ("experiment", "sizes: Does size matter?") in bench.tracker.calls


def test_tracker_that_failed_is_caught_up_by_the_next_run(bench: Bench) -> None:
    ids = [planned.trial.trial_id for planned in bench.plan().trials]
    bench.tracker = FakeTracker(notes=["database is locked"], unable=ids)
    assert bench.conduct(FakeExecutor()).notes == ("database is locked",)
    bench.tracker = FakeTracker()
    assert bench.conduct(FakeExecutor()) == Conducted(num_run=0, num_incomplete=0, notes=())
    assert [kind for kind, _ in bench.tracker.calls] == ["experiment"] + ["start", "end"] * 4
    bench.tracker = FakeTracker()
    bench.conduct(FakeExecutor())
    assert bench.tracker.calls == []


def test_picture_that_cannot_be_drawn_is_noted_once_and_loses_nothing(bench: Bench) -> None:
    def torn(assignment: Assignment) -> Outcome:
        trial_folder(bench.runs, assignment.trial.trial_id).rmdir()
        trial_folder(bench.runs, assignment.trial.trial_id).touch()
        return replace(completed(assignment), arrays={})

    done = bench.conduct(FakeExecutor(torn))
    assert (done.num_run, done.num_incomplete, len(done.notes)) == (4, 0, 4)
    assert "the pictures of trial" in done.notes[0]
    assert [kind for kind, _ in bench.tracker.calls].count("end") == 4
    assert bench.conduct(FakeExecutor()).notes == ()


def test_experiment_that_shares_trials_is_mirrored_too(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    bench.tracker = FakeTracker()
    bench.conduct(FakeExecutor(), SPEC.replace("name: sizes", "name: others"))
    assert [kind for kind, _ in bench.tracker.calls].count("end") == 4


def test_nothing_to_run_needs_no_executor(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    executor.refusal = "the engine would take seconds to import"
    assert bench.conduct(executor).num_run == 0


def test_what_ran_untracked_is_caught_up_by_a_run_that_is_tracked(bench: Bench) -> None:
    bench.conduct(FakeExecutor(), is_tracked=False)
    assert not any(kind in ("start", "end") for kind, _ in bench.tracker.calls)
    assert bench.conduct(FakeExecutor(), is_tracked=False) == Conducted(
        num_run=0, num_incomplete=0, notes=()
    )
    bench.conduct(FakeExecutor())
    assert [kind for kind, _ in bench.tracker.calls].count("end") == 4


def test_plan_touches_nothing(bench: Bench) -> None:
    assert bench.plan().counts() == {"new": 4}
    assert not bench.runs.exists()


def test_trial_with_a_checkpoint_is_planned_from_its_step(bench: Bench) -> None:
    trial_id = bench.plan().trials[0].trial.trial_id
    folder = trial_folder(bench.runs, trial_id)
    folder.mkdir(parents=True)
    (folder / checkpoint_name(20)).touch()
    (folder / checkpoint_name(100)).touch()
    assert bench.plan().trials[0].reason == "from step 100"


def test_longer_trial_starts_from_the_shorter_one(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    shorter = bench.plan().trials[0].trial
    checkpoint = trial_folder(bench.runs, shorter.trial_id) / FINAL_CHECKPOINT
    checkpoint.touch()
    longer = SPEC.replace("200", "400")
    planned = bench.plan(longer).trials[0]
    assert planned.reason == f"from step 200 of trial {shorter.trial_id}"
    executor = FakeExecutor()
    bench.conduct(executor, longer)
    assert executor.assignments[0].workspace.start_from == checkpoint
    assert executor.assignments[1].workspace.start_from is None


def test_changed_input_makes_trials_stale_and_says_which(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    plan = bench.plan(SPEC.replace("200}", "200, data.seed: 7}"))
    assert plan.counts() == {"stale": 4}
    assert plan.trials[0].reason == "data.seed changed from 0 to 7"


def test_level_taken_away_leaves_orphans(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    plan = bench.plan(SPEC.replace("[64, 128]", "[64]"))
    assert plan.counts() == {"cached": 2, "orphaned": 2}


def test_teachers_run_first_and_every_student_gets_the_weights_of_its_seeds(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    assert bench.conduct(executor, DISTILLED).num_run == 6
    teachers, students = executor.assignments[:2], executor.assignments[2:]

    assert [is_teacher(each) for each in executor.assignments] == [True] * 2 + [False] * 4
    of_seed = {each.trial.seed: each.workspace.folder / FINAL_CHECKPOINT for each in teachers}
    assert [each.workspace.teacher for each in students] == [
        of_seed[each.trial.seed] for each in students
    ]
    assert all(each.workspace.start_from is None for each in executor.assignments)
    again = FakeExecutor()
    assert bench.conduct(again, DISTILLED).num_run == 0


def test_a_plan_shows_teachers_first_and_who_waits_for_them(bench: Bench) -> None:
    plan = bench.plan(DISTILLED)
    teachers, students = plan.trials[:2], plan.trials[2:]

    assert [each.is_teacher for each in plan.trials] == [True] * 2 + [False] * 4
    known = {each.trial.seed: each.trial.trial_id for each in teachers}
    assert [each.waits_for for each in students] == [known[each.trial.seed] for each in students]
    assert [each.waits_for for each in teachers] == [None, None]


def test_a_new_codebook_size_and_another_experiment_share_the_teachers(bench: Bench) -> None:
    bench.conduct(FakeExecutor(saved), DISTILLED)
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
    assert bench.conduct(executor, DISTILLED) == Conducted(num_run=6, num_incomplete=3, notes=())
    assert [each.trial.seed for each in executor.assignments] == [0, 1, 1, 1]
    teacher, *students = [each for each in bench.outcomes() if each and each.status == status]
    assert len(students) == 2
    for student in students:
        assert student.step == 0
        assert student.failure is not None
        expected = f"its teacher, trial {teacher.trial_id}, {status}: it broke"
        assert student.failure.reason == expected
    again = FakeExecutor(saved)
    bench.conduct(again, DISTILLED)
    assert len(again.assignments) == (3 if is_tried_again else 0)


@pytest.mark.parametrize("problem", ["gone", "damaged"])
def test_a_teacher_whose_weights_are_gone_is_run_again_only_if_a_student_needs_them(
    bench: Bench, problem: str
) -> None:
    bench.conduct(FakeExecutor(saved), DISTILLED)
    teacher = bench.plan(DISTILLED).trials[0].trial
    weights = trial_folder(bench.runs, teacher.trial_id) / FINAL_CHECKPOINT
    weights.unlink()
    if problem == "damaged":
        weights.write_bytes(b"veights" + seal(b"weights"))
    assert bench.plan(DISTILLED).to_run == ()

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
        bench.conduct(FakeExecutor(lambda a: saved(a) if is_teacher(a) else None), DISTILLED)
    executor = FakeExecutor(saved)
    bench.conduct(executor, DISTILLED)

    assert [is_teacher(each) for each in executor.assignments] == [False] * 4


def test_conditions_that_differ_in_sampling_are_trained_once(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    bench.conduct(executor, SAMPLED)
    first, *others = executor.assignments

    assert first.workspace.start_from is None
    assert len(others) == 2
    trained = first.workspace.folder / FINAL_CHECKPOINT
    assert {each.workspace.start_from for each in others} == {trained}


def test_conditions_of_growing_length_continue_each_other(bench: Bench) -> None:
    text = SAMPLED.replace("diffusion.sampling_steps", "training.max_steps").replace("8]", "8, 6]")
    executor = FakeExecutor(saved)
    bench.conduct(executor, text)
    lengths = [each.trial.configuration.num_steps for each in executor.assignments]
    starts = [each.workspace.start_from for each in executor.assignments]

    assert lengths == [2, 4, 6, 8]
    before = [each.workspace.folder / FINAL_CHECKPOINT for each in executor.assignments]
    assert starts == [None, *before[:-1]]


def test_what_continued_an_invalidated_trial_runs_again_with_it(bench: Bench) -> None:
    text = SAMPLED.replace("diffusion.sampling_steps", "training.max_steps").replace("8]", "8, 6]")
    executor = FakeExecutor(saved)
    bench.conduct(executor, text)
    first, second, *others = executor.assignments
    with Recorder(bench.runs) as recorder:
        void = recorder.record_invalidation(second.trial.trial_id, "a bad disk")
    assert {each.trial_id for each in void} == {each.trial.trial_id for each in (second, *others)}
    again = FakeExecutor(saved)
    bench.conduct(again, text)
    lengths = sorted(each.trial.configuration.num_steps for each in again.assignments)
    assert lengths == [4, 6, 8]
    assert again.assignments[0].workspace.start_from == first.workspace.folder / FINAL_CHECKPOINT
    assert bench.plan(text).counts() == {"cached": 4}


def test_invalidated_teacher_trains_again_before_its_students(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    bench.conduct(executor, DISTILLED)
    teacher = executor.assignments[0].trial
    with Recorder(bench.runs) as recorder:
        void = recorder.record_invalidation(teacher.trial_id, "a bad disk")
    assert len(void) == 3
    assert all("a bad disk" in each.reason for each in bench.plan(DISTILLED).to_run)
    again = FakeExecutor(saved)
    assert bench.conduct(again, DISTILLED).num_run == 3
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
