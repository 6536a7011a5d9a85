"""What every executor does, as one suite that each of them passes."""

import os
import signal
from pathlib import Path

import pytest
from toy_assignments import Heard, assignment

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import InterruptedRunError, LedgerError
from qdexp.execution.ports import Assignment, Executor
from qdexp.results.outcome import Outcome, Progress

ENDINGS = (
    "completes",
    "raises",
    "exits",
    "exhausts_memory",
    "diverges",
    "ends_in_nan",
    "forgets_its_outcome",
    "reports_for_another",
    "goes_on_after_its_outcome",
    "is_not_there",
)


class Refusing(Heard):
    """A listener that cannot keep outcomes."""

    def on_outcome(self, outcome: Outcome) -> None:
        raise LedgerError(f"no space for {outcome.status}")


class ExecutorContract:
    """The suite; a subclass names its executor."""

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Executor:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def endings(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assignment]:
        folder = tmp_path_factory.mktemp("endings")
        return {toy: assignment(folder, toy) for toy in ENDINGS}

    @pytest.fixture(scope="class")
    @classmethod
    def heard(cls, executor: Executor, endings: dict[str, Assignment]) -> Heard:
        heard = Heard()
        executor.execute(list(endings.values()), heard)
        return heard

    def test_every_trial_starts_once_and_ends_in_exactly_one_outcome(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        for each in endings.values():
            first, *between, last = heard.of(each.trial.trial_id)
            assert first == "start"
            assert all(isinstance(event, Progress) for event in between)
            assert isinstance(last, Outcome)

    def test_progress_arrives_complete_and_in_order(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        _, *progress, _ = heard.of(endings["completes"].trial.trial_id)
        assert progress == [
            Progress(step=step, num_steps=4, measurements={"train.toy": step / 8})
            for step in range(4)
        ]

    def test_completed_trial_brings_its_measurements_and_where_it_ran(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["completes"])
        assert (outcome.status, outcome.measurements) == ("completed", {"eval.toy": 0.0})
        assert outcome.provenance["host"]
        assert outcome.provenance["pid"] > 0
        assert 0 < outcome.provenance["started_at"] <= outcome.provenance["finished_at"]

    def test_raising_trial_fails_with_its_reason_step_traceback_and_history(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["raises"])
        assert outcome.status == "failed"
        assert outcome.failure is not None
        assert outcome.failure.kind == "exception"
        assert outcome.failure.reason == "ValueError: the toy broke"
        assert outcome.failure.step == outcome.step == 1
        assert "in raises" in outcome.failure.traceback
        assert outcome.history["train.toy"].values == (0.0, 0.125)

    @pytest.mark.parametrize(
        ("toy", "kind", "reason"),
        [
            ("exits", "exception", "SystemExit: 3"),
            ("exhausts_memory", "out_of_memory", "MemoryError"),
            ("forgets_its_outcome", "exception", "expected an outcome as the last report"),
            ("reports_for_another", "exception", "found that of 0000000000000000"),
            ("is_not_there", "exception", "toy_trainables has no function 'is_not_there'"),
        ],
    )
    def test_failure_says_of_what_kind_it_is_and_why(
        self, heard: Heard, endings: dict[str, Assignment], toy: str, kind: str, reason: str
    ) -> None:
        outcome = heard.outcome(endings[toy])
        assert outcome.status == "failed"
        assert outcome.failure is not None
        assert outcome.failure.kind == kind
        assert reason in outcome.failure.reason

    def test_non_finite_loss_is_divergence_at_its_step(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["diverges"])
        assert (outcome.status, outcome.step) == ("diverged", 2)
        assert outcome.failure is not None
        assert outcome.failure.reason.startswith("loss is nan at step 2")

    def test_completion_with_a_non_finite_measurement_is_divergence(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["ends_in_nan"])
        assert outcome.status == "diverged"
        assert outcome.failure is not None
        assert outcome.failure.reason == "eval.toy is nan after the last step"
        assert outcome.measurements["eval.fine"] == 1.0

    def test_what_follows_an_outcome_is_not_heard(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        events = heard.of(endings["goes_on_after_its_outcome"].trial.trial_id)
        assert len(events) == 1 + 4 + 1

    def test_signal_closes_running_trials_and_leaves_them_without_outcome(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        stopping = assignment(
            tmp_path, "asks_its_driver_to_stop", start_from=Path(f"/SIGTERM-{os.getpid()}")
        )
        before = signal.getsignal(signal.SIGTERM)
        heard = Heard()
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.execute([stopping], heard)
        assert (stopping.workspace.folder / "was_closed").exists()
        assert heard.outcomes == {}
        assert signal.getsignal(signal.SIGTERM) is before

    def test_cleanup_that_raises_hides_no_interruption(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        class Stopping(Heard):
            def on_start(self, trial_id: str) -> None:
                super().on_start(trial_id)
                signal.raise_signal(signal.SIGTERM)

        heard = Stopping()
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.execute([assignment(tmp_path, "is_slow_and_fails_to_clean_up")], heard)
        assert heard.outcomes == {}

    def test_what_a_listener_raises_ends_the_run_as_it_is(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        with pytest.raises(LedgerError, match="no space for completed"):
            executor.execute([assignment(tmp_path, "completes")], Refusing())

    def test_nothing_to_do_is_done(self, executor: Executor) -> None:
        heard = Heard()
        executor.execute([], heard)
        assert heard.events == []

    def test_numbers_are_those_of_a_plain_loop_bit_for_bit(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        trials = [
            assignment(tmp_path, "computes", seed=seed, num_threads=num_threads)
            for seed, num_threads in [(0, 1), (1, 2)]
        ]
        here, there = Heard(), Heard()
        InlineExecutor().execute(trials, here)
        executor.execute(trials, there)
        for each in trials:
            assert here.outcome(each).measurements == there.outcome(each).measurements
            reports = zip(here.of(each.trial.trial_id), there.of(each.trial.trial_id), strict=True)
            assert all(a == b for a, b in reports if isinstance(a, Progress))
