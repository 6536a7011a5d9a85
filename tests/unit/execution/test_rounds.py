"""What may pass is tried again after a while, what will not is not, and the same error stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from qdexp.config.data_config import DataConfig
from qdexp.errors import BudgetSpentError, InterruptedRunError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted, conduct
from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Assignment, Begun, Entry, Listener, Reported
from qdexp.execution.rounds import back_off_seconds
from qdexp.execution.silence import SilentDisplay
from qdexp.experiment.plan import Plan
from qdexp.experiment.reader import read_spec
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 3
"""

Ending = Callable[[Assignment, int], Outcome]


def completed(trial_id: str) -> Outcome:
    return Outcome(trial_id=trial_id, status="completed", step=9)


def failed(trial_id: str, kind: FailureKind | None, reason: str = "it broke") -> Outcome:
    failure = Failure(reason=reason, kind=kind)
    return Outcome(trial_id=trial_id, status="failed", step=3, failure=failure)


class FakeDataset:
    def fingerprint(self, config: DataConfig) -> str:
        return f"digits {config.seed}"

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        return cache / f"{config.seed}"


class FakeTracker:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []

    @property
    def place(self) -> str:
        return "here"

    def open_experiment(self, entry: Entry) -> None:
        assert entry.name
        assert entry.question

    def start_trial(self, begun: Begun) -> None:
        assert begun.condition
        assert begun.started_at > 0
        self.started.append(begun.trial.trial_id)

    def log(self, trial_id: str, progress: Progress) -> None:
        assert trial_id
        assert progress

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        assert not files
        assert outcome.trial_id in self.started
        self.ended.append(outcome.trial_id)

    def end_experiment(self, reported: Reported) -> None:
        raise AssertionError(f"no report was asked for, found {reported}")

    def newly_mirrored(self) -> Sequence[str]:
        return ()

    def close(self) -> Sequence[str]:
        return ()


class FakeDisplay(SilentDisplay):
    def __init__(self) -> None:
        self.said: list[str] = []

    def on_plan(self, plan: Plan) -> None:
        assert plan

    def on_preparation(self, what: str) -> None:
        self.said.append(what)

    def on_start(self, trial_id: str) -> None:
        assert trial_id

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        assert trial_id
        assert progress

    def on_outcome(self, outcome: Outcome) -> None:
        assert outcome


@dataclass
class Clock:
    """Time that passes only while one waits."""

    now: float = 100.0
    waits: list[float] = field(default_factory=list[float])
    interrupted: bool = False

    def read(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if self.interrupted:
            raise KeyboardInterrupt


class FakeExecutor:
    """Ends every assignment as it is told to; the ending hears which attempt it is."""

    def __init__(self, end: Ending) -> None:
        self.end = end
        self.rounds: list[list[str]] = []
        self.assignments: list[Assignment] = []
        self.deadlines: list[float | None] = []

    def check(self) -> None:
        pass

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.deadlines.append(deadline)
        self.rounds.append([])
        for each in assignments:
            self.assignments.append(each)
            self.rounds[-1].append(each.trial.trial_id)
            listener.on_start(each.trial.trial_id)
            listener.on_progress(each.trial.trial_id, Progress(step=2, num_steps=9))
            listener.on_outcome(self.end(each, len(self.rounds)))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.clock = Clock()
        self.tracker = FakeTracker()
        self.display = FakeDisplay()

    def conduct(
        self, end: Ending | FakeExecutor, text: str = SPEC, *, keep_going: bool = False
    ) -> Conducted:
        path = self.folder / "spec.yaml"
        path.write_text(text)
        executor = end if isinstance(end, FakeExecutor) else FakeExecutor(end)
        outside = Collaborators(
            dataset=FakeDataset(),
            executor=executor,
            tracker=self.tracker,
            display=self.display,
            draw=lambda _outcome, _folder: [],
            provenance={},
            clock=self.clock.read,
            pause=self.clock.pause,
        )
        return conduct(read_spec(path), self.runs, outside, keep_going=keep_going)

    def outcomes(self) -> list[Outcome | None]:
        with Ledger(self.runs) as ledger:
            return [member.outcome for member in ledger.members("sizes")]

    def statuses(self) -> list[str | None]:
        return [each.status if each else None for each in self.outcomes()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("kind", ["worker_lost", "out_of_memory"])
def test_what_may_pass_is_tried_again_in_the_next_round(bench: Bench, kind: FailureKind) -> None:
    def end(one: Assignment, number: int) -> Outcome:
        is_lost = one.trial.seed == 1 and number < 3
        return failed(one.trial.trial_id, kind) if is_lost else completed(one.trial.trial_id)

    executor = FakeExecutor(end)
    assert bench.conduct(executor).num_incomplete == 0
    assert [len(each) for each in executor.rounds] == [6, 2, 2]
    assert executor.rounds[1] == executor.rounds[2]
    assert bench.clock.waits == [back_off_seconds(2), back_off_seconds(3)] == [5.0, 20.0]
    assert bench.display.said[-1] == (
        "attempt 3 of 3, in 20 s, for 2 trials whose worker was lost or ran out of memory"
    )
    assert len(bench.tracker.ended) == 6
    with Ledger(bench.runs) as ledger:
        assert [m.num_starts for m in ledger.members("sizes")] == [1, 1, 3, 3, 1, 1]


def test_last_attempt_is_what_is_recorded(bench: Bench) -> None:
    def end(one: Assignment, number: int) -> Outcome:
        if one.trial.seed:
            return completed(one.trial.trial_id)
        return failed(one.trial.trial_id, "worker_lost", f"death number {number}")

    text = SPEC + "resources: {retries: 1}\n"
    assert bench.conduct(end, text) == Conducted(num_run=6, num_incomplete=2, notes=())
    reasons = {each.failure.reason for each in bench.outcomes() if each and each.failure}
    assert reasons == {"death number 2 (attempt 2 of 2)"}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("exception", SPEC),
        ("timeout", SPEC),
        ("worker_lost", SPEC + "resources: {retries: 0}\n"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(bench: Bench, kind: FailureKind, text: str) -> None:
    executor = FakeExecutor(lambda one, _: failed(one.trial.trial_id, kind, one.trial.trial_id[:4]))
    bench.conduct(executor, text)
    assert len(executor.rounds) == 1
    assert bench.clock.waits == []
    assert bench.statuses() == ["failed"] * 6


def test_driver_that_is_stopped_while_it_waits_leaves_the_trial_to_the_next_run(
    bench: Bench,
) -> None:
    bench.clock.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        bench.conduct(lambda one, _: failed(one.trial.trial_id, "worker_lost"))
    assert bench.statuses() == [None] * 6
    bench.clock.interrupted = False
    assert bench.conduct(lambda one, _: completed(one.trial.trial_id)).num_incomplete == 0


def test_same_error_in_the_first_three_trials_cancels_the_rest(bench: Bench) -> None:
    def end(one: Assignment, _: int) -> Outcome:
        own = f"KeyError: no such column\nin trial {one.trial.trial_id}"
        return failed(one.trial.trial_id, "exception", own)

    done = bench.conduct(end)
    assert bench.statuses() == ["failed"] * 3 + ["cancelled"] * 3
    assert "the same error, exception: KeyError: no such column; mend it" in done.stopped
    assert "--keep-going" in done.stopped
    assert (done.num_run, done.num_incomplete) == (6, 6)
    last = bench.outcomes()[-1]
    assert last is not None
    assert last.failure is not None
    assert last.failure.reason == done.stopped
    assert len(bench.tracker.ended) == 6
    with Ledger(bench.runs) as ledger:
        assert [m.num_starts for m in ledger.members("sizes")] == [1, 1, 1, 0, 0, 0]
    again = FakeExecutor(lambda one, _: completed(one.trial.trial_id))
    assert bench.conduct(again).num_incomplete == 0
    assert len(again.assignments) == 6


def test_error_that_names_its_trial_is_the_same_error(bench: Bench) -> None:
    def end(one: Assignment, _: int) -> Outcome:
        return failed(one.trial.trial_id, "exception", f"OSError: no {one.trial.trial_id}/x")

    assert "OSError: no its trial/x" in bench.conduct(end).stopped


@pytest.mark.parametrize("odd", range(3))
def test_one_other_end_among_the_first_three_lets_the_rest_run(bench: Bench, odd: int) -> None:
    ends = iter(range(6))

    def end(one: Assignment, _: int) -> Outcome:
        other = next(ends) == odd
        return failed(one.trial.trial_id, "exception", "another" if other else "the same")

    assert bench.conduct(end).stopped == ""
    assert bench.statuses() == ["failed"] * 6


def test_three_that_diverge_are_results(bench: Bench) -> None:
    def end(one: Assignment, _: int) -> Outcome:
        failure = Failure(reason="loss is nan at step 3", step=3)
        trial_id = one.trial.trial_id
        return Outcome(trial_id=trial_id, status="diverged", step=3, failure=failure)

    assert bench.conduct(end).stopped == ""
    assert bench.statuses() == ["diverged"] * 6


def test_keep_going_overrides(bench: Bench) -> None:
    done = bench.conduct(lambda one, _: failed(one.trial.trial_id, "exception"), keep_going=True)
    assert done.stopped == ""
    assert bench.statuses() == ["failed"] * 6


def test_three_trials_that_are_all_leave_nothing_to_cancel(bench: Bench) -> None:
    text = SPEC.replace("[64, 128]", "[64]")
    done = bench.conduct(lambda one, _: failed(one.trial.trial_id, "exception"), text)
    assert done == Conducted(num_run=3, num_incomplete=3, notes=())


def test_trial_that_waited_for_another_attempt_ends_as_its_last_one(bench: Bench) -> None:
    ends = iter(["worker_lost", "exception", "exception", "exception"])

    def end(one: Assignment, _: int) -> Outcome:
        return failed(one.trial.trial_id, cast("FailureKind", next(ends)))

    bench.conduct(end)
    assert bench.statuses() == ["failed"] * 4 + ["cancelled"] * 2
    first = bench.outcomes()[0]
    assert first is not None
    assert first.failure == Failure(reason="it broke", kind="worker_lost")


def test_budgets_reach_every_round(bench: Bench) -> None:
    def end(one: Assignment, number: int) -> Outcome:
        trial_id = one.trial.trial_id
        return failed(trial_id, "worker_lost") if number == 1 else completed(trial_id)

    executor = FakeExecutor(end)
    bench.conduct(executor, SPEC + "budget: {trial: 30 min, experiment: 2 h}\n")
    assert executor.deadlines == [100.0 + 7200.0] * 2
    assert {each.budget_seconds for each in executor.assignments} == {1800.0}


def test_budget_that_ends_before_the_next_round_stops_at_once(bench: Bench) -> None:
    text = SPEC + "budget: {experiment: 4 s}\n"
    with pytest.raises(BudgetSpentError) as caught:
        bench.conduct(lambda one, _: failed(one.trial.trial_id, "worker_lost"), text)
    assert isinstance(caught.value, InterruptedRunError)
    assert bench.clock.waits == []
    assert bench.statuses() == [None] * 6


def test_waits_grow_up_to_five_minutes() -> None:
    waits = [back_off_seconds(attempt) for attempt in range(2, 102)]
    assert waits[:4] == [5.0, 20.0, 80.0, 300.0]
    assert set(waits[3:]) == {300.0}


@pytest.mark.parametrize(
    ("device", "other_seed_only", "expected"),
    [("NVIDIA H100", True, 3e9), ("cpu", True, None), ("NVIDIA H100", False, None)],
)
def test_memory_measured_on_a_gpu_comes_with_trials_of_the_same_configuration(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    expected: float | None,
    *,
    other_seed_only: bool,
) -> None:
    monkeypatch.setattr("qdexp.execution.assigner.num_gpus", lambda: 1)

    def end(one: Assignment, _: int) -> Outcome:
        return Outcome(
            trial_id=one.trial.trial_id,
            status="completed",
            step=9,
            measurements={"cost.peak_memory_bytes": 1e9 + 1e9 * one.trial.seed},
            provenance={"device": device},
        )

    bench.conduct(end)
    executor = FakeExecutor(end)
    text = SPEC.replace("seeds: 3", "seeds: 4")
    if not other_seed_only:
        text = text.replace("preset: tiny", "preset: tiny\nset: {training.batch_size: 3}")
    bench.conduct(executor, text)
    assert {each.peak_memory_bytes for each in executor.assignments} == {expected}


def test_plan_is_not_changed_by_budgets_and_resources(bench: Bench) -> None:
    bench.conduct(lambda one, _: completed(one.trial.trial_id))
    path = bench.folder / "spec.yaml"
    path.write_text(SPEC + "budget: {trial: 1 s}\nresources: {processes: 2, retries: 9}\n")
    with Ledger(bench.runs) as ledger:
        assert plan_of(read_spec(path), ledger, FakeDataset()).counts() == {"cached": 6}
