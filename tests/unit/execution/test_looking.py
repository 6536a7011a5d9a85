"""Seeds are added look by look; a run that was killed between looks goes on where it was."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qdexp.api.judge import ReportJudge
from qdexp.errors import InterruptedRunError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted, conduct
from qdexp.execution.looking import LAST_LOOK, Judge
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.silence import SilentDisplay
from qdexp.experiment.plan import Plan
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Trial
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, Outcome
from tests.unit.execution.fakes import FakeDataset

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128, 256], baseline: 64}
seeds: {until_decided: true, min: 3, max: 8}
controls: [twin]
metrics: {primary: eval.denoising_loss, smallest_effect: 1%}
"""
NOISE = (0.003, -0.002, -0.0015, 0.004, -0.001, 0.0025, -0.0035, 0.001)


def measured(assignment: Assignment) -> Outcome:
    """256 codes are clearly better, 128 are not to be told from 64."""
    trial = assignment.trial
    loss = 0.5 + 0.01 * trial.seed
    codes = trial.ours.model.num_embeddings
    if codes == 256:
        loss -= 0.1 + NOISE[trial.seed % 8] / 10
    if codes == 128 or trial.ours.training.data_order:
        loss += 4 * NOISE[trial.seed % 8]
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=1,
        measurements={"eval.denoising_loss": loss},
    )


@dataclass
class Executor:
    """Ends trials as it is told to; stops before the trial that comes after so many."""

    end: Callable[[Assignment], Outcome] = measured
    stop_after: int | None = None
    ran: list[Trial] = field(default_factory=list)

    def check(self) -> None:
        pass

    def execute(
        self, assignments: Sequence[Assignment], listener: Listener, deadline: float | None = None
    ) -> None:
        del deadline
        for assignment in assignments:
            if len(self.ran) == self.stop_after:
                raise InterruptedRunError("stopped")
            self.ran.append(assignment.trial)
            listener.on_start(assignment.trial.trial_id)
            listener.on_outcome(self.end(assignment))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def spec(self, text: str = SPEC) -> Spec:
        path = self.folder / "spec.yaml"
        path.write_text(text)
        return read_spec(path)

    def plan(self, text: str = SPEC, judge: Judge | None = None) -> Plan:
        with Ledger(self.runs) as ledger:
            return plan_of(self.spec(text), ledger, FakeDataset(), judge or ReportJudge())

    def run(self, executor: Executor, text: str = SPEC) -> Conducted:
        outside = Collaborators(
            dataset=FakeDataset(),
            executor=executor,
            tracker=NoTracker(),
            display=SilentDisplay(),
            draw=lambda _outcome, _folder: [],
            provenance={"commit": "abc"},
            judge=ReportJudge(),
        )
        return conduct(self.spec(text), self.runs, outside)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def seeds_of(trials: Sequence[Trial], codes: int, order: int = 0) -> list[int]:
    return [
        trial.seed
        for trial in trials
        if trial.ours.model.num_embeddings == codes and trial.ours.training.data_order == order
    ]


def test_plan_before_the_first_trial_is_up_to_the_first_look(bench: Bench) -> None:
    plan = bench.plan()
    assert plan.counts() == {"new": 12}
    assert plan.ahead is not None
    assert plan.ahead.num_seeds == 3
    assert plan.ahead.num_more == 15
    assert "up to the look at 3 seeds (of 3, 5, 8)" in plan.summary()


def test_only_what_is_undecided_and_the_baseline_get_more_seeds(bench: Bench) -> None:
    executor = Executor()
    done = bench.run(executor)

    assert seeds_of(executor.ran, 256) == [0, 1, 2]
    assert seeds_of(executor.ran, 128) == list(range(8))
    assert seeds_of(executor.ran, 64) == list(range(8))
    assert seeds_of(executor.ran, 64, order=1) == [0, 1, 2]
    assert done.num_run == len(executor.ran) == 22
    assert done.num_incomplete == 0
    assert bench.plan().counts() == {"cached": 22}


def test_nothing_is_run_by_a_second_call(bench: Bench) -> None:
    bench.run(Executor())
    again = Executor()
    assert bench.run(again).num_run == 0
    assert again.ran == []


@pytest.mark.parametrize("number", [0, 5, 12, 13, 16, 20])
def test_a_run_that_was_stopped_anywhere_goes_on_to_the_same_trials(
    bench: Bench, number: int
) -> None:
    first, second = Executor(stop_after=number), Executor()
    with pytest.raises(InterruptedRunError):
        bench.run(first)
    bench.run(second)

    ran = [trial.trial_id for trial in (*first.ran, *second.ran)]
    assert len(ran) == len(set(ran)) == 22
    assert seeds_of([*first.ran, *second.ran], 256) == [0, 1, 2]


def test_a_plan_between_two_looks_says_what_comes_next(bench: Bench) -> None:
    with pytest.raises(InterruptedRunError):
        bench.run(Executor(stop_after=12))
    plan = bench.plan()
    assert plan.counts() == {"cached": 12, "new": 4}
    assert plan.ahead is not None
    assert plan.ahead.num_seeds == 5


def test_trials_that_fail_are_tried_once_and_do_not_hold_up_the_looks(bench: Bench) -> None:
    def failing(assignment: Assignment) -> Outcome:
        trial = assignment.trial
        if trial.seed == 1 and trial.ours.model.num_embeddings == 128:
            failure = Failure(reason="no", kind="exception")
            return Outcome(trial_id=trial.trial_id, status="failed", step=0, failure=failure)
        return measured(assignment)

    executor = Executor(end=failing)
    done = bench.run(executor)

    assert seeds_of(executor.ran, 128) == list(range(8))
    assert done.num_incomplete == 1
    again = Executor()
    bench.run(again)
    assert seeds_of(again.ran, 128) == [1]


def test_the_same_error_in_the_first_trials_stops_before_the_next_look(bench: Bench) -> None:
    def failing(assignment: Assignment) -> Outcome:
        failure = Failure(reason="no", kind="exception")
        trial_id = assignment.trial.trial_id
        return Outcome(trial_id=trial_id, status="failed", step=0, failure=failure)

    executor = Executor(end=failing)
    done = bench.run(executor)

    assert len(executor.ran) == 3
    assert "the first 3 trials all failed" in done.stopped
    assert bench.plan().counts() == {"new": 12}


def test_more_seeds_than_before_keep_what_is_there(bench: Bench) -> None:
    bench.run(Executor())
    later = Executor()
    bench.run(later, SPEC.replace("max: 8", "max: 12"))
    assert {trial.seed for trial in later.ran} <= set(range(8, 12))
    assert seeds_of(later.ran, 256) == []


def test_the_analysis_is_not_loaded_before_the_first_look_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InterruptedRunError):
        bench.run(Executor(stop_after=11))
    monkeypatch.setitem(sys.modules, "qdexp_analysis.judging", None)
    assert bench.plan().counts() == {"cached": 11, "new": 1}


def test_a_plan_of_all_looks_has_every_condition_to_the_last(bench: Bench) -> None:
    plan = bench.plan(judge=LAST_LOOK)
    assert len(plan.trials) == 3 * 8 + 3
    assert plan.ahead is not None
    assert plan.ahead.num_more == 0
    assert plan.ahead.in_words == "up to the look at 8 seeds (of 3, 5, 8), which is the last"
