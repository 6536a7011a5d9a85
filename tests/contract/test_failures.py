"""What goes wrong in a trial, and what it prints, with each executor."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qdexp.backends.inline import InlineExecutor
from qdexp.config.presets import preset
from qdexp.errors import BudgetSpentError, InterruptedRunError
from qdexp.execution.ports import Assignment, Executor, Workspace
from qdexp.execution.trial_log import LOG_FILE, last_lines
from qdexp.experiment.spec import Resources
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.steps: dict[str, list[int]] = {}
        self.outcomes: dict[str, Outcome] = {}

    def on_start(self, trial_id: str) -> None:
        self.steps[trial_id] = []

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self.steps[trial_id].append(progress.step)

    def on_outcome(self, outcome: Outcome) -> None:
        assert outcome.trial_id not in self.outcomes
        self.outcomes[outcome.trial_id] = outcome


def assignment(folder: Path, toy: str, budget: float | None = None, seed: int = 0) -> Assignment:
    trial = Trial(
        configuration=preset("tiny"),
        seed=seed,
        data_fingerprint="none",
        trainable=f"toy_trainables:{toy}",
    )
    own = folder / trial.trial_id
    own.mkdir(exist_ok=True)
    workspace = Workspace(folder=own, latents=folder / "latents")
    return Assignment(trial=trial, workspace=workspace, budget_seconds=budget)


def executed(executor: Executor, *trials: Assignment) -> list[Outcome]:
    heard = Heard()
    executor.execute(trials, heard)
    return [heard.outcomes[each.trial.trial_id] for each in trials]


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
        endless = assignment(tmp_path, "never_ends", 0.2)
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
        stuck = assignment(tmp_path, "never_reports", 0.2)
        ended, next_one = executed(executor, stuck, assignment(tmp_path, "completes"))
        status, kind, reason = failure(ended)
        assert (status, kind) == ("failed", "timeout")
        assert "reported nothing" in reason
        assert next_one.status == "completed"

    def test_trial_within_its_budget_is_left_alone(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        (ended,) = executed(executor, assignment(tmp_path, "completes", 600.0))
        assert ended.status == "completed"

    def test_deadline_closes_running_trials_and_starts_no_other(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        trials = [assignment(tmp_path, "never_ends", seed=seed) for seed in range(5)]
        heard = Heard()

        class UntilFirstReport(Heard):
            def on_progress(self, trial_id: str, progress: Progress) -> None:
                heard.steps.setdefault(trial_id, []).append(progress.step)

        with pytest.raises(BudgetSpentError, match=r"raise budget\.experiment"):
            executor.execute(trials, UntilFirstReport(), time.monotonic() + 2.0)
        closed = {each.parent.name for each in tmp_path.glob("*/was_closed")}
        assert closed == set(heard.steps)
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
        executed(InlineExecutor(), assignment(tmp_path, "never_reports", 0.1))
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
        InlineExecutor().execute([assignment(tmp_path, "never_ends", 1e-6)], heard)
        (ended,) = heard.outcomes.values()
        assert "was stopped at its next report" in failure(ended)[2]

    def test_several_processes_are_refused(self) -> None:
        from qdexp.errors import RequestError

        with pytest.raises(RequestError, match=r"expected 1 with --executor inline, .* found 4"):
            InlineExecutor(resources=Resources(processes=4)).check()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from qdexp.backends.ray_tune import local_cluster

    with local_cluster():
        yield


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
        stuck = assignment(tmp_path, "never_reports", 0.2)
        executed(executor, stuck)
        log = (stuck.workspace.folder / LOG_FILE).read_text()
        assert "Timeout" in log
        assert "in never_reports" in log

    def test_lost_worker_is_an_outcome_at_once(
        self, executor: Executor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        lost, other = executed(
            executor,
            assignment(tmp_path, "loses_every_worker"),
            assignment(tmp_path, "completes"),
        )
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
        endless = assignment(tmp_path, toy, 0.5)
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
