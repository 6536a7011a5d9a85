"""What goes wrong in a trial: both executors pass the suite, and do what is theirs alone."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from failures_contract import FailuresContract, failure
from toy_assignments import Heard, assignment, executed

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import InterruptedRunError
from qdexp.execution.ports import Assignment, Executor
from qdexp.execution.trial_log import LOG_FILE
from qdexp.experiment.spec import Resources
from qdexp.results.outcome import Progress


class TestInline(FailuresContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return InlineExecutor()

    def test_what_others_print_meanwhile_is_not_in_the_log(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Loud(Heard):
            def on_progress(self, trial_id: str, progress: Progress) -> None:
                print(f"{trial_id} is at {progress.step}")  # noqa: T201

        speaking = assignment(tmp_path, "speaks")
        InlineExecutor().execute([speaking], Loud())
        assert capsys.readouterr().out.count(" is at ") == 2
        assert " is at " not in (speaking.workspace.folder / LOG_FILE).read_text()

    def test_alarm_is_off_and_the_former_handler_back_after_a_trial(self, tmp_path: Path) -> None:
        before = signal.getsignal(signal.SIGALRM)
        executed(InlineExecutor(), assignment(tmp_path, "never_reports", budget=0.1))
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) is before

    def test_alarm_interrupts_the_trainable_and_nobody_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Ringing(Heard):
            def on_progress(self, trial_id: str, progress: Progress) -> None:
                super().on_progress(trial_id, progress)
                signal.raise_signal(signal.SIGALRM)

        monkeypatch.setattr("qdexp.backends.inline.grace_seconds", lambda _: 0.0)
        monkeypatch.setattr(signal, "setitimer", lambda *_: None)  # it rings in the listener only
        heard = Ringing()
        InlineExecutor().execute([assignment(tmp_path, "never_ends", budget=1e-6)], heard)
        (ended,) = heard.outcomes.values()
        assert "was stopped at its next report" in failure(ended)[2]

    def test_several_processes_are_refused(self) -> None:
        from qdexp.errors import RequestError

        with pytest.raises(RequestError, match=r"expected 1 with --executor inline, .* found 4"):
            InlineExecutor(resources=Resources(processes=4)).check()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
class TestRayTune(FailuresContract):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        from qdexp.backends.ray_tune import RayTuneExecutor

        return RayTuneExecutor(storage=tmp_path / "ray", resources=Resources())

    def test_log_holds_also_what_compiled_code_prints(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        speaking = assignment(tmp_path, "speaks")
        executed(executor, speaking)
        assert "on the descriptor\n" in (speaking.workspace.folder / LOG_FILE).read_text()

    def test_log_shows_where_a_trial_that_never_reported_stood(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        stuck = assignment(tmp_path, "never_reports", budget=0.2)
        executed(executor, stuck)
        log = (stuck.workspace.folder / LOG_FILE).read_text()
        assert "Timeout" in log
        assert "in never_reports" in log

    @pytest.mark.parametrize("seed", [0, 1], ids=["SIGKILL", "SIGTERM"])
    def test_lost_worker_is_an_outcome_at_once(
        self, executor: Executor, tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
    ) -> None:
        losing = assignment(tmp_path, "loses_every_worker", seed=seed)
        lost, other = executed(executor, losing, assignment(tmp_path, "completes"))
        assert failure(lost)[:2] == ("failed", "worker_lost")
        assert other.status == "completed"
        assert capfd.readouterr() == ("", "")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
class TestSeveralProcesses:
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        from qdexp.backends.ray_tune import RayTuneExecutor

        return RayTuneExecutor(storage=tmp_path / "ray", resources=Resources(processes=2))

    def test_they_exchange_and_stay_for_the_next_trial(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        trials = [assignment(tmp_path, "adds_up_ranks", seed=seed) for seed in range(2)]
        outcomes = executed(executor, *trials)
        for each in outcomes:
            assert each.measurements == {"eval.toy": 3.0, "eval.processes": 2.0}
            assert each.provenance["processes"] == 2
        assert pids(trials[0]) == pids(trials[1])
        assert len(pids(trials[0])) == 2
        assert_gone(pids(trials[0]))

    def test_failure_of_one_ends_the_others(self, executor: Executor, tmp_path: Path) -> None:
        broken = assignment(tmp_path, "second_rank_raises")
        (ended,) = executed(executor, broken)
        expected = "ValueError: only the second one broke (in rank 1)"
        assert failure(ended) == ("failed", "exception", expected)
        assert_gone(pids(broken))

    def test_death_of_one_is_a_lost_worker_and_the_next_attempt_completes(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        dying = assignment(tmp_path, "second_rank_dies_once")
        (ended,) = executed(executor, dying)
        expected = "rank 1 of its 2 processes died"
        assert failure(ended) == ("failed", "worker_lost", expected)
        assert_gone(pids(dying))
        (again,) = executed(executor, dying)
        assert again.status == "completed"

    def test_all_are_closed_at_a_safe_point_at_a_signal(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        class Stopping(Heard):
            def on_progress(self, trial_id: str, progress: Progress) -> None:
                super().on_progress(trial_id, progress)
                if progress.step == 3:
                    os.kill(os.getpid(), signal.SIGTERM)

        endless = assignment(tmp_path, "ranks_never_end")
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.execute([endless], Stopping())
        assert all((endless.workspace.folder / f"was_closed_{rank}").exists() for rank in (0, 1))
        assert_gone(pids(endless))

    @pytest.mark.parametrize(
        ("toy", "reason"),
        [
            ("ranks_never_end", "was stopped at its next report"),
            ("ranks_never_report", "reported nothing"),
        ],
    )
    def test_budget_holds_for_all(
        self, executor: Executor, tmp_path: Path, toy: str, reason: str
    ) -> None:
        endless = assignment(tmp_path, toy, budget=0.5)
        (ended,) = executed(executor, endless)
        assert failure(ended)[:2] == ("failed", "timeout")
        assert reason in failure(ended)[2]
        assert_gone(pids(endless))


def pids(one: Assignment) -> set[int]:
    return {int(path.read_text()) for path in one.workspace.folder.glob("pid_*")}


def assert_gone(processes: set[int]) -> None:
    """Waits until processes have ended; fails if they never do."""
    assert processes
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in processes):
        assert time.monotonic() < until, f"still there: {json.dumps(sorted(processes))}"
        time.sleep(0.1)
