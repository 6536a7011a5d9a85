"""What a search gives an executor: teachers first, another attempt later, nothing in vain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from searches import ended, records_of, searched, spec_of

from qdexp.config.data_config import DataConfig
from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.search_ports import Feed
from qdexp.results.folders import FINAL_CHECKPOINT
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress
from qdexp.results.sealed import seal

End = Callable[[Assignment, int], Outcome]

DISTILLED = {
    "preset": "tiny",
    "trainable": None,
    "set": {
        "training.objective": "dmd",
        "diffusion.sampling_steps": 4,
        "distillation.max_steps": 50,
    },
    "space": {"model.num_embeddings": {"choices": [64, 128, 256, 512]}},
    "metrics": {"primary": "eval.denoising_loss"},
    "budget": {"trials": 3},
}


@dataclass
class Scripted:
    """An executor in which a trial ends as a function says, `at_once` of them side by side."""

    end: End
    at_once: int = 1
    given: list[str] = field(default_factory=list)

    def check(self) -> None:
        pass

    def execute(
        self, assignments: Sequence[Assignment], listener: Listener, deadline: float | None = None
    ) -> None:
        raise AssertionError(assignments, listener, deadline)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        assert deadline is workers is None
        running: list[Assignment] = []
        while True:
            while len(running) < self.at_once and (assignment := feed.take()):
                running.append(assignment)
                self.given.append(assignment.trial.trial_id)
                listener.on_start(assignment.trial.trial_id)
            if not running:
                return
            assignment = running.pop(0)
            trial_id = assignment.trial.trial_id
            listener.on_progress(trial_id, Progress(step=1, num_steps=2))
            listener.on_outcome(self.end(assignment, self.given.count(trial_id)))

    def gpus_of_trial(self) -> float:
        return 0.0


class Watch:
    """A clock that goes on where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def read(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Digits:
    def fingerprint(self, config: DataConfig) -> str:
        return f"digits {config.seed}"

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        return cache / f"latents {config.seed}"


def completed(assignment: Assignment, _attempt: int = 1) -> Outcome:
    (assignment.workspace.folder / FINAL_CHECKPOINT).write_bytes(b"weights" + seal(b"weights"))
    measured = {"error": 0.5, "eval.denoising_loss": 0.5}
    return Outcome(
        trial_id=assignment.trial.trial_id, status="completed", step=2, measurements=measured
    )


def failed(assignment: Assignment, kind: FailureKind) -> Outcome:
    failure = Failure(reason=f"its {kind}", kind=kind)
    return Outcome(trial_id=assignment.trial.trial_id, status="failed", step=1, failure=failure)


def test_lost_worker_is_replaced_later_while_others_go_on(tmp_path: Path) -> None:
    def loses_the_second(assignment: Assignment, attempt: int) -> Outcome:
        is_it = executor.given.index(assignment.trial.trial_id) == 1 and attempt == 1
        return failed(assignment, "worker_lost") if is_it else completed(assignment)

    executor, watch = Scripted(loses_the_second), Watch()
    done = searched(spec_of(), tmp_path, executor=executor, clock=watch.read, pause=watch.pause)
    second = executor.given[1]
    assert executor.given.index(second, 2) == 6, "after all the others"
    assert [ended(each).ending for each in records_of(tmp_path)] == ["complete"] * 6
    assert watch.pauses == [5.0]
    assert (done.num_run, done.num_incomplete) == (6, 0)


def test_worker_that_is_lost_each_time_fails_after_the_retries(tmp_path: Path) -> None:
    def loses_all_but_the_first(assignment: Assignment, _attempt: int) -> Outcome:
        is_first = executor.given[0] == assignment.trial.trial_id
        return completed(assignment) if is_first else failed(assignment, "worker_lost")

    executor = Scripted(loses_all_but_the_first)
    spec = spec_of(budget={"trials": 2}, resources={"retries": 1})
    watch = Watch()
    searched(spec, tmp_path, executor=executor, clock=watch.read, pause=watch.pause)
    assert len(executor.given) == 3
    assert "its worker_lost (attempt 2 of 2)" in ended(records_of(tmp_path)[1]).reason


def test_seeds_of_a_configuration_that_has_no_value_do_not_begin(tmp_path: Path) -> None:
    def fails_with_seed_1(assignment: Assignment, _attempt: int) -> Outcome:
        is_it = assignment.trial.seed == 1 and executor.given[1] != assignment.trial.trial_id
        return failed(assignment, "exception") if is_it else completed(assignment)

    executor = Scripted(fails_with_seed_1)
    searched(spec_of(seeds=3, budget={"trials": 6}), tmp_path, executor=executor)
    baseline, other = records_of(tmp_path)
    assert ended(baseline).ending == "complete"
    assert ended(other).ending == "failed"
    assert ended(other).reason.endswith("failed: its exception")
    assert executor.given == [*baseline.trial_ids, *other.trial_ids[:2]]
    with Ledger(tmp_path) as ledger:
        last = ledger.trial(other.trial_ids[2]).outcome
    assert last is not None
    assert last.status == "cancelled"


def test_teacher_runs_once_and_before_its_students(tmp_path: Path) -> None:
    executor = Scripted(completed, at_once=4)
    searched(spec_of(**DISTILLED), tmp_path, executor=executor, dataset=Digits())
    records = records_of(tmp_path)
    teacher, *students = executor.given
    assert students == [each.trial_ids[0] for each in records]
    assert [ended(each).ending for each in records] == ["complete"] * 3
    with Ledger(tmp_path) as ledger:
        members = {each.trial_id: each.condition for each in ledger.members("hill")}
    assert members[teacher] == {}
    assert len(members) == 4


def test_students_of_a_teacher_that_failed_end_as_it_did(tmp_path: Path) -> None:
    def teaches_nothing(assignment: Assignment, _attempt: int) -> Outcome:
        return failed(assignment, "exception")

    executor = Scripted(teaches_nothing)
    spec = spec_of(**{**DISTILLED, "budget": {"trials": 1}})
    searched(spec, tmp_path, executor=executor, dataset=Digits())
    (record,) = records_of(tmp_path)
    assert len(executor.given) == 1
    assert ended(record).ending == "failed"
    assert "its teacher, trial" in ended(record).reason
