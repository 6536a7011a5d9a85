"""What goes wrong in a trial, and what it prints: a suite that each executor passes."""

import time
from pathlib import Path

import pytest
from toy_assignments import Heard, assignment, executed

from qdexp.errors import BudgetSpentError
from qdexp.execution.ports import Executor
from qdexp.execution.trial_log import LOG_FILE, last_lines
from qdexp.results.outcome import Outcome, Progress


def failure(outcome: Outcome) -> tuple[str, str | None, str]:
    assert outcome.failure is not None
    return outcome.status, outcome.failure.kind, outcome.failure.reason


class FailuresContract:
    """The suite; a subclass names its executor."""

    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError

    def test_trial_beyond_its_budget_stops_at_its_next_report_and_the_next_one_runs(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        endless = assignment(tmp_path, "never_ends", budget=0.2)
        ended, next_one = executed(executor, endless, assignment(tmp_path, "completes"))
        status, kind, reason = failure(ended)
        assert (status, kind) == ("failed", "timeout")
        assert reason.startswith("it took longer than its budget of 0.2 s and was stopped at")
        assert "raise budget.trial" in reason
        assert ended.history["train.toy"].steps[0] == 0
        assert (endless.workspace.folder / "was_closed").exists()
        assert next_one.status == "completed"

    def test_trial_that_never_reports_is_ended_and_the_next_one_runs(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        stuck = assignment(tmp_path, "never_reports", budget=0.2)
        ended, next_one = executed(executor, stuck, assignment(tmp_path, "completes"))
        status, kind, reason = failure(ended)
        assert (status, kind) == ("failed", "timeout")
        assert "reported nothing" in reason
        assert next_one.status == "completed"

    def test_trial_within_its_budget_is_left_alone(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        (ended,) = executed(executor, assignment(tmp_path, "completes", budget=600.0))
        assert ended.status == "completed"

    def test_deadline_closes_running_trials_and_starts_no_other(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        trials = [assignment(tmp_path, "never_ends", seed=seed) for seed in range(5)]
        heard = Heard()

        class UntilFirstReport(Heard):
            def on_progress(self, trial_id: str, progress: Progress) -> None:
                heard.on_progress(trial_id, progress)

        with pytest.raises(BudgetSpentError, match=r"raise budget\.experiment"):
            executor.execute(trials, UntilFirstReport(), time.monotonic() + 2.0)
        closed = {each.parent.name for each in tmp_path.glob("*/was_closed")}
        assert closed == {trial_id for trial_id, _ in heard.events}
        assert len(closed) < len(trials)

    def test_deadline_that_has_passed_starts_nothing(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        heard = Heard()
        with pytest.raises(BudgetSpentError):
            executor.execute([assignment(tmp_path, "completes")], heard, time.monotonic() - 1.0)
        assert heard.outcomes == {}

    def test_log_holds_what_a_trainable_prints_and_logs_attempt_after_attempt(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        speaking = assignment(tmp_path, "speaks")
        executed(executor, speaking)
        executed(executor, speaking)
        log = (speaking.workspace.folder / LOG_FILE).read_text()
        for line in ("on stdout, in Python", "on stderr, in Python", "and later"):
            assert log.splitlines().count(line) == 2
        assert log.count("WARNING toys: through logging") == 2
        assert log.count("attempt began on ") == 2
        assert log.count("completed after step 4 ---") == 2

    def test_log_of_a_failure_ends_with_its_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        broken = assignment(tmp_path, "raises")
        executed(executor, broken)
        last = last_lines(broken.workspace.folder, 1)[0]
        assert "failed (exception) after step 1: ValueError: the toy broke ---" in last
